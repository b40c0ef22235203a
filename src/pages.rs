//! What people see: data in, HTML out. Knows no HTTP library, does no I/O, decides nothing.
//!
//! Every page works without JavaScript and asks for nothing from elsewhere: one constant stylesheet stands in each page,
//! and [`content_security_policy`] allows that text alone. Whatever a client says of itself is hostile: it is escaped,
//! goes through [`sanitize_for_display`] before a person reads it, and never becomes a link.

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

mod consent;
mod error_redirect;
mod landing;
mod leaving;
mod problem;
mod sanitize;
mod snippets;
#[cfg(test)]
mod tests;

pub use consent::{ClientOrigin, Consent, ServerChoice};
pub use error_redirect::ErrorRedirect;
pub use landing::{Landing, ServerCard};
pub use leaving::{Leaving, Outcome};
pub use problem::{Guidance, Problem};
pub use sanitize::{sanitize_for_display, sanitize_host_for_display};
pub use snippets::Snippets;

/// The only style of every page.
const STYLESHEET: &str = include_str!("pages/style.css");

/// A whole HTML document. Its status is the caller's business, its headers are [`headers`].
#[derive(Debug, Clone)]
pub struct Page {
    /// The document, from `<!doctype html>` on.
    pub html: String,
}

impl Page {
    fn render(template: &impl Template) -> Self {
        let html =
            template.render().expect("templates show strings only, and writing to a String cannot fail");
        Self { html }
    }
}

/// The headers that every page is sent with. Two that one might expect are not among them, as browsers showed:
///
/// - `Referrer-Policy: no-referrer` makes them send `Origin: null` with our own forms (Fetch §3.2), so that the consent
///   endpoint could not tell these from a stranger's. `same-origin` tells other origins as little.
/// - `Cross-Origin-Opener-Policy` cuts `window.opener` for good: a web client that signs in through a popup would wait
///   for ever for its callback page. Pages without script have little to lose to an opener.
pub fn headers() -> [(&'static str, &'static str); 7] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", content_security_policy()),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
}

/// The policy under which every page works: our stylesheet, forms to ourselves, nothing else, in nobody's frame.
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = STANDARD.encode(Sha256::digest(STYLESHEET));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    });
    &POLICY
}
