//! Real servers in place of the gateway's dependencies, so that tests and the demo need no accounts: an Okta org, MCP
//! servers, an HTTP backend, a client's document server. And a scripted browser and an MCP client. All servers listen
//! on loopback only and stop when their handle is dropped.

pub mod backend;
pub mod browser;
pub mod client;
mod client_error;
pub mod connect_proxy;
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
