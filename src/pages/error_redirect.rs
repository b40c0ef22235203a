//! The page in front of an error that goes to a host nobody vouches for.

use super::sanitize::{NAME, SENTENCE};
use super::{Page, sanitize_host_for_display};
use askama::Template;

/// Names the host before the person goes on to it with an error (RFC 9700 §4.11): we are no open redirector.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "error_redirect.html")]
pub struct ErrorRedirect<'a> {
    /// The host that would be told, or the scheme with its colon.
    pub host: &'a str,
    /// The OAuth error code.
    pub error: &'a str,
    /// What was wrong, in words.
    pub description: &'a str,
    /// The redirect URI with the error in it; the caller has checked it against the registration.
    pub to: &'a str,
}

impl ErrorRedirect<'_> {
    /// The page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }

    fn shown_host(&self) -> String {
        sanitize_host_for_display(self.host)
    }
}
