use serde::{Deserialize, Serialize};

use super::confusion::share;
use super::{Confusion, Scored};

/// The measures of one part, at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    pub rows: u64,
    pub positives: u64,
    /// Positives among the rows.
    pub base_rate: f64,
    pub mean_score: f64,
    pub auc: f64,
    pub gini: f64,
    pub ks: f64,
    pub log_loss: f64,
    pub brier: f64,
    pub accuracy: f64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    /// The share of rows at or above the threshold.
    pub flagged: f64,
    pub confusion: Confusion,
}

impl Measures {
    pub fn of(scored: &Scored, threshold: f64) -> Measures {
        let confusion = scored.confusion(threshold);
        Measures {
            rows: scored.rows(),
            positives: scored.positives(),
            base_rate: share(scored.positives(), scored.rows()),
            mean_score: scored.mean_score(),
            auc: scored.auc(),
            gini: scored.gini(),
            ks: scored.ks(),
            log_loss: scored.log_loss(),
            brier: scored.brier(),
            accuracy: confusion.accuracy(),
            precision: confusion.precision(),
            recall: confusion.recall(),
            f1: confusion.f1(),
            flagged: confusion.flagged(),
            confusion,
        }
    }

    /// Names as gates and runs use them, in a fixed order.
    pub const NAMES: [&str; 14] = [
        "auc",
        "gini",
        "ks",
        "log_loss",
        "brier",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "rows",
        "positives",
        "base_rate",
        "mean_score",
        "flagged",
    ];

    /// The measure of that name; `None` for a name not in [`Measures::NAMES`].
    pub fn get(&self, name: &str) -> Option<f64> {
        Some(match name {
            "auc" => self.auc,
            "gini" => self.gini,
            "ks" => self.ks,
            "log_loss" => self.log_loss,
            "brier" => self.brier,
            "accuracy" => self.accuracy,
            "precision" => self.precision,
            "recall" => self.recall,
            "f1" => self.f1,
            "rows" => self.rows as f64,
            "positives" => self.positives as f64,
            "base_rate" => self.base_rate,
            "mean_score" => self.mean_score,
            "flagged" => self.flagged,
            _ => return None,
        })
    }

    /// Every measure with its name, as a run records them.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        Measures::NAMES.into_iter().map(|name| (name, self.get(name).expect("every name of the list is known")))
    }
}
