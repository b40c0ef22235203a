//! Parser for `Keep-Alive` (RFC 2068 §19.7.1), in which servers announce when they close a connection.

use super::response_head::decimal;
use std::time::Duration;

/// Limits of a persistent connection that its server announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeepAlive {
    /// `timeout`: time after which the server closes the idle connection.
    pub timeout: Option<Duration>,
    /// `max`: number of requests that the server accepts, counted from the one to which it responds. Some servers do not
    /// count that one.
    pub max_requests: Option<u64>,
}

impl KeepAlive {
    /// Adds the parameters of a field value, such as `timeout=5, max=100`. The lowest of repeated ones counts; unknown,
    /// quoted and malformed ones are ignored.
    pub(super) fn add(&mut self, value: &[u8]) {
        for parameter in value.split(|byte| *byte == b',') {
            let mut parts = parameter.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
            let (Some(name), Some(number)) = (parts.next(), parts.next().and_then(decimal)) else { continue };
            if name.eq_ignore_ascii_case(b"timeout") {
                let timeout = Duration::from_secs(number);
                self.timeout = Some(self.timeout.map_or(timeout, |other| other.min(timeout)));
            } else if name.eq_ignore_ascii_case(b"max") {
                self.max_requests = Some(self.max_requests.map_or(number, |other| other.min(number)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(values: &[&str]) -> (Option<u64>, Option<u64>) {
        let mut keep_alive = KeepAlive::default();
        for value in values {
            keep_alive.add(value.as_bytes());
        }
        (keep_alive.timeout.map(|timeout| timeout.as_secs()), keep_alive.max_requests)
    }

    #[test]
    fn timeout_and_max_are_read_in_any_spelling_and_the_lowest_counts() {
        for (values, timeout, max) in [
            (&["timeout=5"][..], Some(5), None),
            (&["timeout=5, max=100"], Some(5), Some(100)),
            (&["Timeout=5,MAX=1"], Some(5), Some(1)),
            (&["max=0,\ttimeout = 72 "], Some(72), Some(0)),
            (&["timeout=60", "timeout=5, x, max=7", "max=9"], Some(5), Some(7)),
            (&["timeout=0", "timeout=9"], Some(0), None),
            (&["timeout=007, , foo=\"a, b\""], Some(7), None),
        ] {
            assert_eq!(parsed(values), (timeout, max), "{values:?}");
        }
    }

    #[test]
    fn malformed_and_unknown_parameters_are_ignored() {
        for value in [
            "",
            "5",
            "timeout",
            "timeout=",
            "=5",
            "timeout=\"5\"",
            "timeout='5'",
            "timeout=-5",
            "timeout=+5",
            "timeout=5s",
            "timeout=5.5",
            "timeout=5;max=6",
            "timeout==5",
            "timeout=5 6",
            "timeout=18446744073709551616",
            "x-timeout=5",
            "timeouts=5",
            "max=\u{b2}",
            "max=0x10",
            ",,=,",
        ] {
            assert_eq!(parsed(&[value]), (None, None), "{value:?}");
        }
        assert_eq!(parsed(&["timeout=x, timeout=5", "max=x, max=6"]), (Some(5), Some(6)));
    }
}
