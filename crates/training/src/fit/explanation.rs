//! What weighs: contributions over a sample of the test part, as a run records them.

use karat_model::Model;
use serde::{Deserialize, Serialize};

use crate::encode::Encoded;

/// Rows that are explained: enough for means that hold to about two digits, few enough to take about a second.
const SAMPLE: usize = 2_000;

pub const EXPLANATION_FORMAT: u32 = 1;

/// How much inputs move scores, in log odds: exact TreeSHAP over rows of a part, spread evenly over it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub format_version: u32,
    pub part: String,
    pub rows: u64,
    /// In signature order.
    pub features: Vec<FeatureWeight>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureWeight {
    pub feature: String,
    /// The mean of the contributions' sizes.
    pub mean_absolute: f64,
}

/// Of the test part. It looks at features and scores alone, and nothing that scores depends on it.
pub(super) fn explain(model: &Model, encoded: &Encoded, rows: &[usize], threads: usize) -> Explanation {
    let step = rows.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<usize> = rows.iter().copied().step_by(step).collect();
    let inputs = &model.signature().inputs;
    let width = inputs.len() + 1;
    let share = sample.len().div_ceil(threads.max(1)).max(1);
    let contributions: Vec<f64> = std::thread::scope(|scope| {
        let explain = |rows: &[usize]| model.contributions_batch(&encoded.row_major(rows));
        let workers: Vec<_> = sample.chunks(share).map(|rows| scope.spawn(move || explain(rows))).collect();
        let done =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.collect::<Vec<_>>().concat()
    });
    // Added up in row order, so that the threads change nothing.
    let mut sums = vec![0.0; inputs.len()];
    for row in contributions.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, contribution)| *sum += contribution.abs());
    }
    let count = sample.len().max(1) as f64;
    let weight = |(input, sum): (&karat_model::Input, f64)| FeatureWeight {
        feature: input.name.clone(),
        mean_absolute: sum / count,
    };
    Explanation {
        format_version: EXPLANATION_FORMAT,
        part: "test".to_owned(),
        rows: sample.len() as u64,
        features: inputs.iter().zip(sums).map(weight).collect(),
    }
}
