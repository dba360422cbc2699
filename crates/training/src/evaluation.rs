use serde::{Deserialize, Serialize};

use crate::measures::{CalibrationBin, CurvePoint, Decile, Measures, Scored, calibration_table, curve, decile_table};

/// How many points of a curve are kept: enough for a drawing.
const CURVE_POINTS: usize = 100;

/// What the model is worth, part by part, at its threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    pub threshold: f64,
    pub train: PartEvaluation,
    pub validation: PartEvaluation,
    pub test: PartEvaluation,
    /// The test rows whose profile no training row has; absent without a profile, or when either label is missing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_unseen: Option<PartEvaluation>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartEvaluation {
    pub measures: Measures,
    pub deciles: Vec<Decile>,
    pub calibration: Vec<CalibrationBin>,
    pub curve: Vec<CurvePoint>,
}

impl PartEvaluation {
    pub fn of(scored: &Scored, threshold: f64) -> PartEvaluation {
        PartEvaluation {
            measures: Measures::of(scored, threshold),
            deciles: decile_table(scored),
            calibration: calibration_table(scored),
            curve: curve(scored, CURVE_POINTS),
        }
    }
}
