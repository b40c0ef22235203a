//! The rules of the protocol, pure: no I/O, no clock, no HTTP server.

pub mod authorization;
pub mod bearer;
pub mod client;
pub mod error;
pub mod metadata;
pub mod parameters;
pub mod pkce;
pub mod redirect;
pub mod registration;
pub mod registration_policy;
pub mod resource;
pub mod scope;
pub mod token;
