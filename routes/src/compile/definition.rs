//! What a file says, read key by key into the types that the server links.

mod route;
mod site;

pub(super) use route::{Draft, route};
pub(super) use site::{Definition, Glob, site};
