//! The figures of a source's profile: `query` computes them, reports show them, and this is their JSON.
//!
//! Every figure that is no exact count says how far off it may be.

use serde::{Deserialize, Serialize};

use crate::{DataType, Name};

/// The newest form of a profile's JSON.
pub const FORMAT_VERSION: u32 = 2;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub format_version: u32,
    pub source: Name,
    /// Rows whose cells could be read, before `prepare` and the contract: those that the columns' figures are of. Version 1
    /// called it `read`.
    #[serde(alias = "read")]
    pub readable: u64,
    /// Rows that `prepare` and the contract let through.
    pub accepted: u64,
    /// Rows as read that agree with an earlier one in every column.
    pub repeated_rows: u64,
    /// Rows as prepared that agree with an earlier one in the key; absent where the source has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated_keys: Option<RepeatedKeys>,
    /// By month of event time, the accepted rows; the earliest months may stand together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<Month>,
    /// Whose label the rates are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    pub columns: Vec<ColumnProfile>,
    pub bounds: Bounds,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepeatedKeys {
    pub columns: Vec<String>,
    pub rows: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Month {
    /// `2021-09`; `… 2011-09` for this and all before it.
    pub month: String,
    pub rows: u64,
}

/// A model's label on this source's rows. Only rows that train count: those of the validation and the test part show nowhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    pub model: Name,
    pub column: String,
    pub rows: u64,
    pub positives: u64,
    /// Rows of the other parts, without a label, or known too late: none of them shows.
    pub left_out: u64,
}

/// What was allowed to be held in memory, and what follows for the figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Up to so many different values of a column, everything about it is exact.
    pub exact_values: u64,
    /// Bytes of text those values may take.
    pub exact_bytes: u64,
    /// Beyond, distinct values are estimated, with this standard error (a share).
    pub distinct_error: f64,
    /// Months of event time that stand alone.
    pub months: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// What it is for: `key`, `event_time`, `known_time`, `label`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Before `prepare` and the contract; absent for a column that `prepare` adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_read: Option<Summary>,
    /// As history keeps it; absent for a column that is dropped. Of a label, only counts and nulls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Summary>,
    /// Accepted values by equal width, or value by value where there are few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<Bin>,
    /// Accepted values in bins of about equal size, with the label's rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<ColumnLabel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<ColumnMonth>,
}

/// A column's values, as far as they can be told in a few figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub rows: u64,
    pub nulls: u64,
    /// Floats that are not a number; they count in nothing else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nans: u64,
    /// Different values, nulls aside.
    pub distinct: u64,
    /// Whether `distinct` is a count; else an estimate, see [`Bounds::distinct_error`].
    pub distinct_exact: bool,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub min: serde_json::Value,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub max: serde_json::Value,
    /// Of numbers and, as the share that is true, of booleans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The sample's, over rows less one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quantiles: Vec<Quantile>,
    /// How far off a quantile's rank may be, as a share of the values; 0: exact.
    pub quantile_error: f64,
    /// The most frequent values. Beyond [`Bounds::exact_values`] only those sure to be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<Top>,
    /// How many rows more than said a value of `top` may have; 0: exact.
    pub top_error: u64,
}

/// The smallest value that at least this share of the values does not exceed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    pub share: f64,
    pub value: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Top {
    pub value: serde_json::Value,
    pub rows: u64,
}

/// `from <= value < to`; the last bin holds its end too. A bin without ends is named by its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// As people read it.
    pub name: String,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub from: serde_json::Value,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub to: serde_json::Value,
    pub rows: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnLabel {
    pub bins: Vec<LabelBin>,
    /// The rows where the column is null; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<LabelBin>,
    /// Sum over bins, the missing included, of (share of positives less share of negatives) times the logarithm of their
    /// quotient (Siddiqi 2006); half a row is added to each count. Above 0.5 a column is suspiciously good.
    pub information_value: f64,
    /// Whether the bins alone tell the label, but for one in twenty of the rarer outcome.
    pub gives_away: bool,
}

/// A bin with the label of its training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelBin {
    pub name: String,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub from: serde_json::Value,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub to: serde_json::Value,
    /// Training rows.
    pub rows: u64,
    pub positives: u64,
}

impl LabelBin {
    /// The share of positives; `None` without rows.
    pub fn rate(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.positives as f64 / self.rows as f64)
    }
}

/// One month of a column, in the order of [`Profile::months`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnMonth {
    pub nulls: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Population stability index of the month against all accepted rows, over the same bins as the label's rates, nulls a
    /// bin of their own. Above 0.25 by custom a shift, above 0.1 worth a look.
    pub psi: f64,
}

impl Summary {
    pub fn null_share(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.nulls as f64 / self.rows as f64 }
    }

    /// The value of a quantile that was taken.
    pub fn quantile(&self, share: f64) -> Option<&serde_json::Value> {
        self.quantiles.iter().find(|quantile| quantile.share == share).map(|quantile| &quantile.value)
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
