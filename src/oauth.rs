//! The rules of the protocol, pure: no I/O, no clock, no HTTP server.

pub mod assertion;
pub mod authorization;
pub mod bearer;
pub mod client;
pub mod client_keys;
pub mod client_metadata;
pub mod client_proof;
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
