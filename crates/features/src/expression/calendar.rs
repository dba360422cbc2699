//! The civil calendar (proleptic Gregorian) by arithmetic, over all days an `i64` of microseconds can name.
//!
//! After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

use karat_core::time::MICROS_PER_DAY;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    /// 1 to 31.
    pub(super) day: i64,
}

impl Civil {
    pub(super) fn from_days(days: i64) -> Civil {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Civil { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    pub(super) fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// Months since year 0.
    fn months(self) -> i64 {
        self.year * 12 + self.month - 1
    }
}

/// Whole months from one day to another, by comparing days of the month; negative, and as many, the other way round.
pub(super) fn months_between(from: i64, to: i64) -> i64 {
    if to < from {
        return -months_between(to, from);
    }
    let (from, to) = (Civil::from_days(from), Civil::from_days(to));
    to.months() - from.months() - i64::from(to.day < from.day)
}

/// The day `months` months later, its day of the month clamped to the month's length.
pub(super) fn add_months(days: i64, months: i64) -> Option<i64> {
    let civil = Civil::from_days(days);
    let moved = civil.months().checked_add(months).filter(|moved| moved.abs() < 12 * 400_000)?;
    let (year, month) = (moved.div_euclid(12), moved.rem_euclid(12) + 1);
    Some(Civil { year, month, day: civil.day.min(days_in(year, month)) }.days())
}

/// The day of an instant in microseconds UTC, and the microseconds into it.
pub(super) fn day_of(micros: i64) -> (i64, i64) {
    (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_calendar_agrees_with_jiff_over_its_whole_range() {
        let epoch = date(1970, 1, 1);
        for days in (-4_300_000..2_900_000).step_by(97) {
            let civil = Civil::from_days(days);
            let expected = epoch.checked_add(jiff::Span::new().days(days)).unwrap();
            assert_eq!(
                (civil.year, civil.month, civil.day),
                (i64::from(expected.year()), i64::from(expected.month()), i64::from(expected.day()))
            );
            assert_eq!(civil.days(), days);
        }
    }

    #[test]
    fn months_clamp_and_count_whole_ones() {
        let day = |text: &str| i64::from(karat_core::time::civil_date(text).unwrap());
        assert_eq!(add_months(day("2024-01-31"), 1), Some(day("2024-02-29")));
        assert_eq!(add_months(day("2023-03-31"), -1), Some(day("2023-02-28")));
        assert_eq!(add_months(day("2024-02-29"), 12), Some(day("2025-02-28")));
        assert_eq!(add_months(0, i64::MAX), None);
        assert_eq!(months_between(day("2024-01-31"), day("2024-02-29")), 0);
        assert_eq!(months_between(day("2000-02-29"), day("2021-02-28")), 251);
        assert_eq!(months_between(day("2000-02-29"), day("2021-03-01")), 252);
        assert_eq!(months_between(day("2021-03-01"), day("2000-02-29")), -252);
    }
}
