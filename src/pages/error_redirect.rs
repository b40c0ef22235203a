//! Confirmation page before an error is redirected to an untrusted host.

use super::sanitize::{NAME, SENTENCE};
use super::{Page, sanitize_host_for_display};
use askama::Template;

/// Page that names the host of an error redirect and lets the user decide, so that the gateway is no open redirector
/// (RFC 9700 §4.11).
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "error_redirect.html")]
pub struct ErrorRedirect<'a> {
    /// Host, or private-use scheme with its colon.
    pub host: &'a str,
    /// OAuth error code.
    pub error: &'a str,
    /// Error description.
    pub description: &'a str,
    /// Redirect URI with the error parameters, validated by the caller.
    pub to: &'a str,
}

impl ErrorRedirect<'_> {
    /// Renders the page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }

    fn shown_host(&self) -> String {
        sanitize_host_for_display(self.host)
    }
}
