//! The audit log: one line for each decision. It never holds a token, a code, a secret or a cookie.

/// The outcome of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It was allowed.
    #[default]
    Allowed,
    /// It was refused: the request, its client or its user lacks something.
    Refused,
    /// It failed because of the gateway or a service that it needs; nothing was decided.
    Failed,
}

impl Outcome {
    /// Returns the value of `decision` in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// An audit event. Unknown fields are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Audit<'a> {
    /// The kind of event: `registration`, `authorization`, `consent`, `login`, `token`, `revocation`, `call` or
    /// `stream_ended`.
    pub event: &'static str,
    /// The outcome of the request.
    pub outcome: Outcome,
    /// The request id, as in the response's `x-request-id`.
    pub request_id: &'a str,
    /// The client's IP address.
    pub address: &'a str,
    /// The user's `sub` at Okta.
    pub user: &'a str,
    /// The `client_name` of the OAuth client.
    pub client: &'a str,
    /// The `client_id`; the log holds only a prefix of an opaque one.
    pub client_id: &'a str,
    /// The pattern of the route.
    pub route: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The reason of the decision.
    pub reason: &'a str,
}

impl Audit<'_> {
    /// Writes the event to the audit log.
    pub fn record(self) {
        tracing::info!(
            target: "audit",
            event = self.event,
            decision = self.outcome.as_str(),
            request_id = self.request_id,
            address = self.address,
            user = self.user,
            client = self.client,
            client_id = short(self.client_id),
            route = self.route,
            method = self.method,
            reason = self.reason,
        );
    }
}

/// Shortens a `client_id` for the log: 12 characters of a sealed id, which is random, identify the client. An id that
/// is a URL is public and stays as it is.
fn short(client_id: &str) -> &str {
    if client_id.starts_with("https://") { client_id } else { client_id.get(..12).unwrap_or(client_id) }
}
