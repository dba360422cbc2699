use karat_core::Window;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::feature_check::FeatureCheck;
use super::feature_view::{Aggregate, Feature, FeatureKind, Fraction, Rows};

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
    /// Of a sample; null under two values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stddev: Option<String>,
    /// Of a sample; null under two values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<String>,
    /// The quantile at 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    median: Option<String>,
    /// The quantile at `q`, between two values linearly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quantile: Option<String>,
    /// Where the quantile lies, from 0 (the least value) to 1 (the greatest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    q: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    /// A column: its last value. A number n: only the last n events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distinct: Option<String>,
    /// As `distinct`, by a sketch of fixed size whose standard error is 1.6 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approx_distinct: Option<String>,
    /// A boolean expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    /// `rows`, or a boolean expression that the event satisfies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_since: Option<String>,
    /// A column or an expression: its values at the last events, in their order, nulls included. `last: n` says how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<String>,
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

pub(crate) const KINDS: &str = "count, sum, mean, stddev, variance, min, max, median, quantile, first, last, distinct, \
     approx_distinct, share, time_since, list or expression";
pub(crate) const Q_MISSING: &str = "`quantile` needs `q`, such as `q: 0.9`";
pub(crate) const Q_ALONE: &str = "`q` says which `quantile`, and this feature has none";
pub(crate) const Q_RANGE: &str = "a number from 0 to 1";
/// Elements of a list.
const MOST_LISTED: u32 = 1_000;

/// What is wrong with how many events a list is of.
pub(crate) fn list_problem(last: Option<u32>) -> Option<String> {
    match last {
        None => Some("`list` needs `last: n`: how many of the last events it is of, such as `last: 5`".to_owned()),
        Some(last) if last > MOST_LISTED => {
            Some(format!("a `list` is of at most {MOST_LISTED} events, and `last` says {last}"))
        }
        Some(_) => None,
    }
}

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
        let quantile = match (&raw.quantile, raw.q) {
            (Some(_), Some(q)) => Fraction::new(q).ok_or_else(|| format!("`q: {q}` is none: it is {Q_RANGE}"))?,
            (Some(_), None) => return Err(Q_MISSING.to_owned()),
            (None, Some(_)) => return Err(Q_ALONE.to_owned()),
            (None, None) => Fraction::HALF,
        };
        let aggregates = [
            (Aggregate::Count, raw.count),
            (Aggregate::Sum, raw.sum),
            (Aggregate::Mean, raw.mean),
            (Aggregate::Stddev, raw.stddev),
            (Aggregate::Variance, raw.variance),
            (Aggregate::Min, raw.min),
            (Aggregate::Max, raw.max),
            (Aggregate::Quantile(Fraction::HALF), raw.median),
            (Aggregate::Quantile(quantile), raw.quantile),
            (Aggregate::First, raw.first),
            (Aggregate::Last, last_of),
            (Aggregate::Distinct, raw.distinct),
            (Aggregate::ApproxDistinct, raw.approx_distinct),
            (Aggregate::Share, raw.share),
            (Aggregate::TimeSince, raw.time_since),
            (Aggregate::List, raw.list),
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
        let feature = Feature { kind, rows, words: raw.words, description: raw.description, checks: raw.checks };
        match list_problem(feature.rows.last).filter(|_| feature.is_list()) {
            Some(problem) => Err(problem),
            None => Ok(feature),
        }
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
                    Aggregate::Stddev => raw.stddev = Some(of),
                    Aggregate::Variance => raw.variance = Some(of),
                    Aggregate::Quantile(q) => (raw.quantile, raw.q) = (Some(of), Some(q.get())),
                    Aggregate::Min => raw.min = Some(of),
                    Aggregate::Max => raw.max = Some(of),
                    Aggregate::First => raw.first = Some(of),
                    Aggregate::Last => raw.last = Some(Last::Column(of)),
                    Aggregate::Distinct => raw.distinct = Some(of),
                    Aggregate::ApproxDistinct => raw.approx_distinct = Some(of),
                    Aggregate::Share => raw.share = Some(of),
                    Aggregate::TimeSince => raw.time_since = Some(of),
                    Aggregate::List => raw.list = Some(of),
                }
            }
        }
        raw
    }
}
