use serde::{Deserialize, Serialize};

use super::confusion::share;
use super::deciles::tenths;
use super::{Group, Scored};

/// A tenth of the rows by score, the lowest scores first: what was promised and what came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// 1 holds the lowest scores.
    pub bin: u8,
    pub rows: u64,
    pub mean_score: f64,
    /// Positives among its rows.
    pub observed: f64,
}

/// Ten bins of equal frequency; rows that share a score stay together, as in [`super::decile_table`].
pub fn calibration_table(scored: &Scored) -> Vec<CalibrationBin> {
    tenths(scored.groups().iter().rev(), scored.rows())
        .into_iter()
        .map(|(tenth, groups)| {
            let rows: u64 = groups.iter().map(Group::rows).sum();
            let positives: u64 = groups.iter().map(|group| group.positives).sum();
            let total: f64 = groups.iter().map(|group| group.score * group.rows() as f64).sum();
            CalibrationBin { bin: tenth + 1, rows, mean_score: total / rows as f64, observed: share(positives, rows) }
        })
        .collect()
}
