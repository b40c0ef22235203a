//! What happened, for people who must know later: one audit line for each decision. Never a token, a code, a
//! secret or a cookie.

use std::fmt;
use std::net::IpAddr;

/// One audit event. Members that are not known are left empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Audit<'a> {
    /// What happened, such as `registration` or `refusal`.
    pub event: &'static str,
    /// The id of the request, as in its `x-request-id`.
    pub request_id: &'a str,
    /// The user, by Okta's `sub`.
    pub user: &'a str,
    /// What the client calls itself.
    pub client: &'a str,
    /// The route's pattern.
    pub route: &'a str,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// Why, in words.
    pub reason: &'a str,
}

impl Audit<'_> {
    /// Writes the line.
    pub fn record(self) {
        tracing::info!(
            target: "audit",
            event = self.event,
            request_id = self.request_id,
            user = self.user,
            client = self.client,
            route = self.route,
            address = self.address.map(tracing::field::display),
            reason = self.reason,
        );
    }
}

/// The first characters of an id: enough to find it again, too few to use it.
pub fn short(id: &str) -> impl fmt::Display + '_ {
    id.get(..12).unwrap_or(id)
}
