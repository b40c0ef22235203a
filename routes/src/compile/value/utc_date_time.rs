//! Dates and times: `2026-11-01T00:00:00Z` or `2026-11-01`.

use super::super::problem::{ValueError, quoted};
use super::ParseResult;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// Parses an RFC 3339 timestamp in UTC, in whole seconds since 1970, or a date, which means its first second.
pub(crate) fn utc_date_time(text: &str) -> ParseResult<UtcDateTime> {
    let timestamp = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let parsed = UtcDateTime::parse(&timestamp, &Rfc3339).ok();
    // RFC 3339 also has offsets, fractions of a second and lower-case letters.
    let is_plain = timestamp.len() == "2026-11-01T00:00:00Z".len() && timestamp.ends_with('Z');
    let date_time = parsed.filter(|at| is_plain && at.nanosecond() == 0 && at.unix_timestamp() >= 0);
    date_time.ok_or_else(|| {
        let message = format!("{} is not a date or time", quoted(text));
        ValueError::new(
            message,
            "write it in UTC, such as 2026-11-01T00:00:00Z, or the day alone, such as 2026-11-01",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_first_second_in_utc() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-01", 1_793_491_200),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(utc_date_time(text).map(UtcDateTime::unix_timestamp), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn other_notations_and_times_that_do_not_exist_are_rejected() {
        for text in [
            "",
            "now",
            "2026-1-1",
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-06-31",
            "1969-12-31",
            "02026-11-01",
            "20261101",
            "2026-11-01T",
            "2026-11-01Z",
            "2026-11-01T00:00Z",
            "2026-11-01T00:00:00",
            "2026-11-01t00:00:00Z",
            "2026-11-01T00:00:00z",
            "2026-11-01 00:00:00Z",
            "2026-11-01T24:00:00Z",
            "2026-12-31T23:59:60Z",
            "2026-11-01T00:00:00.5Z",
            "2026-11-01T00:00:00+00:00",
            "2026-11-01T00:00:00+01:00",
            " 2026-11-01",
        ] {
            assert!(utc_date_time(text).is_err(), "{text:?}");
        }
    }
}
