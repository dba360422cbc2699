//! Numbers that are times: seconds since 1970, the days of spreadsheets. Their column's name must say that it is one of times.

use karat_core::DataType;
use karat_query::{ColumnFacts, Survey, TimeForm, Unit};

use super::Wishes;
use super::names::friendly;
use super::words::day;

/// Words of a column of times.
const TIMES: [&str; 29] = [
    "date",
    "dates",
    "dt",
    "time",
    "timestamp",
    "datetime",
    "ts",
    "epoch",
    "unixtime",
    "at",
    "on",
    "applied",
    "issued",
    "opened",
    "closed",
    "created",
    "updated",
    "modified",
    "booked",
    "paid",
    "signed",
    "started",
    "ended",
    "approved",
    "originated",
    "submitted",
    "registered",
    "birthday",
    "dob",
];
/// Words of a column of anything else.
const AMOUNTS: [&str; 13] =
    ["amount", "amt", "sum", "value", "balance", "total", "income", "price", "count", "number", "no", "rate", "id"];

/// 1990 and 2100, in seconds since 1970.
const SECONDS: [f64; 2] = [631_152_000.0, 4_102_444_800.0];
/// 1970 and 2100, in days of spreadsheets.
const SHEET_DAYS: [f64; 2] = [25_569.0, 73_051.0];

/// Columns of whole numbers become columns of times, where name and values say so.
pub(super) fn read_numbers_as_times(survey: &mut Survey, wishes: &Wishes) {
    for column in &mut survey.columns {
        let is_target = wishes.target.as_ref() == Some(&column.name);
        let is_said = wishes.time.as_ref() == Some(&column.name);
        let Some(form) = form(column).filter(|_| !is_target && (is_said || is_called_a_time(&column.name))) else {
            continue;
        };
        let micros = |number: f64| form.parse(&number.to_string()).map(|micros| micros as f64);
        (column.min, column.max) = (column.min.and_then(micros), column.max.and_then(micros));
        column.data_type = DataType::Int;
        column.dates = Some(form);
    }
}

/// What the numbers could count, if they are times.
fn form(column: &ColumnFacts) -> Option<TimeForm> {
    let (Some(min), Some(max), true) = (column.min, column.max, column.whole && column.distinct > 1) else {
        return None;
    };
    let lies_in = |[first, last]: [f64; 2], times: f64| min >= first * times && max <= last * times;
    [
        (SECONDS, 1.0, TimeForm::Unix(Unit::Seconds)),
        (SECONDS, 1e3, TimeForm::Unix(Unit::Milliseconds)),
        (SECONDS, 1e6, TimeForm::Unix(Unit::Microseconds)),
        (SHEET_DAYS, 1.0, TimeForm::SheetDays),
    ]
    .into_iter()
    .find(|(range, times, _)| lies_in(*range, *times))
    .map(|(_, _, form)| form)
}

fn is_called_a_time(name: &str) -> bool {
    let name = friendly(name);
    let has = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
    has(&TIMES) && !has(&AMOUNTS)
}

/// What numbers were taken for, and what they may be although nothing says it.
pub(super) fn says(column: &ColumnFacts) -> Option<String> {
    let range = |[min, max]: [f64; 2]| format!("{} to {}", day(min), day(max));
    if let Some(counts) = column.dates.and_then(TimeForm::counts) {
        let range = column.min.zip(column.max).map(|(min, max)| format!(" ({})", range([min, max])));
        return Some(format!("{}: its numbers are taken for {counts}{}", column.name, range.unwrap_or_default()));
    }
    let form = form(column).filter(|form| matches!(form, TimeForm::Unix(_)) && column.dates.is_none())?;
    let (min, max) = (form.parse(&column.min?.to_string())?, form.parse(&column.max?.to_string())?);
    Some(format!(
        "{}: its numbers could be {} ({}); if they are, say `prepare: {{{}: {}}}` in the source's file",
        column.name,
        form.counts()?,
        range([min as f64, max as f64]),
        friendly(&column.name),
        form.to_time(&friendly(&column.name)),
    ))
}
