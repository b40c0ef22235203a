//! Two MCP servers made with the official Rust SDK: streamable HTTP at `/mcp`, with sessions.

mod dice;
mod uuid;

use std::io;
use std::sync::Arc;

use axum::Router;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use crate::server::{Bound, Server};

/// Running MCP server. Dropping it closes its port, its sessions and its streams.
pub struct McpServer {
    server: Server,
}

impl McpServer {
    /// Starts a server that rolls dice: tool `roll` with `sides` and `count`. Port 0 selects a free one.
    pub async fn dice(port: u16) -> io::Result<Self> {
        Self::start(port, dice::Dice::new).await
    }

    /// Starts a server that generates UUIDs: tool `generate` with `count`. Port 0 selects a free one.
    pub async fn uuid(port: u16) -> io::Result<Self> {
        Self::start(port, uuid::Uuids::new).await
    }

    /// Origin without a trailing slash, as in the `target_url` of a route.
    pub fn url(&self) -> String {
        self.server.origin()
    }

    /// MCP endpoint.
    pub fn endpoint(&self) -> String {
        format!("{}/mcp", self.url())
    }

    /// Stops the server; then its port is free again.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    async fn start<S: ServerHandler>(port: u16, make: fn() -> S) -> io::Result<Self> {
        let bound = Bound::to(port).await?;
        // The gateway sends the host of its `target_url`, which differs between machines.
        let config = StreamableHttpServerConfig::default().disable_allowed_hosts();
        let sessions = Arc::new(LocalSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(make()), sessions, config);
        Ok(Self { server: bound.serve(Router::new().route_service("/mcp", service)) })
    }
}
