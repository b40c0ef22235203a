//! Tests of the stand-ins over real sockets.

#[cfg(test)]
#[path = "it/backend.rs"]
mod backend;
#[cfg(test)]
#[path = "it/browser.rs"]
mod browser;
#[cfg(test)]
#[path = "it/client.rs"]
mod client;
#[cfg(test)]
#[path = "it/mcp.rs"]
mod mcp;
#[cfg(test)]
#[path = "it/okta.rs"]
mod okta;
#[cfg(test)]
#[path = "it/org.rs"]
mod org;
