use karat_core::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of a source's contract: a check and what happens to the rows that fail it.
///
/// Checks run in the order written, after `prepare`, and skip rows that an earlier check quarantined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    #[serde(flatten)]
    pub check: Check,
    #[serde(default)]
    pub action: Action,
    /// The share of rows (0 to 1) that may fail before the whole delivery is refused. Under `action: fail` it
    /// defaults to 0; under the other actions, without it, no share refuses the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_above: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The row is kept apart, with its place, value and reason.
    #[default]
    Quarantine,
    /// The cell becomes null; the row goes on. Needs a check on one column.
    SetNull,
    /// The row goes on; the failure is counted and reported.
    Warn,
    /// The delivery is refused when more than `fail_above` of its rows fail; otherwise as `warn`.
    Fail,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "check", rename_all = "snake_case")]
pub enum Check {
    /// The column has a value.
    NotNull { column: String },
    /// No two rows agree on all these columns; the first row in file order stays. Nulls are values here.
    Unique { columns: Vec<String> },
    /// The value is one of these; null passes.
    Allowed { column: String, values: Vec<serde_json::Value> },
    /// `min <= value <= max`; null passes. Bounds of dates and timestamps are written as text.
    Range {
        column: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<serde_json::Value>,
    },
    /// The text matches this regular expression somewhere (anchor it with `^` and `$`); null passes.
    Pattern { column: String, pattern: String },
    /// The number of rows not quarantined so far. Its action can be `warn` or `fail`.
    RowCount {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u64>,
    },
    /// The column's value stands in a column of another source's current rows; null passes.
    Relation {
        column: String,
        source: Name,
        /// The other source's column; the same name when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        references: Option<String>,
    },
    /// An SQL expression over the row's columns is true; null fails.
    Expression { sql: String },
}

impl Check {
    /// The check's name as files write it.
    pub fn name(&self) -> &'static str {
        match self {
            Check::NotNull { .. } => "not_null",
            Check::Unique { .. } => "unique",
            Check::Allowed { .. } => "allowed",
            Check::Range { .. } => "range",
            Check::Pattern { .. } => "pattern",
            Check::RowCount { .. } => "row_count",
            Check::Relation { .. } => "relation",
            Check::Expression { .. } => "expression",
        }
    }

    /// The one column it looks at, where it is one.
    pub fn column(&self) -> Option<&str> {
        match self {
            Check::NotNull { column }
            | Check::Allowed { column, .. }
            | Check::Range { column, .. }
            | Check::Pattern { column, .. }
            | Check::Relation { column, .. } => Some(column),
            Check::Unique { columns } if columns.len() == 1 => columns.first().map(String::as_str),
            Check::Unique { .. } | Check::RowCount { .. } | Check::Expression { .. } => None,
        }
    }
}
