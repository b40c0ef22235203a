//! Log lines about calls that fail, bounded when a failure repeats: the first of each route at once, later ones as a
//! count a minute. Each call has an audit event of its own besides.

use crate::app::request_error::RequestError;
use crate::base::clock::Clock;
use crate::base::error_chain::ErrorChain;
use crate::base::throttle::Throttle;
use gateway_routes::Route;
use std::collections::HashMap;
use std::error::Error;

/// Throttled log of failures.
pub struct CallLog {
    clock: Clock,
    /// By pattern.
    routes: HashMap<&'static str, RouteFailures>,
    /// Calls whose grant could not be read. The store logs the beginning and the end of its own outages.
    store: Throttle,
}

/// Throttles of one route.
#[derive(Default)]
struct RouteFailures {
    calls: Throttle,
    streams: Throttle,
}

impl CallLog {
    /// Creates the log for these routes.
    pub fn new(routes: &'static [Route], clock: Clock) -> Self {
        let routes = routes.iter().map(|route| (route.pattern, RouteFailures::default())).collect();
        Self { clock, routes, store: Throttle::default() }
    }

    /// Logs a request that ended with this error, if that is a fault of the gateway or of a service behind it. `route`
    /// is the pattern, or empty for the gateway's own endpoints.
    pub fn failed(&self, route: &str, request_id: &str, error: &RequestError) {
        let status = error.status();
        if !status.is_server_error() {
            return;
        }
        let (status, cause) = (status.as_u16(), ErrorChain(error));
        match error {
            // `Admission` logs it, as it does connections that it refuses.
            RequestError::ConnectionLimit => {}
            RequestError::StoreUnavailable(_) => {
                if self.store.is_first(self.now()) {
                    tracing::debug!(request_id, route, status, %cause, "call failed");
                }
            }
            RequestError::Proxy(_) => {
                let failures = self.routes.get(route);
                if failures.is_none_or(|failures| failures.calls.is_first(self.now())) {
                    tracing::warn!(request_id, route, status, %cause, "call failed");
                }
            }
            _ => tracing::error!(request_id, route, status, %cause, "request failed: internal error"),
        }
    }

    /// Logs an allowed call whose response was cut.
    pub fn aborted(&self, route: &str, request_id: &str, cause: &(dyn Error + 'static)) {
        let failures = self.routes.get(route);
        if failures.is_none_or(|failures| failures.streams.is_first(self.now())) {
            tracing::warn!(request_id, route, cause = %ErrorChain(cause), "response body aborted");
        }
    }

    /// Logs the counts that are due. To be called about every second.
    pub fn report(&self) {
        let now = self.now();
        if let Some(count) = self.store.take_count(now) {
            tracing::warn!(count, "calls got 503: their grants could not be checked");
        }
        for (route, failures) in &self.routes {
            if let Some(count) = failures.calls.take_count(now) {
                tracing::warn!(route, count, "calls failed: the audit log has the reasons");
            }
            if let Some(count) = failures.streams.take_count(now) {
                tracing::warn!(route, count, "response bodies aborted: the audit log has the reasons");
            }
        }
    }

    fn now(&self) -> u64 {
        self.clock.now().seconds()
    }
}
