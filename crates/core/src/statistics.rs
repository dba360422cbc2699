//! What the values of a view's features look like over its keys: taken at a materialization, kept, and shown in the
//! catalogue. This is their JSON.

use serde::{Deserialize, Serialize};

use crate::profile::{Bin, Summary};
use crate::{DataType, Digest, Instant, Name};

/// The newest form of the JSON.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewStatistics {
    pub format_version: u32,
    pub view: Name,
    pub definition: Digest,
    /// The newest commit of the view's source that the values rest on.
    pub commit: u64,
    /// When they were taken; what is known later is in none of them.
    pub at: Instant,
    /// The instant that every key was read at: just after the newest event that has happened by `at`; of a record of
    /// facts `at` itself.
    pub as_of: Instant,
    /// The newest event that has happened by `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_event: Option<Instant>,
    pub keys: u64,
    /// Keys of which no event was visible.
    pub no_history: u64,
    /// Keys whose newest event was older than the view's `stale_after`; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<u64>,
    /// Keys that the online store cannot answer for at `as_of`, which lies before their horizon: they are in no figure.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub before_horizon: u64,
    pub features: Vec<FeatureStatistics>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureStatistics {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
    #[serde(default, skip_serializing_if = "FigureOf::is_values")]
    pub of: FigureOf,
    /// A row of it is a key.
    pub summary: Summary,
    /// By equal width, or value by value where there are few; as far off as the summary's quantiles are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<Bin>,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FigureOf {
    #[default]
    Values,
    /// How many values each list has; the type is that of lengths.
    Lengths,
}

impl FigureOf {
    fn is_values(&self) -> bool {
        *self == FigureOf::Values
    }
}

impl ViewStatistics {
    pub fn feature(&self, name: &str) -> Option<&FeatureStatistics> {
        self.features.iter().find(|feature| feature.name == name)
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
