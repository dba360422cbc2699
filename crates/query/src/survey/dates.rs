//! Dates as files write them. ISO dates are Karat's own; every other form becomes one by an expression of `prepare`.

use karat_core::time::{MICROS_PER_DAY, civil_date};
use karat_core::{Instant, Zone};

/// Which of two numbers comes first in `03/04/2021`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    DayFirst,
    MonthFirst,
}

/// A way to write a date that is not ISO's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    /// Day, month and year (or month first) with a sign between them.
    Numeric { order: DateOrder, sign: char },
    /// `2021/03/04`
    YearFirst,
    /// `20210304`
    Compact,
    /// `2021-03`: the month's first day.
    Month,
    /// `Mar-2021`
    MonthName,
    /// `04-Mar-2021`
    DayMonthName,
}

pub(super) const FORMS: [DateForm; 11] = [
    DateForm::Numeric { order: DateOrder::DayFirst, sign: '/' },
    DateForm::Numeric { order: DateOrder::MonthFirst, sign: '/' },
    DateForm::Numeric { order: DateOrder::DayFirst, sign: '.' },
    DateForm::Numeric { order: DateOrder::DayFirst, sign: '-' },
    DateForm::Numeric { order: DateOrder::MonthFirst, sign: '-' },
    DateForm::YearFirst,
    DateForm::Compact,
    DateForm::Month,
    DateForm::MonthName,
    DateForm::DayMonthName,
    DateForm::Numeric { order: DateOrder::MonthFirst, sign: '.' },
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
        let parts = |sign: char| -> Option<[&str; 3]> {
            let parts: Vec<&str> = cell.split(sign).collect();
            parts.try_into().ok()
        };
        let (year, month, day) = match self {
            DateForm::Numeric { order, sign } => {
                let [first, second, year] = parts(sign)?;
                let (day, month) = match order {
                    DateOrder::DayFirst => (first, second),
                    DateOrder::MonthFirst => (second, first),
                };
                (digits(year, 4)?, short(month)?, short(day)?)
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
            DateForm::DayMonthName => {
                let [day, month, year] = parts('-')?;
                (digits(year, 4)?, named(month)?, short(day)?)
            }
        };
        civil_date(&format!("{year}-{month}-{day}"))
    }

    /// The SQL expression that makes a date of the text column `name`, which is written as SQL writes it.
    pub fn to_date(self, name: &str) -> String {
        match self {
            DateForm::Numeric { order: DateOrder::DayFirst, sign } => format!("to_date({name}, '%d{sign}%m{sign}%Y')"),
            DateForm::Numeric { order: DateOrder::MonthFirst, sign } => {
                format!("to_date({name}, '%m{sign}%d{sign}%Y')")
            }
            DateForm::YearFirst => format!("to_date({name}, '%Y/%m/%d')"),
            DateForm::Compact => format!("to_date({name}, '%Y%m%d')"),
            DateForm::Month => format!("to_date(concat({name}, '-01'), '%Y-%m-%d')"),
            DateForm::MonthName => format!("to_date(concat('01-', {name}), '%d-%b-%Y')"),
            DateForm::DayMonthName => format!("to_date({name}, '%d-%b-%Y')"),
        }
    }

    /// The same text, read the other way round.
    pub fn turned(self) -> Option<DateForm> {
        match self {
            DateForm::Numeric { order: DateOrder::DayFirst, sign } => {
                Some(DateForm::Numeric { order: DateOrder::MonthFirst, sign })
            }
            DateForm::Numeric { order: DateOrder::MonthFirst, sign } => {
                Some(DateForm::Numeric { order: DateOrder::DayFirst, sign })
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
            (DateForm::DayMonthName, "04-Mar-2021", day),
            (FORMS[0], "04/13/2021", None),
            (FORMS[0], "04/03/21", None),
        ] {
            assert_eq!(form.parse(cell), wanted, "{form:?} {cell}");
        }
        assert_eq!(iso_micros("1970-01-02"), Some(MICROS_PER_DAY));
        assert_eq!(iso_micros("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(iso_micros("12"), None);
    }
}
