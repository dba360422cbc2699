//! What a card shows, as plain figures: also its JSON form. The evaluation, the split and the explanation have the form of the
//! files that a run leaves among its artifacts, so that those of any age can be read into them.

use karat_core::Instant;
use serde::{Deserialize, Serialize};

/// The newest form of a card's JSON.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Card {
    pub format_version: u32,
    pub project: String,
    pub written: Instant,
    pub karat: String,
    pub model: String,
    pub version: u64,
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `approved`, `rejected`, `undecided`.
    pub standing: String,
    pub aliases: Vec<String>,
    pub made: Instant,
    /// Names of the two outcomes, the second the one a score is the chance of.
    pub labels: [String; 2],
    pub threshold: f64,
    /// How the threshold was chosen, in words.
    pub threshold_rule: String,
    pub trees: u64,
    /// Name and value, in the order shown.
    pub lineage: Vec<(String, String)>,
    pub sources: Vec<SourceRead>,
    pub inputs: Vec<InputLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    pub split_rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
    pub gates: Vec<Gate>,
    pub approval_required: bool,
    pub decisions: Vec<Decided>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rival: Option<Rival>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Explained>,
    /// What could not be shown, and why.
    pub missing: Vec<String>,
}

/// A commit of a source that was learned from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceRead {
    pub source: String,
    pub commit: u64,
    /// Digest of what was delivered.
    pub delivery: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingested: Option<Instant>,
}

/// One input of the model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InputLine {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    /// The view it comes from, or `request`.
    pub from: String,
    /// What reasons call it.
    pub words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The group whose one reason it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `increasing`, `decreasing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monotone: Option<String>,
    /// `range ..550: 550 instead`, `not_null: refused`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gate {
    pub gate: String,
    pub measured: Option<f64>,
    pub required: Option<f64>,
    pub passed: bool,
    pub note: Option<String>,
}

/// A person's decision about the version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decided {
    pub at: Instant,
    /// `approved`, `rejected`.
    pub decision: String,
    pub actor: String,
    pub why: String,
}

/// A run's `split.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Split {
    pub rows: u64,
    pub unlabelled: u64,
    #[serde(default)]
    pub open: u64,
    #[serde(default)]
    pub not_kept: u64,
    pub train: SplitPart,
    pub validation: SplitPart,
    pub test: SplitPart,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SplitPart {
    pub rows: u64,
    pub positives: u64,
    pub purged: u64,
    #[serde(default)]
    pub refused: u64,
    #[serde(default)]
    pub identical: u64,
    #[serde(default)]
    pub first_as_of: Option<Instant>,
    #[serde(default)]
    pub last_as_of: Option<Instant>,
}

/// A run's `evaluation.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    pub threshold: f64,
    pub train: Part,
    pub validation: Part,
    pub test: Part,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_unseen: Option<Part>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    pub measures: Measures,
    pub deciles: Vec<Decile>,
    pub calibration: Vec<CalibrationBin>,
    pub curve: Vec<CurvePoint>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measures {
    pub rows: u64,
    pub positives: u64,
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
    pub flagged: f64,
    pub confusion: Confusion,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Confusion {
    pub true_positives: u64,
    pub false_positives: u64,
    pub true_negatives: u64,
    pub false_negatives: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Decile {
    pub decile: u8,
    pub rows: u64,
    pub positives: u64,
    pub min_score: f64,
    pub max_score: f64,
    pub rate: f64,
    pub lift: f64,
    pub captured: f64,
    pub ks: f64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CalibrationBin {
    pub bin: u8,
    pub rows: u64,
    pub mean_score: f64,
    pub observed: f64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CurvePoint {
    pub threshold: f64,
    pub flagged: f64,
    pub tpr: f64,
    pub fpr: f64,
}

/// How much each input weighs, and by which measure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Importance {
    pub measure: ImportanceMeasure,
    pub features: Vec<FeatureImportance>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportanceMeasure {
    /// Mean of the contributions' sizes (SHAP, log odds) over rows of a part.
    MeanAbsoluteContribution { part: String, rows: u64 },
    /// Sum of the gains of the splits that use the input.
    Gain,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FeatureImportance {
    pub feature: String,
    pub value: f64,
}

/// The other version worth seeing beside this one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rival {
    pub label: String,
    /// `champion`, `challenger`, or nothing.
    pub role: String,
    pub standing: String,
    /// This version's figures, where both were measured on the same rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub this: Option<Part>,
    pub other: Part,
    pub measured: Measured,
}

/// Which rows two versions were measured on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum Measured {
    /// Test rows from which neither has learned.
    NewToBoth {
        rows: u64,
        /// Where time tells which these are: from this as_of on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Instant>,
    },
    SameTestPart,
    OwnTestParts,
}

/// A logged decision taken apart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explained {
    pub prediction_id: String,
    pub at: Instant,
    pub as_of: Instant,
    pub endpoint: String,
    pub key: String,
    pub score: f64,
    pub label: String,
    pub threshold: f64,
    /// The expected raw score (log odds) over the training rows: what contributions start from.
    pub expected: f64,
    /// Every input, in the model's order.
    pub contributions: Vec<Contribution>,
    /// What the answer gave as its reasons, or would have given.
    #[serde(default)]
    pub reasons: Vec<ReasonLine>,
    /// Findings on the data, in words.
    pub findings: Vec<String>,
    pub arithmetic: Verdict,
    pub history: Verdict,
    pub release: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contribution {
    pub feature: String,
    pub words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub value: String,
    pub contribution: f64,
}

/// A reason as it can be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReasonLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub text: String,
    pub contribution: f64,
}

/// What a replay found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    Same,
    Different { what: Vec<String> },
    NotApplicable { why: String },
}
