use indexmap::IndexMap;
use karat_core::{DataType, Name, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::feature_check::FeatureCheck;
use super::raw_feature::RawFeature;

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
    /// The entity, whose key columns are columns of the source; `entities`, where the features describe several together.
    #[serde(rename = "entity", alias = "entities", with = "karat_core::one_or_many")]
    #[schemars(with = "Name")]
    pub entities: Vec<Name>,
    pub source: Name,
    /// How old an event may be at as_of to count in any of the features, as if each had this `window`; one with a window of
    /// its own keeps that. Default: events of any age count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Window>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// `int`: how many; of an expression, how many are not null.
    Count,
    /// Of ints an `int` (null where it leaves 64 bits), of floats a `float`, exact and rounded once.
    Sum,
    /// `float`, exact and rounded once.
    Mean,
    /// `float`, of a sample (divided by n - 1), exact and rounded once; null under two values.
    Variance,
    /// `float`: the root of the exact variance, rounded once; null under two values.
    Stddev,
    Min,
    Max,
    /// `float`: between the two values nearest to `q`, linearly, as numpy's default.
    Quantile(Fraction),
    /// The earliest event's value, null included.
    First,
    /// The latest event's value, null included.
    Last,
    /// `int`: different values, null not counted.
    Distinct,
    /// `int`: about how many different values, null not counted; the standard error is 1.6 %.
    ApproxDistinct,
    /// `float`: the share of rows where a boolean expression is true, among those where it is not null.
    Share,
    /// `float`, in days of 24 hours: from the latest event to as_of.
    TimeSince,
    /// A list: the values of the last n events in their order, null included. [`Rows::last`] says how many.
    List,
}

/// How far from the least (0) to the greatest (1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fraction(f64);

/// It is never not-a-number.
impl Eq for Fraction {}

impl Fraction {
    pub const HALF: Fraction = Fraction(0.5);

    pub fn new(fraction: f64) -> Option<Fraction> {
        // The sum makes a negative zero positive.
        (0.0..=1.0).contains(&fraction).then_some(Fraction(fraction + 0.0))
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

impl Feature {
    /// Whether its value is a list, which no model and no expression takes.
    pub fn is_list(&self) -> bool {
        matches!(self.kind, FeatureKind::Aggregate { aggregate: Aggregate::List, .. })
    }

    /// What computes it, as files write it, without what only describes it.
    pub fn how(&self) -> serde_json::Value {
        let mut json = serde_json::to_value(self).expect("features serialise to JSON");
        if let Some(fields) = json.as_object_mut() {
            fields.retain(|name, _| !matches!(name.as_str(), "words" | "description" | "checks"));
        }
        json
    }
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
    /// The last n events that pass `where`, nulls included. A list has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
}

impl JsonSchema for Feature {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Feature".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = RawFeature::json_schema(generator);
        // Files may write it; reading makes it several features before there is a spec.
        let windows = json!({
            "description": "A feature for each of these windows: `name` with `30 days` becomes `name_30_days`, and its words end in `(30 days)`.",
            "type": "array",
            "items": generator.subschema_for::<Window>(),
            "minItems": 1,
        });
        if let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
            properties.insert("windows".to_owned(), windows);
        }
        schema
    }
}

impl Aggregate {
    /// The type of the feature (of a list, of its elements), given the type of what it aggregates (`None` for whole rows);
    /// `None` where it cannot.
    pub fn output(self, of: Option<DataType>) -> Option<DataType> {
        match (self, of) {
            (Aggregate::Count | Aggregate::Distinct, _) => Some(DataType::Int),
            (Aggregate::ApproxDistinct, Some(_)) => Some(DataType::Int),
            (Aggregate::Sum, Some(DataType::Int)) => Some(DataType::Int),
            (Aggregate::Sum, Some(DataType::Float)) => Some(DataType::Float),
            (
                Aggregate::Mean | Aggregate::Variance | Aggregate::Stddev | Aggregate::Quantile(_),
                Some(DataType::Int | DataType::Float),
            ) => Some(DataType::Float),
            (Aggregate::Min | Aggregate::Max | Aggregate::First | Aggregate::Last | Aggregate::List, Some(of)) => {
                Some(of)
            }
            (Aggregate::Share, Some(DataType::Bool)) => Some(DataType::Float),
            (Aggregate::TimeSince, None | Some(DataType::Bool)) => Some(DataType::Float),
            _ => None,
        }
    }
}
