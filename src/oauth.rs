//! Rules of the OAuth 2.1 protocol: pure functions without I/O, clock or HTTP server.

pub mod authorization;
pub mod bearer;
pub mod client;
pub mod error;
pub mod metadata;
pub mod parameters;
pub mod pkce;
pub mod redirect;
pub mod resource;
pub mod scope;
pub mod token;
