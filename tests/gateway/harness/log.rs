//! What the gateways of this process log, by request id.

use reqwest::header::HeaderMap;
use serde_json::Value;
use std::io;
use std::sync::{LazyLock, Mutex};

static LINES: LazyLock<Mutex<Vec<Value>>> = LazyLock::new(Mutex::default);

/// Writer of JSON lines.
#[derive(Clone, Copy)]
struct Capture;

impl io::Write for Capture {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Ok(line) = serde_json::from_slice::<Value>(line)
            && line["event"] != "call"
        {
            LINES.lock().unwrap().push(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what is logged from now on.
pub(crate) fn capture() {
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(|| Capture);
    // Fails only when another test has called this.
    let _ = subscriber.with_max_level(tracing_subscriber::filter::LevelFilter::INFO).try_init();
}

/// The lines about the request of a response with these headers.
pub(crate) fn of(headers: &HeaderMap) -> Lines {
    let id = headers["x-request-id"].to_str().unwrap();
    let lines = LINES.lock().unwrap();
    Lines(lines.iter().filter(|line| line["request_id"] == id).cloned().collect())
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
