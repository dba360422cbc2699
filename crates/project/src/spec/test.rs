use indexmap::IndexMap;
use karat_core::{Instant, Name};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

/// What a project's definitions must make of given rows. `karat test` runs it in stores that are thrown away.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What is tested, in words.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What sources deliver; those left out deliver nothing, or, with `sql`, what their query makes of the others.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Given>")]
    pub given: IndexMap<Name, Given>,
    pub expect: Vec<Expectation>,
}

/// Rows written out, or a source's own files.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Given {
    /// Columns by their names in the source; a column left out is null. `row_count` checks and shares (`fail_above`) do
    /// not apply: they are about whole deliveries.
    Rows(Vec<GivenRow>),
    Delivered(Delivered),
}

/// One row: columns and their values.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct GivenRow(pub IndexMap<String, Json>);

/// The files that the source reads.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    /// Only the rows of which this SQL condition over the columns as read is true: a sample.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// What must come of it: told by its first key.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Expectation {
    Features(ExpectFeatures),
    Contract(ExpectContract),
    Query(ExpectQuery),
    Train(ExpectTrain),
    Decision(ExpectDecision),
}

/// Values of a feature view.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectFeatures {
    /// The feature view.
    pub features: Name,
    pub key: Json,
    /// Default: now.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Instant>,
    /// Default: as_of.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_at: Option<Instant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_history: Option<bool>,
    #[serde(default)]
    pub values: IndexMap<String, Expected>,
}

/// What a source's contract makes of its rows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectContract {
    /// The source.
    pub contract: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Quarantined>,
    /// Words of why the delivery is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// How many, or which.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Quarantined {
    Count(u64),
    Rows(Vec<QuarantinedRow>),
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantinedRow {
    /// Its place among the given rows; 1 is the first.
    pub row: u64,
    /// The check it failed, as contracts name it; `unreadable` and the like for rows that never got there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Words of the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An answer to SQL over the sources' accepted rows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectQuery {
    pub query: String,
    /// All of them, in their order; of each the columns that matter.
    pub rows: Vec<IndexMap<String, Expected>>,
}

/// A whole training.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectTrain {
    /// The model.
    pub train: Name,
    /// Measures by the names that runs record: `auc`, `validation.auc`…
    #[serde(default)]
    pub measures: IndexMap<String, Expected>,
    /// Whether all gates are passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<GatesOutcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatesOutcome {
    Passed,
    Failed,
}

/// What a model decides: the one that the test trained before, else the project's champion.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectDecision {
    /// The model.
    pub decision: Name,
    /// Whose features are read from the given rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Json>,
    /// With `key`; default: now.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Instant>,
    /// The request's fields, with `key`.
    #[serde(default)]
    pub fields: IndexMap<String, Json>,
    /// Every input of the model, in place of `key`; one left out is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<GivenRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Expected>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A value itself, or bounds of a number.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Expected {
    Bounds(Bounds),
    /// Numbers are compared to nine digits.
    Value(Json),
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
}
