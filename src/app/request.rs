//! The request context: the head of a request, and the gateway that serves it.

use crate::app::audit::{Audit, Outcome};
use crate::app::rate_limit::{Kind, TooMany};
use crate::app::state::Gateway;
use crate::credential::LastToken;
use crate::oauth::parameters::Parameters;
use crate::proxy;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use std::net::IpAddr;
use std::sync::Arc;

/// A request and the gateway that serves it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The application state.
    pub gateway: &'a Arc<Gateway>,
    /// The request's head.
    pub head: &'a RequestHead,
}

impl<'a> Request<'a> {
    /// Returns the request headers.
    pub fn headers(self) -> &'a HeaderMap {
        &self.head.parts.headers
    }

    /// Parses the query string.
    pub fn query(self) -> Parameters {
        Parameters::parse(self.head.parts.uri.query().unwrap_or_default())
    }

    /// Returns the request id.
    pub fn id(self) -> &'a str {
        self.head.request_id.as_str()
    }

    /// Returns an audit event of an allowed request, with the fields that the head provides.
    pub fn allowed(self, event: &'static str) -> Audit<'a> {
        Audit {
            event,
            request_id: self.id(),
            address: self.head.address_text.as_str(),
            method: self.head.parts.method.as_str(),
            ..Audit::default()
        }
    }

    /// Returns an audit event of a refused request.
    pub fn refused(self, event: &'static str, reason: &'a str) -> Audit<'a> {
        Audit { outcome: Outcome::Refused, reason, ..self.allowed(event) }
    }

    /// Counts the request against the rate limits of its address and its client.
    ///
    /// # Errors
    /// A rate limit is exceeded.
    pub async fn rate_limit(self, kind: Kind, client_id: Option<&str>) -> Result<(), TooMany> {
        self.gateway.limits.count(kind, self.head.address, client_id).await
    }

    /// Checks the rate limits of the address and its client without counting the request.
    ///
    /// # Errors
    /// A rate limit is reached.
    pub fn check_rate_limit(self, kind: Kind, client_id: Option<&str>) -> Result<(), TooMany> {
        self.gateway.limits.check(kind, self.head.address, client_id)
    }
}

/// The head of a request with its connection metadata.
pub struct RequestHead {
    /// Method, URI and headers.
    pub parts: Parts,
    /// The client's IP address: the peer's, or the one that a trusted proxy reports.
    pub address: IpAddr,
    /// The IP address as text.
    pub address_text: HeaderText,
    /// The connection of the request.
    pub connection: Arc<PeerConnection>,
    /// The request id in logs, pages and responses.
    pub request_id: HeaderText,
    /// `true` if the request has content although its method defines none.
    pub undefined_content: bool,
}

/// A client connection, with the state that its requests share.
pub struct PeerConnection {
    /// The peer's IP address.
    pub address: IpAddr,
    /// The last access token that was verified on this connection.
    pub token: LastToken,
    address_text: HeaderText,
}

/// Text that is also a valid header value.
#[derive(Clone)]
pub struct HeaderText(HeaderValue);

impl PeerConnection {
    /// Creates the state of a new connection.
    pub fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, token: LastToken::default(), address_text: HeaderText(proxy::address_value(address)) }
    }

    /// Returns an address as text; the peer's own text is cached.
    pub fn text_of(&self, address: IpAddr) -> HeaderText {
        if address == self.address {
            self.address_text.clone()
        } else {
            HeaderText(proxy::address_value(address))
        }
    }
}

impl HeaderText {
    /// Creates a value from visible ASCII; any other text becomes an empty value.
    pub fn new(text: Bytes) -> Self {
        Self(HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static("")))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Converts into a header value.
    pub fn into_value(self) -> HeaderValue {
        self.0
    }
}
