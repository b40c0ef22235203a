//! What happened, for people who must know later: one audit line for each decision. Never a token, a code, a
//! secret or a cookie.

/// One audit event. Members that are not known are left empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Audit<'a> {
    /// What was asked for: `registration`, `authorization`, `consent`, `login`, `token`, `revocation`,
    /// `metadata` (what a client publishes) or `call`.
    pub event: &'static str,
    /// Whether it was refused; else it was allowed.
    pub refused: bool,
    /// The id of the request, as in its `x-request-id`.
    pub request_id: &'a str,
    /// Where the request comes from.
    pub address: &'a str,
    /// The user, by Okta's `sub`.
    pub user: &'a str,
    /// What the client calls itself.
    pub client: &'a str,
    /// Its `client_id`, of which the log gets no more than is needed to tell clients apart.
    pub client_id: &'a str,
    /// The route's pattern.
    pub route: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// Why, in words.
    pub reason: &'a str,
}

impl Audit<'_> {
    /// Writes the line.
    pub fn record(self) {
        tracing::info!(
            target: "audit",
            event = self.event,
            decision = if self.refused { "refused" } else { "allowed" },
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

/// The beginning of a sealed id, which is random; an id that is a URL is short and public already.
fn short(client_id: &str) -> &str {
    if client_id.starts_with("https://") { client_id } else { client_id.get(..12).unwrap_or(client_id) }
}
