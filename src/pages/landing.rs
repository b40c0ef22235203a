//! `GET /`: what this is, and what to paste where.

use super::sanitize::NAME;
use super::snippets::Snippets;
use super::{Page, sanitize_host_for_display};
use askama::Template;

/// A server, as the landing page shows it.
#[derive(Debug, Clone, Copy)]
pub struct ServerCard<'a> {
    /// Its name for people.
    pub name: &'a str,
    /// What it does; may be empty.
    pub description: &'a str,
    /// The MCP URL that clients take, such as `http://localhost:8080/mcp/dice/mcp`.
    pub url: &'a str,
    /// The name that clients give it, such as `dice`.
    pub id: &'a str,
}

impl ServerCard<'_> {
    fn snippets(&self) -> Snippets {
        Snippets::new(self.id, self.url)
    }
}

/// The page that a developer or an end user finds at the gateway's own address.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "landing.html")]
pub struct Landing<'a> {
    /// The gateway's issuer.
    pub base_url: &'a str,
    /// The label of this environment.
    pub environment: &'a str,
    /// Every server behind this gateway.
    pub servers: &'a [ServerCard<'a>],
}

impl Landing<'_> {
    /// The page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }

    fn host(&self) -> String {
        let after_scheme = self.base_url.split_once("://").map_or(self.base_url, |(_, rest)| rest);
        sanitize_host_for_display(after_scheme)
    }
}
