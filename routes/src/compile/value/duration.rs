//! Durations: `500ms`, `60s`, `10m`, `1h`, `30d`. Crates for this accept more notations than the contract has, and their
//! errors do not say what to write.

use super::super::problem::{ValueError, quoted};
use super::ParseResult;
use std::ops::RangeInclusive;
use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Parser of durations between two bounds, which are written in the same notation.
pub(crate) fn duration_between(
    bounds: RangeInclusive<&'static str>,
) -> impl Fn(&str) -> ParseResult<Duration> {
    move |text| {
        let duration = parse(text)?;
        let inside = parse(bounds.start())?..=parse(bounds.end())?;
        if inside.contains(&duration) {
            return Ok(duration);
        }
        let remedy = format!("write a duration from {} to {}", bounds.start(), bounds.end());
        Err(ValueError::new(format!("{text} is out of bounds"), remedy))
    }
}

fn parse(text: &str) -> ParseResult<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if digits > 0 && unit.is_empty() {
        let message = format!("{} has no unit", quoted(text));
        return Err(ValueError::new(
            message,
            format!("write {number}s for seconds; the units are ms, s, m, h, d"),
        ));
    }
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<u64>(), factor) {
        (Ok(number), Some(factor)) => Ok(Duration::from_millis(number.saturating_mul(factor))),
        _ => Err(ValueError::new(
            format!("{} is not a duration", quoted(text)),
            "write a whole number and its unit, such as 500ms, 60s, 10m, 1h or 30d",
        )),
    }
}
