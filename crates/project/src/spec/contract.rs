use karat_core::{Instant, Name, Window, Zone};
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
    /// `min <= value <= max`; null passes. Bounds of dates and timestamps are written as text: an instant, or one that
    /// moves with the delivery, such as `now`, `-10 years`, `+1 day`.
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
    /// The text has from `min` to `max` characters; null passes.
    Length {
        column: String,
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
        /// The share of rows (0 to 1) that may miss: up to it they are counted and go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tolerance: Option<f64>,
    },
    /// The newest value of a date or timestamp column is no older than `within` before the delivery. Its action can be
    /// `warn` or `fail`.
    Freshness { column: String, within: Window },
    /// The number of rows not quarantined so far is the mean of the last deliveries', give or take a share of it. The first
    /// delivery passes. Its action can be `warn` or `fail`.
    Volume {
        /// How many deliveries before this one are looked at. Default: 5.
        #[serde(default = "last_deliveries", skip_serializing_if = "is_last_deliveries")]
        last: u32,
        /// The share of the mean that it may be off, such as 0.3.
        tolerance: f64,
    },
    /// An SQL expression over the row's columns is true; null fails.
    Expression { sql: String },
}

/// Deliveries that a `volume` check looks at, unless it says how many.
pub const LAST_DELIVERIES: u32 = 5;

fn last_deliveries() -> u32 {
    LAST_DELIVERIES
}

fn is_last_deliveries(last: &u32) -> bool {
    *last == LAST_DELIVERIES
}

/// A bound that moves with the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before(Window),
    After(Window),
}

impl Moment {
    /// `now`, `-10 years`, `+1 day`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Moment> {
        let text = text.trim();
        if text == "now" {
            return Some(Moment::After(Window::Fixed(0)));
        }
        match text.split_at_checked(1)? {
            ("-", window) => window.parse().ok().map(Moment::Before),
            ("+", window) => window.parse().ok().map(Moment::After),
            _ => None,
        }
    }

    pub fn at(self, delivery: Instant, zone: &Zone) -> Instant {
        match self {
            Moment::Before(window) => window.start(delivery, zone),
            Moment::After(window) => window.end(delivery, zone),
        }
    }
}

impl Check {
    /// Whether it is about the delivery as a whole, and no row in particular.
    pub fn is_whole(&self) -> bool {
        matches!(self, Check::RowCount { .. } | Check::Freshness { .. } | Check::Volume { .. })
    }

    /// The check's name as files write it.
    pub fn name(&self) -> &'static str {
        match self {
            Check::NotNull { .. } => "not_null",
            Check::Unique { .. } => "unique",
            Check::Allowed { .. } => "allowed",
            Check::Range { .. } => "range",
            Check::Pattern { .. } => "pattern",
            Check::RowCount { .. } => "row_count",
            Check::Length { .. } => "length",
            Check::Relation { .. } => "relation",
            Check::Freshness { .. } => "freshness",
            Check::Volume { .. } => "volume",
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
            | Check::Length { column, .. }
            | Check::Freshness { column, .. }
            | Check::Relation { column, .. } => Some(column),
            Check::Unique { columns } if columns.len() == 1 => columns.first().map(String::as_str),
            Check::Unique { .. } | Check::RowCount { .. } | Check::Volume { .. } | Check::Expression { .. } => None,
        }
    }
}
