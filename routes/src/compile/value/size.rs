//! Sizes: `4MiB`, `64KiB`, or a number of bytes. Crates for this also accept decimal units, which are easily confused with
//! these.

use super::super::problem::{ValueError, quoted};
use super::ParseResult;

const UNITS: [(&str, u64); 4] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Parses a size from 1 KiB to 1 GiB, in bytes.
pub(crate) fn size(text: &str) -> ParseResult<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let (Ok(number), Some(factor)) = (number.parse::<u64>(), factor) else {
        return Err(ValueError::new(
            format!("{} is not a size", quoted(text)),
            "write a whole number and KiB, MiB or GiB, such as 4MiB, or bytes as a number alone",
        ));
    };
    let bytes = number.saturating_mul(factor);
    if ((1 << 10)..=(1 << 30)).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(ValueError::new(format!("{text} is out of bounds"), "write a size from 1KiB to 1GiB"))
    }
}
