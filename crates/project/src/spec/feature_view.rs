use indexmap::IndexMap;
use karat_core::{DataType, Name, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Features of one entity (or several together) from one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureView {
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub tags: IndexMap<String, String>,
    /// The entity; its key column is a column of the source.
    pub entity: Name,
    pub source: Name,
    /// A value whose newest event is older than this at as_of is reported as stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Window>,
    /// How far back, from the newest ingested event, the online store keeps single events; those before are folded
    /// into a checkpoint. Default: all are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online_horizon: Option<Window>,
    #[serde(with = "super::ordered")]
    #[schemars(with = "IndexMap<String, Feature>")]
    pub features: IndexMap<String, Feature>,
}

/// One feature: exactly one aggregate or expression, and what narrows or describes it.
///
/// Written `{count: rows, where: late, window: 6 months}`, `{mean: loan_amount}`, `{last: status}`,
/// `{share: late, last: 6}`, `{expression: "years_between(birthday, as_of)"}`.
/// `last` is an aggregate when it names a column and a limit when it is a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawFeature", into = "RawFeature")]
pub struct Feature {
    pub kind: FeatureKind,
    pub rows: Rows,
    pub words: Option<String>,
    pub description: Option<String>,
    pub checks: Vec<FeatureCheck>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FeatureKind {
    /// Over the visible events that [`Rows`] keeps. `of` is an SQL expression over the source's columns, `None` for
    /// whole rows (`count: rows`, `time_since: rows`).
    Aggregate { aggregate: Aggregate, of: Option<String> },
    /// An SQL expression over `as_of`, the view's other features, and the source's columns as the last visible event
    /// has them. A name means the other feature of that name before the column; inside its own definition, the column.
    Expression { sql: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// `int`: how many; of an expression, how many are not null.
    Count,
    /// Of ints an `int` (null where it leaves 64 bits), of floats a `float`, exact and rounded once.
    Sum,
    /// `float`, exact and rounded once.
    Mean,
    Min,
    Max,
    /// The earliest event's value, null included.
    First,
    /// The latest event's value, null included.
    Last,
    /// `int`: different values, null not counted.
    Distinct,
    /// `float`: the share of rows where a boolean expression is true, among those where it is not null.
    Share,
    /// `float`, in days of 24 hours: from the latest event to as_of.
    TimeSince,
}

/// Which of the visible events a feature sees.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Rows {
    /// A boolean SQL expression over the source's columns; null keeps nothing.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// `[as_of - window, as_of)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The last n events that pass `where`, nulls included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
}

/// What a served value must satisfy; a failure is reported in `qa_failures`, a log line and a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "check", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeatureCheck {
    NotNull {},
    Range {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
    },
    Allowed {
        values: Vec<serde_json::Value>,
    },
}

/// A feature as files write it: flat.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Feature")]
pub(crate) struct RawFeature {
    /// `rows`, or an expression whose values that are not null are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sum: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mean: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    /// A column: its last value. A number n: only the last n events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distinct: Option<String>,
    /// A boolean expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    /// `rows`, or a boolean expression that the event satisfies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    /// What the feature is called in reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checks: Vec<FeatureCheck>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Last {
    Limit(u32),
    Column(String),
}

const KINDS: &str = "count, sum, mean, min, max, first, last, distinct, share, time_since or expression";

impl TryFrom<RawFeature> for Feature {
    type Error = String;

    fn try_from(raw: RawFeature) -> Result<Feature, String> {
        let (limit, last_of) = match raw.last {
            Some(Last::Limit(limit)) => (Some(limit), None),
            Some(Last::Column(column)) => (None, Some(column)),
            None => (None, None),
        };
        if limit == Some(0) {
            return Err("`last: 0` keeps no events: write 1 or more".to_owned());
        }
        let aggregates = [
            (Aggregate::Count, raw.count),
            (Aggregate::Sum, raw.sum),
            (Aggregate::Mean, raw.mean),
            (Aggregate::Min, raw.min),
            (Aggregate::Max, raw.max),
            (Aggregate::First, raw.first),
            (Aggregate::Last, last_of),
            (Aggregate::Distinct, raw.distinct),
            (Aggregate::Share, raw.share),
            (Aggregate::TimeSince, raw.time_since),
        ];
        let mut given: Vec<FeatureKind> = aggregates
            .into_iter()
            .filter_map(|(aggregate, of)| of.map(|of| (aggregate, of)))
            .map(|(aggregate, of)| {
                let takes_rows = matches!(aggregate, Aggregate::Count | Aggregate::TimeSince);
                FeatureKind::Aggregate { aggregate, of: (!(takes_rows && of == "rows")).then_some(of) }
            })
            .collect();
        given.extend(raw.expression.map(|sql| FeatureKind::Expression { sql }));
        let kind = match (given.pop(), given.is_empty()) {
            (Some(kind), true) => kind,
            (Some(_), false) => return Err(format!("a feature has exactly one of {KINDS}: this one has several")),
            (None, _) => return Err(format!("a feature needs one of {KINDS}")),
        };
        let rows = Rows { filter: raw.filter, window: raw.window, last: limit };
        if matches!(kind, FeatureKind::Expression { .. }) && rows != Rows::default() {
            return Err("`where`, `window` and `last` narrow an aggregate's events; an expression has none".to_owned());
        }
        Ok(Feature { kind, rows, words: raw.words, description: raw.description, checks: raw.checks })
    }
}

impl From<Feature> for RawFeature {
    fn from(feature: Feature) -> RawFeature {
        let mut raw = RawFeature {
            filter: feature.rows.filter,
            window: feature.rows.window,
            last: feature.rows.last.map(Last::Limit),
            words: feature.words,
            description: feature.description,
            checks: feature.checks,
            ..RawFeature::default()
        };
        match feature.kind {
            FeatureKind::Expression { sql } => raw.expression = Some(sql),
            FeatureKind::Aggregate { aggregate, of } => {
                let of = of.unwrap_or_else(|| "rows".to_owned());
                match aggregate {
                    Aggregate::Count => raw.count = Some(of),
                    Aggregate::Sum => raw.sum = Some(of),
                    Aggregate::Mean => raw.mean = Some(of),
                    Aggregate::Min => raw.min = Some(of),
                    Aggregate::Max => raw.max = Some(of),
                    Aggregate::First => raw.first = Some(of),
                    Aggregate::Last => raw.last = Some(Last::Column(of)),
                    Aggregate::Distinct => raw.distinct = Some(of),
                    Aggregate::Share => raw.share = Some(of),
                    Aggregate::TimeSince => raw.time_since = Some(of),
                }
            }
        }
        raw
    }
}

impl JsonSchema for Feature {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Feature".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawFeature::json_schema(generator)
    }
}

impl Aggregate {
    /// The type of the feature, given the type of what it aggregates (`None` for whole rows); `None` where it cannot.
    pub fn output(self, of: Option<DataType>) -> Option<DataType> {
        match (self, of) {
            (Aggregate::Count | Aggregate::Distinct, _) => Some(DataType::Int),
            (Aggregate::Sum, Some(DataType::Int)) => Some(DataType::Int),
            (Aggregate::Sum, Some(DataType::Float)) => Some(DataType::Float),
            (Aggregate::Mean, Some(DataType::Int | DataType::Float)) => Some(DataType::Float),
            (Aggregate::Min | Aggregate::Max | Aggregate::First | Aggregate::Last, Some(of)) => Some(of),
            (Aggregate::Share, Some(DataType::Bool)) => Some(DataType::Float),
            (Aggregate::TimeSince, None | Some(DataType::Bool)) => Some(DataType::Float),
            _ => None,
        }
    }
}
