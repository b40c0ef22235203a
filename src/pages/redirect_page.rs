//! Interstitial page between a form of the gateway and another site.

use super::sanitize::{NAME, SENTENCE};
use super::{Page, sanitize_host_for_display};
use askama::Template;

/// Outcome of the preceding step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Access was approved and the login is complete; the client receives a code.
    Approved,
    /// Access was denied; the client receives an error.
    Denied,
    /// The login failed; the client receives an error. The page shows it too, because it stays open when the link opens
    /// an app.
    Failed {
        /// Explanation and instruction, one or two sentences.
        why: &'a str,
        /// Request ID of the matching log lines.
        request_id: &'a str,
    },
    /// Access was approved; the user must sign in at Okta.
    ToSignIn,
}

/// Page of the gateway that forwards to another site, automatically or by a link.
///
/// Chromium applies `form-action` to the whole redirect chain after a form, so that the response to a consent form is
/// this page and not a redirect.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "redirect_page.html")]
pub struct RedirectPage<'a> {
    /// Target URL of any scheme, validated by the caller.
    pub to: &'a str,
    /// Displayed target: the host, or the scheme with its colon.
    pub destination: &'a str,
    /// Outcome shown above the link.
    pub outcome: Outcome<'a>,
    /// Forwards automatically; otherwise the user sees the target and decides (RFC 9700 §4.11.2).
    pub is_automatic: bool,
}

impl RedirectPage<'_> {
    /// Renders the page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }

    fn shown(&self) -> String {
        sanitize_host_for_display(self.destination)
    }

    /// Returns `true` when the target is a private-use scheme, which belongs to an app.
    fn is_app(&self) -> bool {
        self.destination.ends_with(':')
    }

    fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }

    /// Returns `true` when the login ends in this tab.
    fn ends_here(&self) -> bool {
        self.outcome != Outcome::ToSignIn
    }

    fn title(&self) -> &'static str {
        match self.outcome {
            Outcome::Approved => "Access allowed",
            Outcome::Denied => "Access denied",
            Outcome::Failed { .. } => "Signing in did not work",
            Outcome::ToSignIn => "Now sign in",
        }
    }
}
