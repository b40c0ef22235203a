//! HTTP endpoints, one folder per flow. Each handler parses, validates, acts and responds.

pub mod authorization;
pub mod discovery;
pub mod health;
pub mod landing;
pub mod mcp;
pub mod register;
pub mod revoke;
pub mod token;
