//! Online values against the offline pass, bit for bit.

use std::collections::HashSet;
use std::time::Instant as Stopwatch;

use anyhow::{Context, Result};
use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use karat_core::time::MICROS_PER_DAY;
use karat_core::{Column, Instant, Name, Schema, Value, hidden, kept_key, key};
use karat_features::{FeatureError, Spine, encode_key};
use karat_serving::{ServingError, read_view};
use serde::Serialize;

use crate::catalog::{PlannedView, key_arrays};
use crate::training_set::as_of_pass;
use crate::{Unit, Workspace, materialize};

/// How much to compare.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Every key is read as of this instant. Default: now.
    pub as_of: Option<Instant>,
    /// Random (key, as-of) pairs besides.
    pub pairs: u64,
    pub seed: u64,
}

/// A view compared.
#[derive(Debug, Serialize)]
pub struct Verified {
    pub view: Name,
    pub keys: u64,
    pub pairs: u64,
    /// Values compared.
    pub values: u64,
    pub different: u64,
    /// Reads of a time before the view's `online_horizon`, which only history answers: nothing to compare.
    pub before_horizon: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    pub seconds: f64,
}

/// A value that differs; `feature` is empty where the whole key cannot be read, or should not be there.
#[derive(Debug, Serialize)]
pub struct Difference {
    pub key: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    pub online: serde_json::Value,
    pub offline: serde_json::Value,
}

const MOST_DIFFERENCES: usize = 20;

/// Materializes what is missing or old, then compares.
pub async fn run(workspace: &Workspace, names: &[String], extent: Extent) -> Result<Vec<Verified>> {
    materialize::run(workspace, names).await?;
    let catalog = workspace.catalog()?;
    let mut verified = Vec::new();
    for (name, planned) in &catalog.views {
        if names.is_empty() || names.iter().any(|wanted| wanted == name.as_str()) {
            verified.push(one(workspace, name, planned, extent).await?);
        }
    }
    Ok(verified)
}

async fn one(workspace: &Workspace, name: &Name, planned: &PlannedView, extent: Extent) -> Result<Verified> {
    let begun = Stopwatch::now();
    let (keys, span) = keys(workspace, planned).await?;
    let asked = questions(&keys, span, extent, workspace.clock.now());
    let columns = planned.view.key_columns();
    let key_arrays = key_arrays(columns, asked.iter().map(|(key, _)| keys[*key].as_slice()));
    let as_of = Int64Array::from_iter_values(asked.iter().map(|(_, as_of)| as_of.micros()));
    let spine = Spine { keys: key_arrays, as_of, known_at: None, since: None };
    let (offline, _) = as_of_pass(workspace, &planned.view, &spine, None).await?;

    let online = workspace.online()?;
    let stage = workspace.observer.begin(&format!("verifying {name}"), asked.len() as u64, Unit::Keys);
    let outputs = planned.view.outputs();
    let mut found = Found { columns, values: 0, different: 0, differences: Vec::new() };
    let mut before_horizon = 0;
    let no_history = offline.column(outputs.len()).as_boolean();
    for (row, (key, as_of)) in asked.iter().enumerate() {
        let key = &keys[*key];
        if row % 1024 == 1023 {
            stage.advance(1024);
        }
        match read_view(online.as_ref(), &planned.view, &planned.digest, key, *as_of) {
            Ok(Some((online, _))) => {
                for (index, output) in outputs.iter().enumerate() {
                    let expected = Value::from_array(offline.column(index), row);
                    found.compare(key, *as_of, &output.name, &online.values[index], &expected);
                }
                let flags = (Value::Bool(online.no_history), Value::Bool(no_history.value(row)));
                found.compare(key, *as_of, "no_history", &flags.0, &flags.1);
            }
            Ok(None) => found.broken(key, Some(*as_of), "the view has no online state"),
            // As of now the store has to answer.
            Err(ServingError::Feature(FeatureError::BeforeHorizon { .. }))
                if row >= keys.len() || extent.as_of.is_some() =>
            {
                before_horizon += 1;
            }
            Err(error) => found.broken(key, Some(*as_of), &error.to_string()),
        }
    }
    let known: HashSet<Vec<u8>> = keys.iter().map(|key| kept_key(&encode_key(key)).into_owned()).collect();
    online.scan(&planned.digest, &mut |key, _| {
        if !known.contains(key) {
            let key = karat_features::decode_key(key).ok().filter(|values| values.len() == columns.len());
            let key = key.unwrap_or_else(|| vec![Value::Null; columns.len()]);
            found.broken(&key, None, "the online store has a key that history has not");
        }
    })?;
    Ok(Verified {
        view: name.clone(),
        keys: keys.len() as u64,
        pairs: extent.pairs,
        values: found.values,
        different: found.different,
        before_horizon,
        differences: found.differences,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Every key of the view's history, in order, and the first and last event.
async fn keys(workspace: &Workspace, planned: &PlannedView) -> Result<(Vec<Vec<Value>>, Option<(i64, i64)>)> {
    let source = &planned.spec.source;
    let snapshot = workspace.history.snapshot(source, None).await?.context("materialized views have a history")?;
    let columns = planned.view.key_columns();
    let mut batches = snapshot.stream(&Schema::new(columns.to_vec()), &[hidden::EVENT_TIME], None);
    let mut keys = HashSet::new();
    let mut span: Option<(i64, i64)> = None;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let key = |row: usize| -> Vec<Value> {
            batch.columns()[..columns.len()].iter().map(|column| Value::from_array(column, row)).collect()
        };
        keys.extend((0..batch.num_rows()).map(key).filter(|key| !key.iter().any(Value::is_null)));
        let times = batch.column_by_name(hidden::EVENT_TIME).context("histories carry event times")?;
        let times = times.as_primitive::<Int64Type>();
        if let (Some(first), Some(last)) = (arrow::compute::min(times), arrow::compute::max(times)) {
            span = Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        }
    }
    let mut keys: Vec<Vec<Value>> = keys.into_iter().collect();
    keys.sort_unstable();
    Ok((keys, span))
}

/// Every key once, then the random pairs: half at midnights, where windows and months have their edges.
fn questions(keys: &[Vec<Value>], span: Option<(i64, i64)>, extent: Extent, now: Instant) -> Vec<(usize, Instant)> {
    let every = extent.as_of.unwrap_or(now);
    let mut asked: Vec<(usize, Instant)> = (0..keys.len()).map(|key| (key, every)).collect();
    if keys.is_empty() {
        return asked;
    }
    let year = 366 * MICROS_PER_DAY;
    let (first, last) = span.unwrap_or((now.micros() - 10 * year, now.micros()));
    let (first, last) = (first.saturating_sub(year / 2), last.saturating_add(year));
    let mut random = fastrand::Rng::with_seed(extent.seed);
    for pair in 0..extent.pairs {
        let micros = random.i64(first..=last);
        let micros = if pair % 2 == 0 { micros.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY } else { micros };
        asked.push((random.usize(..keys.len()), Instant::from_micros(micros)));
    }
    asked
}

struct Found<'c> {
    /// Of the keys.
    columns: &'c [Column],
    values: u64,
    different: u64,
    differences: Vec<Difference>,
}

impl Found<'_> {
    /// By bits: [`Value`]'s equality is.
    fn compare(&mut self, key: &[Value], as_of: Instant, feature: &str, online: &Value, offline: &Value) {
        self.values += 1;
        if online != offline {
            self.add(Difference {
                key: key::to_json(self.columns, key),
                as_of: Some(as_of),
                feature: Some(feature.to_owned()),
                online: online.to_json(),
                offline: offline.to_json(),
            });
        }
    }

    fn broken(&mut self, key: &[Value], as_of: Option<Instant>, problem: &str) {
        self.add(Difference {
            key: key::to_json(self.columns, key),
            as_of,
            feature: None,
            online: problem.into(),
            offline: serde_json::Value::Null,
        });
    }

    fn add(&mut self, difference: Difference) {
        self.different += 1;
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(difference);
        }
    }
}
