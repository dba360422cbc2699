//! The last months are the test part, those before them validation, all before trains.

use arrow::array::Array;
use karat_core::{Instant, Window, Zone};

use crate::TrainingData;
use crate::split::{Assignment, Part};

/// Only labelled rows count, for where the calendar ends too. A row of an earlier part is purged when its label was not
/// yet known at the next part's first as_of.
pub(super) fn assign(
    data: &TrainingData,
    labels: &[Option<bool>],
    validation: Window,
    test: Window,
) -> Vec<Assignment> {
    let labelled = || (0..labels.len()).filter(|row| labels[*row].is_some());
    let Some(last) = labelled().map(|row| data.as_of.value(row)).max() else {
        return vec![Assignment::Unlabelled; labels.len()];
    };
    let test_start = start(Instant::from_micros(last), test).micros();
    let validation_start = start(Instant::from_micros(test_start.saturating_sub(1)), validation).micros();
    let part = |row: usize| match data.as_of.value(row) {
        as_of if as_of >= test_start => Part::Test,
        as_of if as_of >= validation_start => Part::Validation,
        _ => Part::Train,
    };
    let first = |wanted: Part| labelled().filter(|row| part(*row) == wanted).map(|row| data.as_of.value(row)).min();
    let first_test = first(Part::Test).unwrap_or(test_start);
    let first_validation = first(Part::Validation).unwrap_or(first_test);
    (0..labels.len())
        .map(|row| {
            if labels[row].is_none() {
                return Assignment::Unlabelled;
            }
            let known = if data.label_time.is_null(row) { i64::MAX } else { data.label_time.value(row) };
            match part(row) {
                Part::Train if known > first_validation => Assignment::Purged(Part::Train),
                Part::Validation if known > first_test => Assignment::Purged(Part::Validation),
                part => Assignment::In(part),
            }
        })
        .collect()
}

/// The first as_of of a part whose last one is `last`: `6 months` are the six calendar months (UTC) that end with the one
/// `last` lies in; `30 days` begin just after `last - 30 days`, so that daily rows give thirty days.
fn start(last: Instant, window: Window) -> Instant {
    let utc = Zone::utc();
    match window {
        Window::Months(months) => utc.add_months(utc.month_start(last), 1 - i32::try_from(months).unwrap_or(i32::MAX)),
        Window::Fixed(micros) => last.saturating_add_micros(1 - micros),
    }
}
