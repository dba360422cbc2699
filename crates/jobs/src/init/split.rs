//! Which rows train, which stop the training, which measure.

use karat_core::time::MICROS_PER_DAY;
use karat_core::{Instant, Zone};
use karat_query::Survey;

use super::roles::{Key, Roles, micros};
use super::target::Target;
use super::words::{count, day, percent};

/// The line of the model's file, and why it is so.
pub(super) struct Split {
    pub line: String,
    pub because: String,
    pub says: String,
}

/// The share of rows that a part by time holds at least.
const PART: f64 = 0.15;
/// Sampled rows of either label that a part needs.
const FEWEST: usize = 3;

pub(super) fn split(survey: &Survey, roles: &Roles, target: &Target) -> Split {
    if let Some(time) = &roles.time {
        let facts = &survey.columns[time.place];
        let rows: Vec<(i64, bool)> = (0..survey.sample.rows())
            .filter_map(|row| {
                let micros = micros(facts, survey.cell(row, time.place)?)?;
                Some((micros, target.label(survey, row)?))
            })
            .collect();
        if let Some(split) = by_months(&rows).or_else(|| by_days(&rows)) {
            return split;
        }
        let because = "the rows span too little time to hold back their last part".to_owned();
        return by_chance(roles, because);
    }
    by_chance(roles, "the file has no time".to_owned())
}

fn by_chance(roles: &Roles, because: String) -> Split {
    match roles.key {
        Key::Group { .. } | Key::History { .. } => Split {
            line: "{by: group, column: {}, validation: 0.2, test: 0.2}".to_owned(),
            because: format!("{because}, and rows share keys: nobody stands in two parts"),
            says: "by key: nobody stands in two parts".to_owned(),
        },
        Key::Unique { .. } | Key::RowNumber => Split {
            line: "{by: random, validation: 0.2, test: 0.2}".to_owned(),
            because,
            says: "random: a fifth of the rows measures, a fifth stops the training".to_owned(),
        },
    }
}

/// The rows of the last units that make a part: how many units, and where the part begins.
fn last_part(rows: &[(i64, bool)], end: i64, begin: impl Fn(i64, u32) -> i64, most: u32) -> Option<(u32, i64)> {
    let enough = |units: &u32| {
        let from = begin(end, *units);
        let part = rows.iter().filter(|(micros, _)| *micros >= from && *micros <= end);
        let positives = part.clone().filter(|(_, label)| *label).count();
        let held = part.count();
        held as f64 >= rows.len() as f64 * PART && positives >= FEWEST && held - positives >= FEWEST
    };
    let units = (1..=most).find(enough)?;
    Some((units, begin(end, units)))
}

fn parts(rows: &[(i64, bool)], begin: impl Fn(i64, u32) -> i64, most: u32) -> Option<[u32; 2]> {
    let last = rows.iter().map(|(micros, _)| *micros).max()?;
    let (test, test_from) = last_part(rows, last, &begin, most)?;
    let before = rows.iter().map(|(micros, _)| *micros).filter(|micros| *micros < test_from).max()?;
    // Counted as the training counts them: back from where the test part begins.
    let (validation, from) = last_part(rows, before.max(test_from - 1), &begin, most)?;
    let train: Vec<bool> = rows.iter().filter(|(micros, _)| *micros < from).map(|(_, label)| *label).collect();
    let positives = train.iter().filter(|label| **label).count();
    let is_enough = train.len() * 10 >= rows.len() * 4 && positives >= FEWEST && train.len() - positives >= FEWEST;
    is_enough.then_some([validation, test])
}

fn by_months(rows: &[(i64, bool)]) -> Option<Split> {
    let utc = Zone::utc();
    let begin =
        |end: i64, months: u32| utc.add_months(utc.month_start(Instant::from_micros(end)), 1 - months as i32).micros();
    let [validation, test] = parts(rows, begin, 240)?;
    let months = |number: u32| if number == 1 { "1 month".to_owned() } else { format!("{number} months") };
    Some(made(rows, [months(validation), months(test)], begin(last(rows), test)))
}

fn by_days(rows: &[(i64, bool)]) -> Option<Split> {
    let begin = |end: i64, days: u32| end + 1 - i64::from(days) * MICROS_PER_DAY;
    let [validation, test] = parts(rows, begin, 62)?;
    let days = |number: u32| if number == 1 { "1 day".to_owned() } else { format!("{number} days") };
    Some(made(rows, [days(validation), days(test)], begin(last(rows), test)))
}

fn last(rows: &[(i64, bool)]) -> i64 {
    rows.iter().map(|(micros, _)| *micros).max().unwrap_or_default()
}

fn made(rows: &[(i64, bool)], [validation, test]: [String; 2], from: i64) -> Split {
    let held = rows.iter().filter(|(micros, _)| *micros >= from).count() as u64;
    let share = percent(held, rows.len() as u64);
    let because = format!(
        "{share} of the {} rows looked at lie in the last {test}, from {} on",
        count(rows.len() as u64),
        day(from as f64)
    );
    let says = format!("by time: the last {test} measure, the {validation} before them stop the training");
    Split { line: format!("{{by: time, validation: {validation}, test: {test}}}"), because, says }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_by_time_hold_enough_rows_of_both_labels() {
        let rows: Vec<(i64, bool)> =
            (0..730).flat_map(|day| (0..4).map(move |n| (day * MICROS_PER_DAY, (day + n) % 5 == 0))).collect();
        assert_eq!(by_months(&rows).unwrap().line, "{by: time, validation: 4 months, test: 4 months}");
        let short: Vec<(i64, bool)> =
            rows.iter().copied().filter(|(micros, _)| *micros < 20 * MICROS_PER_DAY).collect();
        assert!(by_months(&short).is_none());
        assert_eq!(by_days(&short).unwrap().line, "{by: time, validation: 4 days, test: 3 days}");
        let once: Vec<(i64, bool)> = (0..100).map(|n| (0, n % 2 == 0)).collect();
        assert!(by_months(&once).is_none() && by_days(&once).is_none());
    }
}
