//! Log lines of the gateways in this process, found by the request ids of their responses.

use parking_lot::Mutex;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::collections::VecDeque;
use std::io;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

const MAX_LINES: usize = 100_000;
const SOON: Duration = Duration::from_secs(20);

/// Newest log lines, oldest first.
static LINES: Mutex<VecDeque<Value>> = Mutex::new(VecDeque::new());

/// Log lines at `info` and above, from the first use on.
#[derive(Clone, Copy)]
pub(crate) struct Events(&'static Mutex<VecDeque<Value>>);

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = LINES.lock();
        if lines.len() == MAX_LINES {
            lines.pop_front();
        }
        lines.extend(serde_json::from_slice(line).ok());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Events {
    /// Starts to record, once for all tests of this process.
    pub(crate) fn record() -> Self {
        static LOGGER: LazyLock<()> = LazyLock::new(|| {
            let lines = tracing_subscriber::fmt().json().flatten_event(true).with_env_filter("info");
            lines.with_writer(|| Writer).init();
        });
        LazyLock::force(&LOGGER);
        Self(&LINES)
    }

    /// Lines that `wanted` accepts.
    pub(crate) fn all(self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.0.lock().iter().filter(|line| wanted(line)).cloned().collect()
    }

    /// Lines of one request.
    pub(crate) fn of(self, request_id: &str) -> Vec<Value> {
        self.all(|line| line["request_id"] == request_id)
    }

    /// Lines of the request that got a response with these headers.
    pub(crate) fn of_response(self, headers: &HeaderMap) -> Lines {
        Lines(self.of(headers["x-request-id"].to_str().unwrap()))
    }

    /// The only line that `wanted` accepts, now or soon.
    pub(crate) async fn only(self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let mut found = self.all(&wanted);
            assert!(found.len() < 2, "{found:#?}");
            if let Some(line) = found.pop() {
                return line;
            }
            assert!(Instant::now() < deadline, "no such line");
            tokio::task::yield_now().await;
        }
    }
}

/// Lines about one request.
#[derive(Debug)]
pub(crate) struct Lines(Vec<Value>);

impl Lines {
    /// The audit events.
    pub(crate) fn events(&self) -> Vec<&Value> {
        self.0.iter().filter(|line| line["target"] == "audit").collect()
    }

    /// The only audit event.
    pub(crate) fn event(&self) -> &Value {
        let events = self.events();
        assert_eq!(events.len(), 1, "one event is expected: {self:?}");
        events[0]
    }

    /// The lines at `WARN` and `ERROR`.
    pub(crate) fn warnings(&self) -> Vec<&Value> {
        self.0.iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect()
    }
}
