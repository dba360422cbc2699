//! What a score is worth against what came true: pure functions over [`Scored`] rows.
//!
//! Rows are first grouped by distinct score, so every measure is independent of their order and exact about ties.

mod calibration;
mod confusion;
mod curve;
mod deciles;
mod probability;
mod ranking;
mod summary;

pub use calibration::{CalibrationBin, calibration_table};
pub use confusion::Confusion;
pub use curve::{CurvePoint, curve};
pub use deciles::{Decile, decile_table};
pub use summary::Measures;

pub(crate) use probability::log_loss_of;
pub(crate) use ranking::auc_of;

/// Rows that share a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    pub score: f64,
    pub positives: u64,
    pub negatives: u64,
}

impl Group {
    pub fn rows(&self) -> u64 {
        self.positives + self.negatives
    }
}

/// Scores and what came true, grouped by distinct score, highest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    groups: Vec<Group>,
    positives: u64,
    negatives: u64,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MeasureError {
    #[error("{scores} scores stand against {labels} labels")]
    Lengths { scores: usize, labels: usize },
    #[error("row {row} has the score {score}: only finite scores can be measured")]
    NotFinite { row: usize, score: f64 },
    #[error("{positives} positives and {negatives} negatives: measures need both")]
    OneClass { positives: u64, negatives: u64 },
}

impl Scored {
    /// Groups rows by score. Both labels must occur; `-0.0` counts as `0.0`.
    pub fn new(scores: &[f64], labels: &[bool]) -> Result<Scored, MeasureError> {
        if scores.len() != labels.len() {
            return Err(MeasureError::Lengths { scores: scores.len(), labels: labels.len() });
        }
        if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
            return Err(MeasureError::NotFinite { row, score: scores[row] });
        }
        let mut rows: Vec<(f64, bool)> = scores.iter().map(|score| score + 0.0).zip(labels.iter().copied()).collect();
        rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let groups: Vec<Group> = rows
            .chunk_by(|a, b| a.0 == b.0)
            .map(|tied| {
                let positives = tied.iter().filter(|(_, label)| *label).count() as u64;
                Group { score: tied[0].0, positives, negatives: tied.len() as u64 - positives }
            })
            .collect();
        let positives = groups.iter().map(|group| group.positives).sum();
        let negatives = rows.len() as u64 - positives;
        if positives == 0 || negatives == 0 {
            return Err(MeasureError::OneClass { positives, negatives });
        }
        Ok(Scored { groups, positives, negatives })
    }

    /// Only the rows whose `mask` is set: the same measures over, say, profiles never seen in training.
    pub fn masked(scores: &[f64], labels: &[bool], mask: &[bool]) -> Result<Scored, MeasureError> {
        let kept = |row: &usize| mask.get(*row).copied().unwrap_or(false);
        let rows: Vec<usize> = (0..scores.len().min(labels.len())).filter(kept).collect();
        let scores: Vec<f64> = rows.iter().map(|row| scores[*row]).collect();
        let labels: Vec<bool> = rows.iter().map(|row| labels[*row]).collect();
        Scored::new(&scores, &labels)
    }

    /// Highest score first.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub fn rows(&self) -> u64 {
        self.positives + self.negatives
    }

    pub fn positives(&self) -> u64 {
        self.positives
    }

    pub fn negatives(&self) -> u64 {
        self.negatives
    }

    /// For each distinct score, highest first: the counts at or above it.
    pub fn cumulative(&self) -> impl Iterator<Item = Cumulative> + '_ {
        let mut true_positives = 0;
        let mut false_positives = 0;
        self.groups.iter().map(move |group| {
            true_positives += group.positives;
            false_positives += group.negatives;
            Cumulative { score: group.score, true_positives, false_positives }
        })
    }
}

/// What a threshold at `score` flags.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cumulative {
    pub score: f64,
    pub true_positives: u64,
    pub false_positives: u64,
}
