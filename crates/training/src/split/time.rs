//! The last months are the test part, those before them validation, all before trains.

use arrow::array::Array;
use karat_core::{Instant, Window, Zone};

use crate::TrainingData;
use crate::split::{Assignment, Part};

/// Where the calendar is cut. Only labelled rows count, for where it ends too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cuts {
    validation: i64,
    test: i64,
    /// The first as_of of a row in each part.
    first_validation: Option<i64>,
    first_test: Option<i64>,
}

impl Cuts {
    /// `last` is the latest as_of.
    pub(super) fn new(last: i64, validation: Window, test: Window) -> Cuts {
        let test = start(Instant::from_micros(last), test).micros();
        let validation = start(Instant::from_micros(test.saturating_sub(1)), validation).micros();
        Cuts { validation, test, first_validation: None, first_test: None }
    }

    fn part(&self, as_of: i64) -> Part {
        match as_of {
            as_of if as_of >= self.test => Part::Test,
            as_of if as_of >= self.validation => Part::Validation,
            _ => Part::Train,
        }
    }

    /// To be shown the as_of of every row before any is assigned.
    pub(super) fn show(&mut self, as_of: i64) {
        let first = match self.part(as_of) {
            Part::Train => return,
            Part::Validation => &mut self.first_validation,
            Part::Test => &mut self.first_test,
        };
        *first = Some(first.map_or(as_of, |first| first.min(as_of)));
    }

    /// A row of an earlier part is purged when its label was not yet known at the next part's first as_of.
    pub(super) fn assign(&self, as_of: i64, known: Option<i64>) -> Assignment {
        let first_test = self.first_test.unwrap_or(self.test);
        let first_validation = self.first_validation.unwrap_or(first_test);
        let known = known.unwrap_or(i64::MAX);
        match self.part(as_of) {
            Part::Train if known > first_validation => Assignment::Purged(Part::Train),
            Part::Validation if known > first_test => Assignment::Purged(Part::Validation),
            part => Assignment::In(part),
        }
    }
}

pub(super) fn assign(
    data: &TrainingData,
    labels: &[Option<bool>],
    validation: Window,
    test: Window,
) -> Vec<Assignment> {
    let labelled = || (0..labels.len()).filter(|row| labels[*row].is_some()).map(|row| data.as_of.value(row));
    let Some(last) = labelled().max() else {
        return vec![Assignment::Unlabelled; labels.len()];
    };
    let mut cuts = Cuts::new(last, validation, test);
    labelled().for_each(|as_of| cuts.show(as_of));
    let known = |row: usize| data.label_time.is_valid(row).then(|| data.label_time.value(row));
    (0..labels.len())
        .map(|row| match labels[row] {
            None => Assignment::Unlabelled,
            Some(_) => cuts.assign(data.as_of.value(row), known(row)),
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
