//! Real servers that stand in for what the gateway talks to, so that a test or the demo needs no account
//! anywhere: an Okta org, MCP servers, a raw HTTP backend, a client's web site; and the two who talk to the gateway, a browser and
//! an MCP client. Everything listens on loopback only and stops when its handle is dropped.

pub mod backend;
pub mod browser;
pub mod client;
mod client_error;
pub mod document_server;
mod log;
pub mod mcp;
mod net;
pub mod okta;
mod params;
pub mod port;
mod random;
pub mod redis;
mod server;
pub mod tcp_proxy;
mod time;

pub use client_error::ClientError;
pub use time::Time;
