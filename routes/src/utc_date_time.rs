//! Calendar dates and times.

/// Date and time in UTC with a resolution of seconds, from 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcDateTime {
    date: (u16, u8, u8),
    time: (u8, u8, u8),
}

impl UtcDateTime {
    /// Creates a timestamp from (year, month, day) and (hour, minute, second).
    ///
    /// # Panics
    /// The date or time does not exist.
    pub const fn utc(date: (u16, u8, u8), time: (u8, u8, u8)) -> Self {
        match Self::checked(date, time) {
            Some(date_time) => date_time,
            None => panic!("the date or time does not exist"),
        }
    }

    /// Creates a timestamp; `None` when the date or time does not exist.
    pub const fn checked(date: (u16, u8, u8), time: (u8, u8, u8)) -> Option<Self> {
        let (year, month, day) = date;
        let (hour, minute, second) = time;
        let exists = year >= 1970 && year <= 9999 && day >= 1 && day <= days_in_month(year, month);
        if exists && hour < 24 && minute < 60 && second < 60 { Some(Self { date, time }) } else { None }
    }

    /// Seconds since the Unix epoch.
    pub const fn seconds(self) -> u64 {
        let (year, month, day) = self.date;
        let (hour, minute, second) = self.time;
        let mut days = day as u64 - 1;
        let mut before = 1970;
        while before < year {
            days += if is_leap(before) { 366 } else { 365 };
            before += 1;
        }
        let mut before = 1;
        while before < month {
            days += days_in_month(year, before) as u64;
            before += 1;
        }
        ((days * 24 + hour as u64) * 60 + minute as u64) * 60 + second as u64
    }

    /// Returns (year, month, day) and (hour, minute, second).
    pub const fn parts(self) -> ((u16, u8, u8), (u8, u8, u8)) {
        (self.date, self.time)
    }
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_from_the_unix_epoch() {
        for (date, time, seconds) in [
            ((1970, 1, 1), (0, 0, 0), 0),
            ((2000, 2, 29), (23, 59, 59), 951_868_799),
            ((2026, 11, 1), (0, 0, 0), 1_793_491_200),
            ((2100, 3, 1), (0, 0, 0), 4_107_542_400),
        ] {
            assert_eq!(UtcDateTime::utc(date, time).seconds(), seconds, "{date:?} {time:?}");
        }
    }

    #[test]
    fn an_invalid_date_is_none() {
        for date in [(2026, 2, 29), (2100, 2, 29), (2026, 13, 1), (2026, 0, 1), (2026, 6, 31), (1969, 12, 31)]
        {
            assert_eq!(UtcDateTime::checked(date, (0, 0, 0)), None, "{date:?}");
        }
        assert_eq!(UtcDateTime::checked((2026, 1, 1), (24, 0, 0)), None);
    }
}
