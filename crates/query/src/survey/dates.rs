//! Dates as files write them. ISO dates are Karat's own; every other form becomes one by an expression of `prepare`.

use karat_core::time::{MICROS_PER_DAY, civil_date};
use karat_core::{Instant, Zone};

/// Which of two numbers comes first in `03/04/2021`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    DayFirst,
    MonthFirst,
}

/// A way to write a date or a time that is not ISO's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeForm {
    /// `14.03.2021`, or `14.03.2021 13:05`
    Text { date: DateForm, clock: Option<Clock> },
    /// Whole numbers since the beginning of 1970.
    Unix(Unit),
    /// Days as spreadsheets count them: 44,269 is 2021-03-14.
    SheetDays,
}

/// What whole numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
}

/// 1899-12-30, from which spreadsheets count their days since 1 March 1900.
const SHEET_BEGIN: i64 = -25_569;

impl TimeForm {
    /// Microseconds since 1970; a naive time is taken as UTC.
    pub fn parse(self, cell: &str) -> Option<i64> {
        match self {
            TimeForm::Text { date, clock: None } => Some(i64::from(date.parse(cell)?) * MICROS_PER_DAY),
            TimeForm::Text { date, clock: Some(clock) } => {
                let (day, time) = cell.trim().split_once(' ')?;
                Some(i64::from(date.parse(day)?) * MICROS_PER_DAY + clock.parse(time)?)
            }
            TimeForm::Unix(unit) => whole(cell)?.checked_mul(unit.micros()),
            TimeForm::SheetDays => whole(cell)?.checked_add(SHEET_BEGIN)?.checked_mul(MICROS_PER_DAY),
        }
    }

    /// The SQL expression that makes a date or timestamp of the column `name`, which is written as SQL writes it.
    pub fn to_time(self, name: &str) -> String {
        match self {
            TimeForm::Text { date, clock: None } => date.to_date(name),
            TimeForm::Text { date, clock: Some(clock) } => {
                format!("to_timestamp_micros({name}, '{} {}')", date.format(), clock.format())
            }
            TimeForm::Unix(Unit::Seconds) => format!("to_timestamp_seconds({name})"),
            TimeForm::Unix(Unit::Milliseconds) => format!("to_timestamp_millis({name})"),
            TimeForm::Unix(Unit::Microseconds) => format!("to_timestamp_micros({name})"),
            TimeForm::SheetDays => format!("add_days(DATE '1899-12-30', {name})"),
        }
    }

    /// What numbers count, as people say it; `None` where they are no numbers.
    pub fn counts(self) -> Option<&'static str> {
        match self {
            TimeForm::Text { .. } => None,
            TimeForm::Unix(Unit::Seconds) => Some("seconds since 1970"),
            TimeForm::Unix(Unit::Milliseconds) => Some("milliseconds since 1970"),
            TimeForm::Unix(Unit::Microseconds) => Some("microseconds since 1970"),
            TimeForm::SheetDays => Some("days as spreadsheets count them"),
        }
    }

    /// Whether years are written without their century.
    pub fn is_of_short_years(self) -> bool {
        matches!(self, TimeForm::Text { date, .. } if date.years() == Years::Two)
    }
}

/// Programs write whole numbers as `17.0` where some are missing.
fn whole(cell: &str) -> Option<i64> {
    let number: f64 = cell.trim().parse().ok()?;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

impl Unit {
    fn micros(self) -> i64 {
        match self {
            Unit::Seconds => 1_000_000,
            Unit::Milliseconds => 1_000,
            Unit::Microseconds => 1,
        }
    }
}

/// A way to write a time of day behind a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `13:05`
    Minutes,
    /// `13:05:06`
    Seconds,
    /// `13:05:06.250`, the fraction where there is one
    Fractions,
    /// `1:05 PM`
    HalfMinutes,
    /// `1:05:06 PM`
    HalfSeconds,
}

pub(super) const CLOCKS: [Clock; 5] =
    [Clock::Minutes, Clock::Seconds, Clock::Fractions, Clock::HalfMinutes, Clock::HalfSeconds];

impl Clock {
    /// Microseconds since midnight.
    pub(super) fn parse(self, text: &str) -> Option<i64> {
        let (time, half) = match (self, text.trim().split_once(' ')) {
            (Clock::HalfMinutes | Clock::HalfSeconds, Some((time, half))) => (time, Some(half)),
            (Clock::HalfMinutes | Clock::HalfSeconds, None) => return None,
            _ => (text.trim(), None),
        };
        let (time, fraction) = match (self, time.split_once('.')) {
            (Clock::Fractions, Some((time, fraction))) => (time, fraction),
            _ => (time, ""),
        };
        let parts: Vec<i64> = time.split(':').map(two_digits).collect::<Option<_>>()?;
        let (hour, minute, second) = match (self, parts.as_slice()) {
            (Clock::Minutes | Clock::HalfMinutes, [hour, minute]) => (*hour, *minute, 0),
            (Clock::Seconds | Clock::Fractions | Clock::HalfSeconds, [hour, minute, second]) => {
                (*hour, *minute, *second)
            }
            _ => return None,
        };
        let hour = match half.map(str::to_ascii_lowercase).as_deref() {
            None => hour,
            Some("am") if (1..=12).contains(&hour) => hour % 12,
            Some("pm") if (1..=12).contains(&hour) => hour % 12 + 12,
            Some(_) => return None,
        };
        if hour > 23 || minute > 59 || second > 59 || fraction.len() > 9 {
            return None;
        }
        let micros = match fraction {
            "" => 0,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => format!("{digits:0<6}")[..6].parse().ok()?,
            _ => return None,
        };
        Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
    }

    fn format(self) -> &'static str {
        match self {
            Clock::Minutes => "%H:%M",
            Clock::Seconds => "%H:%M:%S",
            Clock::Fractions => "%H:%M:%S%.f",
            Clock::HalfMinutes => "%I:%M %p",
            Clock::HalfSeconds => "%I:%M:%S %p",
        }
    }
}

fn two_digits(text: &str) -> Option<i64> {
    let is_short = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_short { text.parse().ok() } else { None }
}

/// A day and a time of day, where the cell is two words or three; the clock by its place among [`CLOCKS`].
pub(super) fn split_clock(cell: &str) -> Option<(&str, usize, i64)> {
    let (day, time) = cell.split_once(' ')?;
    let clocks = CLOCKS.iter().enumerate();
    clocks.into_iter().find_map(|(place, clock)| Some((day, place, clock.parse(time)?)))
}

/// Whether years are written with their century.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Years {
    Four,
    /// 70 to 99 are of the last century, as everything that reads `%y` has it.
    Two,
}

/// A way to write a day, or a month for its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    /// Day, month and year (or month first) with a sign between them.
    Numeric { order: DateOrder, sign: char, years: Years },
    /// `2021/03/04`
    YearFirst,
    /// `20210304`
    Compact,
    /// `2021-03`: the month's first day.
    Month,
    /// `Mar-2021`
    MonthName,
    /// `04-Mar-2021`
    DayMonthName { years: Years },
}

const fn numeric(order: DateOrder, sign: char, years: Years) -> DateForm {
    DateForm::Numeric { order, sign, years }
}

/// Of forms that read equally many cells the first is taken. Two digits of a year behind hyphens are none of them: `21-03-14`
/// may begin with its year.
pub(super) const FORMS: [DateForm; 15] = [
    numeric(DateOrder::DayFirst, '/', Years::Four),
    numeric(DateOrder::MonthFirst, '/', Years::Four),
    numeric(DateOrder::DayFirst, '.', Years::Four),
    numeric(DateOrder::DayFirst, '-', Years::Four),
    numeric(DateOrder::MonthFirst, '-', Years::Four),
    DateForm::YearFirst,
    DateForm::Compact,
    DateForm::Month,
    DateForm::MonthName,
    DateForm::DayMonthName { years: Years::Four },
    numeric(DateOrder::MonthFirst, '.', Years::Four),
    numeric(DateOrder::DayFirst, '/', Years::Two),
    numeric(DateOrder::MonthFirst, '/', Years::Two),
    numeric(DateOrder::DayFirst, '.', Years::Two),
    DateForm::DayMonthName { years: Years::Two },
];

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl DateForm {
    /// Days since 1970-01-01.
    pub fn parse(self, cell: &str) -> Option<i32> {
        let cell = cell.trim();
        let digits = |text: &str, length: usize| {
            (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
        };
        let short = |text: &str| {
            ((1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| format!("{text:0>2}"))
        };
        let named = |text: &str| {
            let place = MONTHS.iter().position(|month| text.eq_ignore_ascii_case(month))?;
            Some(format!("{:02}", place + 1))
        };
        let year_of = |text: &str, years: Years| match years {
            Years::Four => digits(text, 4),
            Years::Two => {
                digits(text, 2).map(|year| if *year < *"70" { format!("20{year}") } else { format!("19{year}") })
            }
        };
        let parts = |sign: char| -> Option<[&str; 3]> {
            let parts: Vec<&str> = cell.split(sign).collect();
            parts.try_into().ok()
        };
        let (year, month, day) = match self {
            DateForm::Numeric { order, sign, years } => {
                let [first, second, year] = parts(sign)?;
                let (day, month) = match order {
                    DateOrder::DayFirst => (first, second),
                    DateOrder::MonthFirst => (second, first),
                };
                (year_of(year, years)?, short(month)?, short(day)?)
            }
            DateForm::YearFirst => {
                let [year, month, day] = parts('/')?;
                (digits(year, 4)?, short(month)?, short(day)?)
            }
            DateForm::Compact => {
                let all = digits(cell, 8)?;
                let year: u32 = all[..4].parse().ok()?;
                if !(1900..=2100).contains(&year) {
                    return None;
                }
                (all[..4].to_owned(), all[4..6].to_owned(), all[6..].to_owned())
            }
            DateForm::Month => {
                let (year, month) = cell.split_once('-')?;
                (digits(year, 4)?, digits(month, 2)?, "01".to_owned())
            }
            DateForm::MonthName => {
                let (month, year) = cell.split_once('-')?;
                (digits(year, 4)?, named(month)?, "01".to_owned())
            }
            DateForm::DayMonthName { years } => {
                let [day, month, year] = parts('-')?;
                (year_of(year, years)?, named(month)?, short(day)?)
            }
        };
        civil_date(&format!("{year}-{month}-{day}"))
    }

    fn years(self) -> Years {
        match self {
            DateForm::Numeric { years, .. } | DateForm::DayMonthName { years } => years,
            _ => Years::Four,
        }
    }

    /// In the words of `strptime`; of a month, with its first day where [`DateForm::to_date`] puts it.
    fn format(self) -> String {
        let year = if self.years() == Years::Two { "%y" } else { "%Y" };
        match self {
            DateForm::Numeric { order: DateOrder::DayFirst, sign, .. } => format!("%d{sign}%m{sign}{year}"),
            DateForm::Numeric { order: DateOrder::MonthFirst, sign, .. } => format!("%m{sign}%d{sign}{year}"),
            DateForm::YearFirst => "%Y/%m/%d".to_owned(),
            DateForm::Compact => "%Y%m%d".to_owned(),
            DateForm::Month => "%Y-%m-%d".to_owned(),
            DateForm::MonthName => "%d-%b-%Y".to_owned(),
            DateForm::DayMonthName { .. } => format!("%d-%b-{year}"),
        }
    }

    /// The SQL expression that makes a date of the text column `name`.
    fn to_date(self, name: &str) -> String {
        match self {
            DateForm::Month => format!("to_date(concat({name}, '-01'), '{}')", self.format()),
            DateForm::MonthName => format!("to_date(concat('01-', {name}), '{}')", self.format()),
            _ => format!("to_date({name}, '{}')", self.format()),
        }
    }

    /// Whether the form tells a day, behind which a time of day may stand.
    pub(super) fn tells_a_day(self) -> bool {
        !matches!(self, DateForm::Month | DateForm::MonthName)
    }

    /// The same text, read the other way round.
    pub fn turned(self) -> Option<DateForm> {
        match self {
            DateForm::Numeric { order: DateOrder::DayFirst, sign, years } => {
                Some(DateForm::Numeric { order: DateOrder::MonthFirst, sign, years })
            }
            DateForm::Numeric { order: DateOrder::MonthFirst, sign, years } => {
                Some(DateForm::Numeric { order: DateOrder::DayFirst, sign, years })
            }
            _ => None,
        }
    }
}

/// Microseconds since 1970 of an ISO date or time; a naive one is taken as UTC.
pub(super) fn iso_micros(cell: &str) -> Option<i64> {
    let cell = cell.trim();
    if !cell.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match civil_date(cell) {
        Some(days) => Some(i64::from(days) * MICROS_PER_DAY),
        None if cell.len() > 10 => Instant::parse_in(cell, &Zone::utc()).ok().map(Instant::micros),
        None => None,
    }
}

/// An ISO date and nothing else.
pub(super) fn is_date(cell: &str) -> bool {
    let cell = cell.trim();
    cell.len() == 10 && cell.as_bytes()[4] == b'-' && civil_date(cell).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_give_the_day_they_mean() {
        let day = civil_date("2021-03-04");
        let month = civil_date("2021-03-01");
        for (form, cell, wanted) in [
            (FORMS[0], "04/03/2021", day),
            (FORMS[0], "4/3/2021", day),
            (FORMS[1], "03/04/2021", day),
            (FORMS[2], "04.03.2021", day),
            (DateForm::YearFirst, "2021/03/04", day),
            (DateForm::Compact, "20210304", day),
            (DateForm::Compact, "99990304", None),
            (DateForm::Month, "2021-03", month),
            (DateForm::MonthName, "Mar-2021", month),
            (DateForm::DayMonthName { years: Years::Four }, "04-Mar-2021", day),
            (DateForm::DayMonthName { years: Years::Two }, "04-Mar-21", day),
            (DateForm::DayMonthName { years: Years::Two }, "04-Mar-2021", None),
            (FORMS[0], "04/13/2021", None),
            (FORMS[0], "04/03/21", None),
            (FORMS[11], "04/03/21", day),
            (FORMS[12], "3/4/21", day),
            (FORMS[13], "04.03.21", day),
            (FORMS[13], "04.03.71", civil_date("1971-03-04")),
        ] {
            assert_eq!(form.parse(cell), wanted, "{form:?} {cell}");
        }
        assert_eq!(iso_micros("1970-01-02"), Some(MICROS_PER_DAY));
        assert_eq!(iso_micros("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(iso_micros("12"), None);
    }

    #[test]
    fn times_of_day_stand_behind_the_date() {
        let at = |text: &str| Some(Instant::parse(text).unwrap().micros());
        let day_first = |clock: Clock| TimeForm::Text { date: FORMS[2], clock: Some(clock) };
        for (clock, cell, wanted) in [
            (Clock::Minutes, "4.3.2021 13:05", at("2021-03-04T13:05:00Z")),
            (Clock::Seconds, "04.03.2021 9:05:06", at("2021-03-04T09:05:06Z")),
            (Clock::Fractions, "04.03.2021 09:05:06.25", at("2021-03-04T09:05:06.25Z")),
            (Clock::HalfMinutes, "04.03.2021 12:05 AM", at("2021-03-04T00:05:00Z")),
            (Clock::HalfSeconds, "04.03.2021 1:05:06 pm", at("2021-03-04T13:05:06Z")),
            (Clock::Minutes, "04.03.2021 24:05", None),
            (Clock::HalfMinutes, "04.03.2021 13:05 PM", None),
            (Clock::Seconds, "04.03.2021 13:05", None),
            (Clock::Minutes, "04.03.2021", None),
        ] {
            assert_eq!(day_first(clock).parse(cell), wanted, "{clock:?} {cell}");
        }
        assert_eq!(split_clock("04.03.2021 13:05:06"), Some(("04.03.2021", 1, 47_106_000_000)));
        assert_eq!(day_first(Clock::Minutes).to_time("at"), "to_timestamp_micros(at, '%d.%m.%Y %H:%M')");
    }

    #[test]
    fn numbers_count_from_a_day() {
        let at = |text: &str| Some(Instant::parse(text).unwrap().micros());
        for (form, cell, wanted) in [
            (TimeForm::Unix(Unit::Seconds), "1615727100", at("2021-03-14T13:05:00Z")),
            (TimeForm::Unix(Unit::Seconds), "1615727100.0", at("2021-03-14T13:05:00Z")),
            (TimeForm::Unix(Unit::Milliseconds), "1615727100250", at("2021-03-14T13:05:00.25Z")),
            (TimeForm::SheetDays, "44269", at("2021-03-14T00:00:00Z")),
            (TimeForm::SheetDays, "44269.5", None),
            (TimeForm::SheetDays, "soon", None),
        ] {
            assert_eq!(form.parse(cell), wanted, "{form:?} {cell}");
        }
    }
}
