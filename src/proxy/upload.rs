//! Progress of a request body on its way to the MCP server.

use std::time::Duration;
use tokio::time::Instant;

/// Longest pause of an upload, unless the route's response timeout is shorter.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Time in which an upload must make [`MIN_BYTES`] of progress: a client that sends single bytes holds a connection.
const WINDOW: Duration = Duration::from_mins(1);
/// Least progress in a [`WINDOW`], in bytes; the end of the body counts as well.
const MIN_BYTES: u64 = 32 * 1024;

/// Progress of an upload. The response timeout runs from its end.
pub(super) struct Upload {
    max_pause: Duration,
    /// Bytes that may still arrive, at the last progress.
    remaining: u64,
    /// The same, at the start of the window.
    remaining_at_start: u64,
    window_end: Instant,
}

impl Upload {
    /// Starts an upload in which `remaining` bytes may still arrive.
    pub(super) fn start(remaining: u64, response_timeout: Duration, now: Instant) -> Self {
        let max_pause = MAX_PAUSE.min(response_timeout);
        Self { max_pause, remaining, remaining_at_start: remaining, window_end: now + WINDOW }
    }

    /// Returns the time in which there must be further progress.
    pub(super) fn timeout(&self, now: Instant) -> Duration {
        self.max_pause.min(self.window_end.saturating_duration_since(now))
    }

    /// Records that `remaining` bytes may still arrive; returns the new timeout if that is progress.
    pub(super) fn advance(&mut self, remaining: u64, now: Instant) -> Option<Duration> {
        if remaining == self.remaining {
            return None;
        }
        self.remaining = remaining;
        if self.remaining_at_start - remaining >= MIN_BYTES {
            (self.remaining_at_start, self.window_end) = (remaining, now + WINDOW);
        }
        Some(self.timeout(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE_TIMEOUT: Duration = Duration::from_mins(5);

    #[test]
    fn an_upload_of_4_mib_at_60_kb_a_second_passes() {
        let start = Instant::now();
        let mut upload = Upload::start(4 << 20, RESPONSE_TIMEOUT, start);
        let mut remaining: u64 = 4 << 20;
        for second in 1..=70 {
            remaining = remaining.saturating_sub(60_000);
            let timeout = upload.advance(remaining, start + Duration::from_secs(second));
            assert!(timeout.is_none_or(|timeout| timeout > Duration::from_secs(20)), "{second}");
        }
        assert_eq!(remaining, 0);
    }

    #[test]
    fn an_upload_times_out_after_a_pause_and_without_enough_progress() {
        let start = Instant::now();
        let mut upload = Upload::start(4 << 20, RESPONSE_TIMEOUT, start);
        assert_eq!(upload.timeout(start), MAX_PAUSE);
        assert_eq!(upload.advance(4 << 20, start), None, "no progress");
        for (second, timeout) in [(20, 30), (40, 20), (59, 1), (61, 0)] {
            let now = start + Duration::from_secs(second);
            assert_eq!(
                upload.advance((4 << 20) - second, now),
                Some(Duration::from_secs(timeout)),
                "{second}"
            );
        }
        let impatient = Upload::start(10, Duration::from_millis(100), start);
        assert_eq!(impatient.timeout(start), Duration::from_millis(100));
    }
}
