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
    /// Requests with the `Host` of another server: often a proxy or a load balancer that is set up wrongly.
    hosts: Throttle,
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
        Self { clock, routes, store: Throttle::default(), hosts: Throttle::default() }
    }

    /// Logs a request that ended with this error, if that is a fault of the gateway or of a service behind it. `route`
    /// is the pattern, or empty for the gateway's own endpoints.
    pub fn failed(&self, route: &str, request_id: &str, error: &RequestError) {
        if let RequestError::ForeignHost(mismatch) = error
            && self.hosts.is_first(self.now())
        {
            let (host, expected) = (&mismatch.received, &mismatch.expected);
            tracing::warn!(
                request_id,
                route,
                host,
                expected,
                "Host refused: set it in the proxy, or base_url"
            );
        }
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
            RequestError::Proxy(_) | RequestError::ShutDown => {
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
        if let Some(count) = self.hosts.take_count(now) {
            tracing::warn!(count, "requests with the Host of another server were refused");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::request_error::HostMismatch;
    use crate::base::clock::Timestamp;
    use crate::proxy::ProxyError;
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// Takes the lines since the last call.
        fn take(&self) -> Vec<String> {
            let lines = String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap();
            lines.lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn failures_of_a_route_are_logged_once_and_then_counted_a_minute() {
        let lines = Lines::default();
        let out = lines.clone();
        let builder = tracing_subscriber::fmt().with_ansi(false).without_time();
        let _guard = tracing::subscriber::set_default(builder.with_writer(move || out.clone()).finish());
        let clock = Clock::manual(Timestamp::from_seconds(1_000));
        let mut log = CallLog::new(&[], clock.clone());
        log.routes = ["/a/", "/b/"].map(|route| (route, RouteFailures::default())).into();
        let error = RequestError::from(ProxyError::ConnectTimeout);
        for route in ["/a/", "/b/", "/a/", "/a/"] {
            log.failed(route, "id-1", &error);
        }
        let first = lines.take();
        assert_eq!(first.len(), 2, "{first:?}");
        assert!(first.iter().all(|line| line.contains("WARN") && line.contains("id-1")), "{first:?}");
        assert!(first[0].contains("status=504 cause=upstream connection timed out"), "{first:?}");
        log.report();
        assert!(lines.take().is_empty());
        clock.advance(Duration::from_mins(1));
        log.report();
        let counted = lines.take();
        assert!(counted.len() == 1 && counted[0].contains("route=\"/a/\" count=2"), "{counted:?}");
    }

    #[test]
    fn a_refused_host_is_logged_once_with_the_required_one_and_then_counted() {
        let lines = Lines::default();
        let out = lines.clone();
        let builder = tracing_subscriber::fmt().with_ansi(false).without_time();
        let _guard = tracing::subscriber::set_default(builder.with_writer(move || out.clone()).finish());
        let clock = Clock::manual(Timestamp::from_seconds(1_000));
        let log = CallLog::new(&[], clock.clone());
        let mismatch = HostMismatch { received: "10.0.0.7:8080".into(), expected: "mcp.example.com".into() };
        let error = RequestError::ForeignHost(Box::new(mismatch));
        for _ in 0..3 {
            log.failed("", "id-1", &error);
        }
        let line = lines.take();
        assert!(line.len() == 1 && line[0].contains("WARN") && line[0].contains("id-1"), "{line:?}");
        assert!(line[0].contains("10.0.0.7:8080") && line[0].contains("mcp.example.com"), "{line:?}");
        clock.advance(Duration::from_mins(1));
        log.report();
        assert!(lines.take()[0].contains("count=2"));
    }

    #[test]
    fn a_request_that_the_client_spoiled_is_not_logged_and_an_internal_error_always() {
        let lines = Lines::default();
        let out = lines.clone();
        let builder = tracing_subscriber::fmt().with_ansi(false).without_time();
        let _guard = tracing::subscriber::set_default(builder.with_writer(move || out.clone()).finish());
        let log = CallLog::new(&[], Clock::manual(Timestamp::from_seconds(1_000)));
        log.failed("/a/", "id-1", &RequestError::ForeignOrigin);
        assert!(lines.take().is_empty());
        for _ in 0..2 {
            log.failed("", "id-2", &RequestError::HandlerAborted);
            let line = lines.take();
            assert!(line.len() == 1 && line[0].contains("ERROR") && line[0].contains("id-2"), "{line:?}");
        }
    }
}
