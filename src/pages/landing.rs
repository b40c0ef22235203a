//! Landing page (`GET /`) with client configurations.

use super::sanitize::NAME;
use super::snippets::Snippets;
use super::{Page, sanitize_host_for_display};
use askama::Template;

/// MCP server on the landing page.
#[derive(Debug, Clone, Copy)]
pub struct ServerCard<'a> {
    /// Display name.
    pub name: &'a str,
    /// Description; may be empty.
    pub description: &'a str,
    /// URL of the MCP endpoint, such as `http://localhost:8080/mcp/dice/mcp`.
    pub url: &'a str,
    /// Name of the server in client configurations, such as `dice`.
    pub id: &'a str,
}

impl ServerCard<'_> {
    fn snippets(&self) -> Snippets {
        Snippets::new(self.id, self.url)
    }
}

/// Landing page for developers and users.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "landing.html")]
pub struct Landing<'a> {
    /// Base URL of the gateway.
    pub base_url: &'a str,
    /// Label of the environment.
    pub environment: &'a str,
    /// Servers of the gateway.
    pub servers: &'a [ServerCard<'a>],
}

impl Landing<'_> {
    /// Renders the page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }

    fn host(&self) -> String {
        let after_scheme = self.base_url.split_once("://").map_or(self.base_url, |(_, rest)| rest);
        sanitize_host_for_display(after_scheme)
    }
}
