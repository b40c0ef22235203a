use super::*;
use crate::app::request_error::{HostMismatch, RequestError};
use crate::base::captured_log::CapturedLog;
use crate::base::clock::Timestamp;
use crate::proxy::ProxyError;
use std::time::Duration;
use tracing::subscriber::DefaultGuard;

/// A log whose lines are kept.
struct Recorded {
    lines: CapturedLog,
    clock: Clock,
    log: FailureLog,
    _guard: DefaultGuard,
}

impl Recorded {
    fn start() -> Self {
        let (lines, guard) = CapturedLog::start();
        let clock = Clock::manual(Timestamp::from_seconds(1_000));
        let log = FailureLog::with_patterns(["/a/", "/b/"].into_iter(), clock.clone());
        Self { lines, clock, log, _guard: guard }
    }

    fn fail(&self, route: &str, error: &RequestError) {
        if let Some(kind) = error.failure_kind() {
            let cause = ErrorChain(error);
            self.log.write(kind, FailedRequest { request_id: "id-1", event: "", route, cause });
        }
    }

    /// Takes the lines since the last call.
    fn take(&self) -> Vec<String> {
        self.lines.take()
    }
}

#[test]
fn failures_of_a_route_are_logged_once_and_then_counted_a_minute() {
    let recorded = Recorded::start();
    let error = RequestError::from(ProxyError::ConnectTimeout);
    for route in ["/a/", "/b/", "/a/", "/a/"] {
        recorded.fail(route, &error);
    }
    let first = recorded.take();
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first.iter().all(|line| line.contains("WARN") && line.contains("id-1")), "{first:?}");
    assert!(first[0].contains("cause=upstream connection timed out"), "{first:?}");
    recorded.log.write_counts();
    assert!(recorded.take().is_empty());
    recorded.clock.advance(Duration::from_mins(1));
    recorded.log.write_counts();
    let counted = recorded.take();
    assert!(counted.len() == 1 && counted[0].contains("route=\"/a/\" repeated=2"), "{counted:?}");
}

#[test]
fn a_failure_after_a_minute_is_logged_with_its_request_id_and_the_count_of_the_others() {
    let recorded = Recorded::start();
    for _ in 0..3 {
        recorded.fail("/a/", &ProxyError::ResponseTimeout.into());
    }
    assert_eq!(recorded.take().len(), 1);
    recorded.clock.advance(Duration::from_mins(1));
    recorded.fail("/a/", &ProxyError::ResponseTimeout.into());
    let line = recorded.take();
    assert!(line.len() == 1 && line[0].contains("id-1") && line[0].contains("repeated=2"), "{line:?}");
}

#[test]
fn a_refused_host_is_logged_once_with_the_required_one_and_then_counted() {
    let recorded = Recorded::start();
    let mismatch = HostMismatch { received: "10.0.0.7:8080".into(), expected: "mcp.example.com".into() };
    let error = RequestError::ForeignHost(Box::new(mismatch));
    for _ in 0..3 {
        recorded.fail("", &error);
    }
    let line = recorded.take();
    assert!(line.len() == 1 && line[0].contains("WARN") && line[0].contains("id-1"), "{line:?}");
    assert!(line[0].contains("10.0.0.7:8080") && line[0].contains("mcp.example.com"), "{line:?}");
    recorded.clock.advance(Duration::from_mins(1));
    recorded.log.write_counts();
    assert!(recorded.take()[0].contains("repeated=2"));
}

#[test]
fn a_request_that_the_client_spoiled_is_not_logged_and_an_internal_error_once_a_minute() {
    let recorded = Recorded::start();
    recorded.fail("/a/", &RequestError::ForeignOrigin);
    assert!(recorded.take().is_empty());
    for lines in [1, 0] {
        recorded.fail("", &RequestError::HandlerAborted);
        let line = recorded.take();
        assert!(line.len() == lines && line.iter().all(|line| line.contains("ERROR")), "{line:?}");
    }
    recorded.clock.advance(Duration::from_mins(1));
    recorded.log.write_counts();
    assert!(recorded.take()[0].contains("internal error"));
}
