//! The page between our form and the next site.

use super::sanitize::{NAME, SENTENCE};
use super::{Page, sanitize_host_for_display};
use askama::Template;

/// What the person has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Access was given; the client gets its code.
    Approved,
    /// Access was refused; the client is told.
    Denied,
    /// Okta, or something behind us, did not go along; the client is told why. Where the link opens an app, the person
    /// stays at this page, and reads it here.
    Failed {
        /// What happened and what to do, in a sentence or two.
        why: &'a str,
        /// For support: finds the matching log lines.
        request_id: &'a str,
    },
    /// Access was given; Okta asks who it is.
    ToSignIn,
}

/// A page on our own origin that goes on to another, by itself or by hand.
///
/// Chromium holds the whole redirect chain behind a form to the form's `form-action`, so a consent form is answered
/// by this page and not by a redirect.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "leaving.html")]
pub struct Leaving<'a> {
    /// The URL to go to; the caller has checked it. Any scheme, a private one too.
    pub to: &'a str,
    /// What the person is told of it: the host, or the scheme with its colon.
    pub destination: &'a str,
    /// What is said above the link.
    pub outcome: Outcome<'a>,
    /// The browser goes on by itself; else the person decides, who is told where the link leads (RFC 9700 §4.11.2).
    pub by_itself: bool,
}

impl Leaving<'_> {
    /// The page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }

    fn shown(&self) -> String {
        sanitize_host_for_display(self.destination)
    }

    /// A private scheme belongs to an app, not to a host.
    fn is_app(&self) -> bool {
        self.destination.ends_with(':')
    }

    fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }

    /// Nothing further happens in this tab.
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
