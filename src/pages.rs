//! What people see: pure functions from data to a page. Works without JavaScript, loads nothing from anywhere.

mod displayable;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use displayable::displayable;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("pages/style.css");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// A whole page.
pub struct Page {
    /// The HTML.
    pub html: String,
}

/// The headers of every page: not framable, not cached, no script, nothing from elsewhere. The referrer policy is
/// `same-origin` because under `no-referrer` a browser posts the consent form with `Origin: null`.
pub fn headers() -> [(&'static str, &'static str); 7] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &POLICY),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
    ]
}

/// How the gateway knows who a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientOrigin {
    /// It registered itself: its name is its own word.
    SelfRegistered,
}

/// The page that asks.
pub struct Consent<'a> {
    /// What the client calls itself.
    pub client_name: &'a str,
    /// How we know it.
    pub client_origin: ClientOrigin,
    /// Where the code will go: a host, or a private scheme.
    pub redirect_host: &'a str,
    /// Any program on the person's computer could be asking.
    pub local: bool,
    /// The one server it is for, or those that the person picks from.
    pub servers: &'a [ServerChoice<'a>],
    /// Where the form is posted.
    pub action: &'a str,
    /// The sealed request.
    pub request: &'a str,
    /// What was wrong with the last answer.
    pub problem: Option<&'a str>,
}

/// A server on the consent page.
pub struct ServerChoice<'a> {
    /// What the form says when it is picked.
    pub value: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// Its resource identifier.
    pub resource: &'a str,
    /// What the client could do there.
    pub scopes: &'a [String],
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    style: &'static str,
    client: String,
    host: String,
    page: &'a Consent<'a>,
}

/// Asks the person.
pub fn consent(page: &Consent<'_>) -> Page {
    let client = match displayable(page.client_name) {
        name if name.is_empty() => "An app without a name".to_owned(),
        name => name,
    };
    render(&ConsentPage { style: STYLE, client, host: displayable(page.redirect_host), page })
}

/// A page that navigates on by itself.
#[derive(Template)]
#[template(path = "leaving.html")]
struct LeavingPage<'a> {
    style: &'static str,
    destination: String,
    page: &'a Leaving<'a>,
}

/// Where a page leads and why. The address has been checked before.
pub struct Leaving<'a> {
    /// The address.
    pub to: &'a str,
    /// Its host or scheme, for the person.
    pub destination: &'a str,
    /// Why the person leaves.
    pub outcome: Outcome,
}

/// Why a person leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Back to the app, with what it asked for.
    Approved,
    /// Back to the app, without.
    Denied,
    /// To Okta, to sign in.
    ToSignIn,
}

/// Sends the person on.
pub fn leaving(page: &Leaving<'_>) -> Page {
    render(&LeavingPage { style: STYLE, destination: displayable(page.destination), page })
}

/// What a person can do about a problem.
#[derive(Debug, Clone, Copy)]
pub enum Guidance<'a> {
    /// The app must forget what it knows of this gateway: how, for each app.
    RegisterAgain,
    /// This.
    Text(&'a str),
}

/// Something that went wrong, in words.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    style: &'static str,
    page: &'a Problem<'a>,
}

/// What went wrong.
pub struct Problem<'a> {
    /// In a few words.
    pub title: &'a str,
    /// In a sentence.
    pub what_happened: &'a str,
    /// What helps.
    pub what_to_do: Guidance<'a>,
    /// For the administrator who reads the log.
    pub request_id: &'a str,
}

/// Explains a problem.
pub fn problem(page: &Problem<'_>) -> Page {
    render(&ProblemPage { style: STYLE, page })
}

#[derive(Template)]
#[template(path = "error_redirect.html")]
struct ErrorRedirectPage<'a> {
    style: &'static str,
    host: String,
    page: &'a ErrorRedirect<'a>,
}

/// An error that would go to a host that nobody vouches for.
pub struct ErrorRedirect<'a> {
    /// The host.
    pub host: &'a str,
    /// The error code.
    pub error: &'a str,
    /// The error in words.
    pub description: &'a str,
    /// The address, with the error in it.
    pub to: &'a str,
}

/// Names the host before the person goes on (RFC 9700 §4.11).
pub fn error_redirect(page: &ErrorRedirect<'_>) -> Page {
    render(&ErrorRedirectPage { style: STYLE, host: displayable(page.host), page })
}

#[derive(Template)]
#[template(path = "landing.html")]
struct LandingPage<'a> {
    style: &'static str,
    page: &'a Landing<'a>,
}

/// The first page.
pub struct Landing<'a> {
    /// The gateway's origin.
    pub base_url: &'a str,
    /// Its environment.
    pub environment: &'a str,
    /// Its servers.
    pub servers: &'a [ServerCard<'a>],
}

/// A server on the first page.
pub struct ServerCard<'a> {
    /// A short name for configuration files.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// What to paste into a client.
    pub url: &'a str,
}

/// Says what this is, and what to paste where.
pub fn landing(page: &Landing<'_>) -> Page {
    render(&LandingPage { style: STYLE, page })
}

fn render(template: &impl Template) -> Page {
    let html = template.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be written");
        "<!doctype html><title>Error</title><p>The page could not be written.".to_owned()
    });
    Page { html }
}

#[cfg(test)]
mod tests;
