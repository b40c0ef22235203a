//! HTML pages for users: templates without I/O, HTTP library or decisions.
//!
//! Pages work without JavaScript and load no resources: each contains one constant stylesheet, and
//! [`content_security_policy`] allows only that text. Text from clients is untrusted: it is escaped, sanitized with
//! [`sanitize_for_display`], and never becomes a link.

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

mod consent;
mod error_redirect;
mod landing;
mod problem;
mod redirect_page;
mod sanitize;
mod snippets;
#[cfg(test)]
mod tests;

pub use consent::{ClientOrigin, Consent, ServerChoice};
pub use error_redirect::ErrorRedirect;
pub use landing::{Landing, ServerCard};
pub use problem::{Guidance, Problem};
pub use redirect_page::{Outcome, RedirectPage};
pub use sanitize::{sanitize_for_display, sanitize_host_for_display};
pub use snippets::Snippets;

/// Stylesheet of all pages.
const STYLESHEET: &str = include_str!("pages/style.css");

/// HTML document, to be sent with [`headers`]; the caller chooses the status.
#[derive(Debug, Clone)]
pub struct Page {
    /// Document text, including `<!doctype html>`.
    pub html: String,
}

impl Page {
    fn render(template: &impl Template) -> Self {
        let html =
            template.render().expect("templates show strings only, and writing to a String cannot fail");
        Self { html }
    }
}

/// Response headers of every page. Two common ones are omitted on purpose:
///
/// - `Referrer-Policy: no-referrer` makes browsers send `Origin: null` with forms (Fetch §3.2), so that the consent endpoint
///   could not distinguish its own form from a cross-site one. `same-origin` reveals as little to other origins.
/// - `Cross-Origin-Opener-Policy` severs `window.opener`: a web client that signs in through a popup would never see its
///   callback page. Pages without scripts need no protection from an opener.
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

/// Content security policy of every page: only the stylesheet, forms to the gateway itself, no framing.
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = STANDARD.encode(Sha256::digest(STYLESHEET));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    });
    &POLICY
}
