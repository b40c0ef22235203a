//! Error page with instructions for each client.

use super::Page;
use super::sanitize::{NAME, SENTENCE};
use askama::Template;

/// Instructions for the user.
#[derive(Debug, Clone, Copy)]
pub enum Guidance<'a> {
    /// The client must delete its registration and register again: steps for each client.
    RegisterAgain,
    /// The login must be started again: steps for each client.
    StartAgain,
    /// Cookies must be allowed before the login is started again: steps for each client.
    AllowCookies,
    /// Other instructions, one or two sentences.
    Text(&'a str),
}

/// Error page.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "problem.html")]
pub struct Problem<'a> {
    /// Heading.
    pub title: &'a str,
    /// Explanation, one or two sentences.
    pub what_happened: &'a str,
    /// Instructions.
    pub what_to_do: Guidance<'a>,
    /// Technical detail for support; may be empty.
    pub detail: &'a str,
    /// Request ID of the matching log lines.
    pub request_id: &'a str,
}

impl Problem<'_> {
    /// Renders the page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }
}
