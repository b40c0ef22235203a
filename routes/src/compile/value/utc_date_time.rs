//! Dates and times: `2026-11-01T00:00:00Z` or `2026-11-01`.

use super::super::problem::{ValueError, quoted};
use super::ParseResult;
use crate::UtcDateTime;

/// Parses an RFC 3339 timestamp in UTC, or a date, which means its first second.
pub(crate) fn utc_date_time(text: &str) -> ParseResult<UtcDateTime> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (Some(date), time.strip_suffix('Z')),
        None => (Some(text), Some("00:00:00")),
    };
    let date = date.and_then(|date| numbers(date, "-", [4, 2, 2]));
    let time = time.and_then(|time| numbers(time, ":", [2, 2, 2]));
    let small = |number: u16| u8::try_from(number).ok();
    let parsed = date.zip(time).and_then(|([year, month, day], [hour, minute, second])| {
        UtcDateTime::checked(
            (year, small(month)?, small(day)?),
            (small(hour)?, small(minute)?, small(second)?),
        )
    });
    parsed.ok_or_else(|| {
        let message = format!("{} is not a date or time", quoted(text));
        ValueError::new(
            message,
            "write it in UTC, such as 2026-11-01T00:00:00Z, or the day alone, such as 2026-11-01",
        )
    })
}

/// Parses three numbers with these numbers of digits.
fn numbers(text: &str, separator: &str, lengths: [usize; 3]) -> Option<[u16; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let [first, second, third] = *parts.as_slice() else { return None };
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = [first, second, third].into_iter().zip(lengths).all(|(part, length)| digits(part, length));
    let number = |part: &str| part.parse().ok();
    fits.then(|| Some([number(first)?, number(second)?, number(third)?]))?
}
