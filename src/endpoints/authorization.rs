//! The authorization code flow, from the authorization request to the code; [`login`] lists its steps.

pub mod authorize;
pub mod callback;
pub mod consent;
mod login;
