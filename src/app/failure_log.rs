//! Log lines about failed requests, bounded while a failure repeats.

use crate::base::clock::Clock;
use crate::base::error_chain::ErrorChain;
use crate::base::throttle::Throttle;
use crate::okta::METADATA_REMEDY;
use gateway_routes::Route;
use std::collections::HashMap;

/// Instruction for a gateway that cannot fetch the documents of clients.
const DOCUMENT_REMEDY: &str = "allow https from this machine to the client's site, or set `client_metadata:` in \
                               config.yaml: `documents` compiles the document in, `mode: pinned` uses it without a \
                               fetch, `mode: off` lets every client register instead";

/// Kind of a failure. Each is logged and counted separately, those of an MCP server for each route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The store is unavailable.
    Store,
    /// The same, but the request goes on: the user's denial reaches the client.
    Denial,
    /// Okta is unavailable.
    Okta,
    /// Okta rejects the credentials or the settings of the gateway's app: an administrator must act.
    OktaSettings,
    /// A user could not be revalidated at Okta; within `okta_grace`, the request goes on.
    Revalidation,
    /// A client's metadata document or key set is unavailable.
    Document,
    /// The same, but the request goes on with a copy of it.
    DocumentCopy,
    /// The MCP server of the route failed before its response.
    Server,
    /// The response of an allowed call was cut.
    Stream,
    /// `Host` names another server: often a proxy or a load balancer that is set up wrongly.
    Host,
    /// The shutdown ended before the request had a response.
    ShutDown,
    /// An internal error of the gateway.
    Internal,
}

impl FailureKind {
    /// Kinds that are counted for the gateway as a whole.
    const GLOBAL: [Self; 10] = [
        Self::Store,
        Self::Denial,
        Self::Okta,
        Self::OktaSettings,
        Self::Revalidation,
        Self::Document,
        Self::DocumentCopy,
        Self::Host,
        Self::ShutDown,
        Self::Internal,
    ];
    /// Kinds that are counted for each route.
    const OF_ROUTES: [Self; 2] = [Self::Server, Self::Stream];

    /// Returns the service that failed.
    const fn service(self) -> Option<&'static str> {
        match self {
            Self::Store | Self::Denial => Some("store"),
            Self::Okta | Self::OktaSettings | Self::Revalidation => Some("okta"),
            Self::Document | Self::DocumentCopy => Some("client_document"),
            Self::Server | Self::Stream | Self::Host | Self::ShutDown | Self::Internal => None,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Store | Self::Okta | Self::Document => "request failed: a service is unavailable",
            Self::Denial => "a denial could not be stored: the client is told, and the form stays valid",
            Self::OktaSettings => "Okta rejects the gateway's app: an administrator must change its settings",
            Self::Revalidation => "revalidation of a user failed: the refresh continues within okta_grace",
            Self::DocumentCopy => "fetch of a client document failed: a copy of it is used",
            Self::Server => "call failed",
            Self::Stream => "response body aborted",
            Self::Host => "Host refused: set it in the proxy, or base_url",
            Self::ShutDown => "request failed: the gateway shut down",
            Self::Internal => "request failed: internal error",
        }
    }

    const fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Document | Self::DocumentCopy => Some(DOCUMENT_REMEDY),
            Self::Okta | Self::Revalidation => Some(METADATA_REMEDY),
            _ => None,
        }
    }

    /// Returns `true` for a failure that an administrator or a developer must correct.
    const fn is_error(self) -> bool {
        matches!(self, Self::OktaSettings | Self::Internal)
    }
}

/// Fields of the log line of a failed request. Unknown ones are empty.
#[derive(Debug, Clone, Copy)]
pub struct FailedRequest<'a> {
    /// The request id, as in the response's `x-request-id`.
    pub request_id: &'a str,
    /// The endpoint, as in the kind of its audit event; calls have a route instead.
    pub event: &'static str,
    /// The pattern of the route.
    pub route: &'a str,
    /// The error with all its causes.
    pub cause: ErrorChain<'a>,
}

/// Writer of the lines about failed requests: of each kind the first at once, with its request id, then one line a minute
/// that counts the others. Each failed request leaves an audit event all the same.
pub struct FailureLog {
    clock: Clock,
    /// By kind, and by the pattern of the route or nothing.
    throttles: HashMap<(FailureKind, &'static str), Throttle>,
}

impl FailureLog {
    /// Creates the log for these routes.
    pub fn new(routes: &'static [Route], clock: Clock) -> Self {
        Self::with_patterns(routes.iter().map(|route| route.pattern), clock)
    }

    fn with_patterns(patterns: impl Iterator<Item = &'static str>, clock: Clock) -> Self {
        let of_routes = patterns.flat_map(|pattern| FailureKind::OF_ROUTES.map(|kind| (kind, pattern)));
        let keys = of_routes.chain(FailureKind::GLOBAL.map(|kind| (kind, "")));
        Self { clock, throttles: keys.map(|key| (key, Throttle::default())).collect() }
    }

    /// Writes the line about a failed request, or counts it.
    pub fn write(&self, kind: FailureKind, request: FailedRequest<'_>) {
        let FailedRequest { request_id, event, route, cause } = request;
        let Some(repeated) = self.count(kind, route) else { return };
        let (event, route) = (some(event), some(route));
        let (service, remedy, message) = (kind.service(), kind.remedy(), kind.message());
        if kind.is_error() {
            tracing::error!(request_id, event, route, service, %cause, repeated, remedy, "{message}");
        } else {
            tracing::warn!(request_id, event, route, service, %cause, repeated, remedy, "{message}");
        }
    }

    /// Counts a failure. Returns how many others were counted since the last line, if a line is due.
    fn count(&self, kind: FailureKind, route: &str) -> Option<u64> {
        let route = if FailureKind::OF_ROUTES.contains(&kind) { route } else { "" };
        let Some(throttle) = self.throttles.get(&(kind, route)) else { return Some(0) };
        let now = self.now();
        if throttle.is_first(now) {
            return Some(0);
        }
        throttle.take_count(now).map(|count| count - 1)
    }

    /// Writes how many requests failed since the last line, a minute or more after it. To be called about every second.
    pub fn write_counts(&self) {
        let now = self.now();
        for ((kind, route), throttle) in &self.throttles {
            if let Some(repeated) = throttle.take_count(now) {
                tracing::warn!(
                    failure = kind.message(),
                    service = kind.service(),
                    route = some(route),
                    repeated,
                    "a failure repeated: the audit log has each request"
                );
            }
        }
    }

    fn now(&self) -> u64 {
        self.clock.now().seconds()
    }
}

/// Returns the text unless it is empty.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
