//! Consent page, shown before the user signs in.

use super::sanitize::NAME;
use super::{Page, sanitize_for_display, sanitize_host_for_display};
use askama::Template;

/// Source of the client's name.
#[derive(Debug, Clone, Copy)]
pub enum ClientOrigin<'a> {
    /// Self-registered client (RFC 7591), whose name is unverified.
    SelfRegistered,
    /// Client with a metadata document that was fetched from this host over TLS.
    VerifiedHost(&'a str),
}

/// MCP server that the user can choose.
#[derive(Debug, Clone, Copy)]
pub struct ServerChoice<'a> {
    /// Form value of `route`.
    pub value: &'a str,
    /// Display name.
    pub name: &'a str,
    /// Description; may be empty.
    pub description: &'a str,
    /// Resource identifier (RFC 8707).
    pub resource: &'a str,
    /// Scopes to be granted.
    pub scopes: &'a [&'a str],
}

/// Consent page. Its form posts `request`, `route` and `decision` (`approve` or `deny`) to `action`.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "consent.html")]
pub struct Consent<'a> {
    /// Path of the form action, on the gateway's origin.
    pub action: &'a str,
    /// `client_name` of the client.
    pub client_name: &'a str,
    /// Source of the name, which determines its trust.
    pub client_origin: ClientOrigin<'a>,
    /// Receiver of the code: a host, or a private-use scheme with its colon (`cursor:`).
    pub redirect_host: &'a str,
    /// The receiver is a program on the user's computer (loopback or private-use scheme), which any program can claim
    /// to be.
    pub loopback: bool,
    /// The client registered itself, and the receiver is not a trusted host.
    pub untrusted: bool,
    /// Requested servers. One is fixed; of several the user chooses one, and none is preselected.
    pub servers: &'a [ServerChoice<'a>],
    /// Sealed authorization request.
    pub request: &'a str,
    /// Error of the previous submission, such as "Choose a server."
    pub problem: Option<&'a str>,
}

impl<'a> Consent<'a> {
    /// Renders the page.
    pub fn page(&self) -> Page {
        Page::render(self)
    }

    fn client(&self) -> String {
        let name = sanitize_for_display(self.client_name, NAME);
        if name.is_empty() { "An unnamed program".to_owned() } else { name }
    }

    fn destination(&self) -> String {
        sanitize_host_for_display(self.redirect_host)
    }

    /// Returns `true` when the receiver is a private-use scheme, which belongs to an app.
    fn is_app(&self) -> bool {
        self.redirect_host.ends_with(':')
    }

    fn only_server(&self) -> Option<&ServerChoice<'a>> {
        if let [server] = self.servers { Some(server) } else { None }
    }
}
