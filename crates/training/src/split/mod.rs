//! Which part each row belongs to: train, validation, test; or none.
//!
//! Splits by time look only at as_of and label_time, the others only at hashes of keys or groups, so the order of rows
//! never matters, and a row keeps its part while others come and go.

mod dealer;
mod hashed;
mod identical;
mod tally;
mod time;

use std::fmt;

use arrow::array::Array;
use karat_core::Instant;
use karat_project::spec::{self, SplitBy, SplitPart};
use serde::{Deserialize, Serialize};

use crate::{TrainingData, TrainingError};

pub use dealer::{Dealer, SpineBatch};
pub(crate) use identical::count_identical;
pub use tally::Tally;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Train,
    Validation,
    Test,
}

/// Where a row went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignment {
    In(Part),
    /// It has no label yet.
    Unlabelled,
    /// By its as_of it belongs to that part, but its label came to be known only after the next part began.
    Purged(Part),
    /// It would be in that part, but an endpoint would decide nothing on it: a check of its features refuses.
    Refused(Part),
}

/// Every row's assignment, and what it adds up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    pub rows: Vec<Assignment>,
    pub report: SplitReport,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitReport {
    /// Of the spine: those in a part, and all that are in none.
    pub rows: u64,
    pub unlabelled: u64,
    /// Rows left out because the events that define their label may still come.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub open: u64,
    /// Rows left out because the spine keeps others of their key.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_kept: u64,
    pub train: PartReport,
    pub validation: PartReport,
    pub test: PartReport,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PartReport {
    pub rows: u64,
    pub positives: u64,
    /// Rows left out because their label was known only after the next part began.
    pub purged: u64,
    /// Rows left out because a check of their features refuses to decide on them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Of its rows, those that are the same as a training row in every feature and in the label; counted when a model is
    /// trained, never of the training part itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub identical: u64,
    /// The earliest and the latest as_of of its rows; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_as_of: Option<Instant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_as_of: Option<Instant>,
    /// When the last of its labels became known; absent when there are no rows, or when nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_label_time: Option<Instant>,
}

impl Assigned {
    /// The indices of a part's rows, in row order.
    pub fn rows_of(&self, part: Part) -> Vec<usize> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, assignment)| **assignment == Assignment::In(part)).map(|(row, _)| row).collect()
    }
}

impl SplitReport {
    pub fn part(&self, part: Part) -> &PartReport {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

/// Deals the rows out as the model says. Parts may come out empty: whether that is enough to train on is for the caller.
pub fn assign(data: &TrainingData, split: &spec::Split, seed: u32) -> Result<Assigned, TrainingError> {
    let labels = data.labels()?;
    assign_labelled(data, &labels, split, seed)
}

pub(crate) fn assign_labelled(
    data: &TrainingData,
    labels: &[Option<bool>],
    split: &spec::Split,
    seed: u32,
) -> Result<Assigned, TrainingError> {
    let mut rows = match split.by {
        SplitBy::Time => {
            let (validation, test) = (window(split, Part::Validation)?, window(split, Part::Test)?);
            time::assign(data, labels, validation, test)
        }
        SplitBy::Random => hashed::assign_random(data, labels, shares(split)?, seed)?,
        SplitBy::Group => hashed::assign_group(data, labels, shares(split)?, seed)?,
    };
    // Only now, so that a check moves no row from one part to another.
    for row in &data.refused {
        if let Some(Assignment::In(part)) = rows.get(*row).copied() {
            rows[*row] = Assignment::Refused(part);
        }
    }
    let report = report(data, labels, &rows);
    Ok(Assigned { rows, report })
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn part_of(split: &spec::Split, part: Part) -> SplitPart {
    if part == Part::Test { split.test } else { split.validation }
}

fn window(split: &spec::Split, part: Part) -> Result<karat_core::Window, TrainingError> {
    match part_of(split, part) {
        SplitPart::Window(window) => Ok(window),
        SplitPart::Share(_) => Err(TrainingError::ShareByTime { part }),
    }
}

fn shares(split: &spec::Split) -> Result<hashed::Shares, TrainingError> {
    let by = if split.by == SplitBy::Random { "random" } else { "group" };
    let share = |part| match part_of(split, part) {
        SplitPart::Share(share) => Ok(share),
        SplitPart::Window(_) => Err(TrainingError::WindowByShare { part, by }),
    };
    let (validation, test) = (share(Part::Validation)?, share(Part::Test)?);
    if validation > 0.0 && test > 0.0 && validation + test < 1.0 {
        Ok(hashed::Shares { validation, test })
    } else {
        Err(TrainingError::Shares { validation, test })
    }
}

fn report(data: &TrainingData, labels: &[Option<bool>], rows: &[Assignment]) -> SplitReport {
    let mut tally = Tally::default();
    for (row, (assignment, label)) in rows.iter().zip(labels).enumerate() {
        let known = data.label_time.is_valid(row).then(|| data.label_time.value(row));
        tally.count(*assignment, *label, data.as_of.value(row), known);
    }
    tally.report(data.left_out)
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        })
    }
}
