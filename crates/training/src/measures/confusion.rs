use serde::{Deserialize, Serialize};

use super::Scored;

/// What a threshold flags (`score >= threshold`), against what came true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    pub true_positives: u64,
    pub false_positives: u64,
    pub true_negatives: u64,
    pub false_negatives: u64,
}

impl Scored {
    pub fn confusion(&self, threshold: f64) -> Confusion {
        let flagged = &self.groups()[..self.groups().partition_point(|group| group.score >= threshold)];
        let true_positives = flagged.iter().map(|group| group.positives).sum();
        let false_positives = flagged.iter().map(|group| group.negatives).sum();
        Confusion {
            true_positives,
            false_positives,
            true_negatives: self.negatives() - false_positives,
            false_negatives: self.positives() - true_positives,
        }
    }
}

/// Quotients with nothing under the line are 0, as scikit-learn's are.
impl Confusion {
    pub fn precision(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    pub fn recall(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    pub fn f1(&self) -> f64 {
        share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }

    pub fn accuracy(&self) -> f64 {
        share(self.true_positives + self.true_negatives, self.rows())
    }

    pub fn rows(&self) -> u64 {
        self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
    }

    /// The share of rows flagged.
    pub fn flagged(&self) -> f64 {
        share(self.true_positives + self.false_positives, self.rows())
    }
}

pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
