//! The authorization endpoint and the login behind it, from the client's request to its code; [`login`] tells the
//! steps.

pub mod authorize;
pub mod callback;
pub mod consent;
mod login;
