//! What a client logs at once, metric by metric by the hundred: the one call whose reading is as dear as its writing.

use std::borrow::Cow;
use std::collections::BTreeSet;

use karat_registry::{Batch, Metric};
use serde::Deserialize;
use serde_json::json;

use super::error::MlflowError;
use super::fields::Fields;
use super::{Answer, Asked, Sent, Tracking, metrics, validate};

const MOST_METRICS: usize = 1_000;
const MOST_PARAMS: usize = 100;
const MOST_ENTITIES: usize = 1_000;

/// A batch that MLflow's rules allow.
#[derive(Debug, PartialEq)]
pub struct Logged {
    run_id: String,
    batch: Batch,
}

pub async fn log(tracking: Tracking, Logged { run_id, batch }: Logged) -> Answer {
    tracking.registry().log_batch(&run_id, batch).await?;
    Ok(json!({}))
}

impl Asked for Logged {
    /// As clients write it; what is written otherwise, or is refused, is read field by field, which says what is wrong.
    fn of(sent: &Sent, path: Vec<(String, String)>) -> Result<Logged, MlflowError> {
        let plain = match sent {
            Sent::Body(bytes) => serde_json::from_slice::<Plain<'_>>(bytes).ok().and_then(Plain::checked),
            Sent::Query(_) => None,
        };
        plain.map_or_else(|| by_field(Fields::of(sent, path)?), Ok)
    }
}

fn by_field(mut fields: Fields) -> Result<Logged, MlflowError> {
    let run_id = fields.run_id()?.to_owned();
    let values = fields.messages("metrics")?;
    let (params, tags) = (fields.messages("params")?, fields.messages("tags")?);
    let mut batch = Batch::default();
    for metric in &values {
        batch.metrics.push(metrics::read(metric)?);
    }
    for param in &params {
        batch.params.push((param.required("key")?.to_owned(), param.text("value")?.unwrap_or_default().to_owned()));
    }
    for tag in &tags {
        batch.tags.push((tag.required("key")?.to_owned(), tag.text("value")?.unwrap_or_default().to_owned()));
    }
    validate::run_id(&run_id)?;
    for (metric, at) in batch.metrics.iter_mut().zip(&values) {
        validate::metric(metric, &at.path(""))?;
        batch.model_metrics.extend(metrics::of_model(at, metric)?);
        metric.value = validate::stored(metric.value);
    }
    for ((key, value), at) in batch.params.iter_mut().zip(&params) {
        *value = validate::param(key, value, &at.path(""))?;
    }
    for ((key, value), at) in batch.tags.iter_mut().zip(&tags) {
        *value = validate::tag(key, value, &at.path(""))?;
    }
    limits(&batch)?;
    Ok(Logged { run_id, batch })
}

fn limits(batch: &Batch) -> Result<(), MlflowError> {
    let (metrics, params, tags) = (batch.metrics.len(), batch.params.len(), batch.tags.len());
    for (what, most, found) in [
        ("metrics", MOST_METRICS, metrics),
        ("params", MOST_PARAMS, params),
        ("tags", MOST_PARAMS, tags),
        ("metrics, params, and tags", MOST_ENTITIES, metrics + params + tags),
    ] {
        if found > most {
            return Err(MlflowError::invalid(format!(
                "A batch logging request can contain at most {most} {what}. Got {found} {what}. Please split up {what} \
                 across multiple requests and try again."
            )));
        }
    }
    let mut seen = BTreeSet::new();
    let twice: Vec<String> =
        batch.params.iter().filter(|(key, _)| !seen.insert(key)).map(|(key, _)| format!("'{key}'")).collect();
    match twice.is_empty() {
        true => Ok(()),
        false => Err(MlflowError::invalid(format!(
            "Duplicate parameter keys have been submitted: [{}]. Please ensure the request contains only one param value \
             per param key.",
            twice.join(", ")
        ))),
    }
}

/// A batch with each field of its own type, borrowed from the body.
#[derive(Deserialize)]
struct Plain<'b> {
    #[serde(borrow)]
    run_id: Cow<'b, str>,
    #[serde(default, borrow)]
    metrics: Vec<Point<'b>>,
    #[serde(default, borrow)]
    params: Vec<Pair<'b>>,
    #[serde(default, borrow)]
    tags: Vec<Pair<'b>>,
}

#[derive(Deserialize)]
struct Point<'b> {
    #[serde(borrow)]
    key: Cow<'b, str>,
    value: f64,
    timestamp: i64,
    #[serde(default)]
    step: i64,
    /// What is of a model has more to read.
    #[serde(default)]
    model_id: Option<Nothing>,
}

#[derive(Deserialize)]
struct Pair<'b> {
    #[serde(borrow)]
    key: Cow<'b, str>,
    #[serde(default, borrow)]
    value: Cow<'b, str>,
}

/// No JSON is this.
#[derive(Deserialize)]
enum Nothing {}

impl Plain<'_> {
    fn checked(self) -> Option<Logged> {
        let Plain { run_id, metrics, params, tags } = self;
        validate::run_id(&run_id).ok()?;
        let pairs = |pairs: Vec<Pair<'_>>, check: fn(&str, &str, &str) -> Result<String, MlflowError>| {
            let checked = |Pair { key, value }: Pair<'_>| {
                let value = check(&key, &value, "").ok()?;
                (!key.is_empty()).then(|| (key.into_owned(), value))
            };
            pairs.into_iter().map(checked).collect::<Option<Vec<_>>>()
        };
        let batch = Batch {
            metrics: metrics.into_iter().map(Point::checked).collect::<Option<_>>()?,
            model_metrics: Vec::new(),
            params: pairs(params, validate::param)?,
            tags: pairs(tags, validate::tag)?,
        };
        limits(&batch).ok()?;
        Some(Logged { run_id: run_id.into_owned(), batch })
    }
}

impl Point<'_> {
    fn checked(self) -> Option<Metric> {
        let Point { key, value, timestamp, step, model_id: None } = self;
        let metric = Metric { key: key.into_owned(), value: validate::stored(value), timestamp_ms: timestamp, step };
        validate::metric(&metric, "").ok()?;
        (!metric.key.is_empty()).then_some(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What both ways of reading make of a body, the plain one first.
    fn both(body: &str) -> (Option<Logged>, Result<Logged, MlflowError>) {
        let plain = serde_json::from_str::<Plain<'_>>(body).ok().and_then(Plain::checked);
        (plain, Fields::from_body(body.as_bytes()).and_then(by_field))
    }

    #[test]
    fn what_clients_write_is_read_alike_in_both_ways() {
        for body in [
            r#"{"run_id": "r1"}"#,
            r#"{"run_id": "r1", "metrics": [], "params": [], "tags": [], "other": {"a": [1]}}"#,
            r#"{"run_id": "r1", "metrics": [{"key": "a b", "value": 0.1, "timestamp": 1, "step": -3}]}"#,
            r#"{"run_id": "r1", "metrics": [{"key": "auc/é", "value": 18446744073709551615, "timestamp": 0}]}"#,
            r#"{"run_id": "r1", "metrics": [{"key": "\u0061\n", "value": 1e-320, "timestamp": 0}]}"#,
            r#"{"run_id": "r1", "metrics": [{"key": "a", "value": -0.0, "timestamp": 9007199254740993, "model_id": null}]}"#,
            r#"{"run_id": "r1", "params": [{"key": "depth", "value": "6"}, {"key": "none"}], "tags": [{"key": "t", "value": "é"}]}"#,
        ] {
            let (plain, by_field) = both(body);
            match (plain, by_field) {
                (Some(plain), Ok(by_field)) => assert_eq!(plain, by_field, "{body}"),
                // A line break in a name is refused, in words.
                (None, Err(_)) => assert!(body.contains(r"\n"), "{body}"),
                (plain, by_field) => panic!("{body}: {plain:?}, {by_field:?}"),
            }
        }
    }

    #[test]
    fn what_is_written_otherwise_is_left_to_the_fields() {
        for (body, allowed) in [
            (r#"{"run_uuid": "r1"}"#, true),
            (r#"{"run_id": "r1", "metrics": null}"#, true),
            (r#"{"run_id": "r1", "metrics": [{"key": "a", "value": "NaN", "timestamp": "1"}]}"#, true),
            (r#"{"run_id": "r1", "metrics": [{"key": "a", "value": 1, "timestamp": 1.0, "step": null}]}"#, true),
            (r#"{"run_id": "r1", "metrics": [{"key": "a", "value": 1, "timestamp": 1, "model_id": "m-1"}]}"#, true),
            (r#"{"run_id": "r1", "tags": [{"key": "a", "value": null}]}"#, true),
            (r#""{\"run_id\": \"r1\"}""#, true),
            (r#"{"run_id": ""}"#, false),
            (r#"{"run_id": "a/b"}"#, false),
            (r#"{"run_id": "r1", "metrics": {}}"#, false),
            (r#"{"run_id": "r1", "metrics": [{"key": "", "value": 1, "timestamp": 1}]}"#, false),
            (r#"{"run_id": "r1", "metrics": [{"key": "../a", "value": 1, "timestamp": 1}]}"#, false),
            (r#"{"run_id": "r1", "metrics": [{"key": "a", "value": 1, "timestamp": -1}]}"#, false),
            (r#"{"run_id": "r1", "metrics": [{"key": "a", "timestamp": 1}]}"#, false),
            (r#"{"run_id": "r1", "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]}"#, false),
            (r#"{"run_id": "r1""#, false),
        ] {
            let (plain, by_field) = both(body);
            assert_eq!(plain, None, "{body}");
            assert_eq!(by_field.is_ok(), allowed, "{body}: {by_field:?}");
        }
    }
}
