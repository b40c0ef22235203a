//! The endpoints: one a file. Each parses, validates, acts and answers; none of them knows another.

pub mod authorize;
pub mod callback;
pub mod consent;
pub mod discovery;
pub mod health;
pub mod landing;
pub mod mcp;
pub mod register;
pub mod revoke;
pub mod token;
