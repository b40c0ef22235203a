//! The question that is asked before anybody signs in: may this client use this server as you?

use super::sanitize::NAME;
use super::{Page, sanitize_for_display, sanitize_host_for_display};
use askama::Template;

/// Where the client's name comes from.
#[derive(Debug, Clone, Copy)]
pub enum ClientOrigin<'a> {
    /// The client registered itself (RFC 7591): its name is a claim.
    SelfRegistered,
    /// The client's metadata document was fetched from this host over TLS.
    VerifiedHost(&'a str),
}

/// A server that the client may be given.
#[derive(Debug, Clone, Copy)]
pub struct ServerChoice<'a> {
    /// What the form sends as `route`.
    pub value: &'a str,
    /// Its name for people.
    pub name: &'a str,
    /// What it does; may be empty.
    pub description: &'a str,
    /// Its resource URI (RFC 8707).
    pub resource: &'a str,
    /// The scopes that would be granted.
    pub scopes: &'a [&'a str],
}

/// The consent page. Its form posts `request`, `route` and `decision` (`approve` or `deny`) to `action`.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "consent.html")]
pub struct Consent<'a> {
    /// The path the form posts to, on our own origin.
    pub action: &'a str,
    /// What the client calls itself.
    pub client_name: &'a str,
    /// Why that name may or may not be believed.
    pub client_origin: ClientOrigin<'a>,
    /// Where the code will go: a host, or for private schemes the scheme with its colon (`cursor:`).
    pub redirect_host: &'a str,
    /// The code goes to this computer (loopback or a private scheme), where any program could be asking.
    pub loopback: bool,
    /// The client registered itself and sends the code to a site that the gateway does not know.
    pub untrusted: bool,
    /// What is asked for: one is fixed, of several the person picks one; none is picked beforehand.
    pub servers: &'a [ServerChoice<'a>],
    /// The sealed authorization request, opaque.
    pub request: &'a str,
    /// What was wrong with the last answer, such as "Choose a server."
    pub problem: Option<&'a str>,
}

impl<'a> Consent<'a> {
    /// The page.
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

    /// A private scheme belongs to an app, not to a host.
    fn is_app(&self) -> bool {
        self.redirect_host.ends_with(':')
    }

    fn only_server(&self) -> Option<&ServerChoice<'a>> {
        if let [server] = self.servers { Some(server) } else { None }
    }
}
