//! Dates and times as constants.

use time::{Date, Month, Time, UtcDateTime};

/// Creates a date and time in UTC, for compiled sites.
///
/// # Panics
/// The date or time does not exist.
pub const fn utc_date_time(year: i32, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> UtcDateTime {
    assert!(month >= 1 && month <= 12, "a year has 12 months");
    match (
        Date::from_calendar_date(year, Month::January.nth_next(month - 1), day),
        Time::from_hms(hour, minute, second),
    ) {
        (Ok(date), Ok(time)) => UtcDateTime::new(date, time),
        _ => panic!("the date or time does not exist"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_a_time_in_utc() {
        for (date_time, seconds) in [
            (utc_date_time(1970, 1, 1, 0, 0, 0), 0),
            (utc_date_time(2000, 2, 29, 23, 59, 59), 951_868_799),
            (utc_date_time(2026, 12, 1, 6, 30, 0), 1_796_106_600),
            (utc_date_time(2100, 3, 1, 0, 0, 0), 4_107_542_400),
        ] {
            assert_eq!(date_time.unix_timestamp(), seconds, "{date_time}");
        }
    }

    #[test]
    #[should_panic(expected = "does not exist")]
    fn a_date_that_does_not_exist_is_a_compile_error() {
        let _ = utc_date_time(2026, 2, 29, 0, 0, 0);
    }
}
