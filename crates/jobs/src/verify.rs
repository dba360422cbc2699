//! Online values against the offline pass, bit for bit.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant as Stopwatch;

use anyhow::{Context, Result};
use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use karat_core::time::MICROS_PER_DAY;
use karat_core::{Column, Instant, Name, OnlineStore, Schema, Value, hidden, kept_key, key};
use karat_features::{FeatureError, Spine, encode_key};
use karat_serving::{Answers, read_view};
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
    let comparing = Comparing { workspace, planned, online: workspace.online()? };
    let (keys, span) = keys(workspace, planned).await?;
    let asked = questions(&keys, span, extent, workspace.clock.now());
    let first = comparing.everything(name, &asked).await?;
    // What is pushed meanwhile is in one of them first. So what differs is looked at again: online, then history up to the
    // very commit that this is of.
    let mut found = Found::new(planned.view.key_columns());
    for suspects in first.rows.chunks(AGAIN_TOGETHER) {
        let asked: Vec<Asked> = suspects.iter().map(|row| asked[*row]).collect();
        let answers = comparing.online(&asked)?;
        let offline = comparing.offline(&asked, answers.as_ref().map(|answers| answers.commit)).await?;
        comparing.compare(0, &asked, answers, &offline, &mut found);
    }
    comparing.strangers(&keys, &mut found).await?;
    Ok(Verified {
        view: name.clone(),
        keys: keys.len() as u64,
        pairs: extent.pairs,
        values: first.values,
        different: found.different,
        before_horizon: first.before_horizon,
        differences: found.differences,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// A key as of an instant.
#[derive(Clone, Copy)]
struct Asked<'k> {
    key: &'k [Value],
    as_of: Instant,
    /// Whether the online store has to answer, whatever its horizon.
    is_now: bool,
}

/// Keys read online together.
const TOGETHER: usize = 1024;

/// Of what differs, keys looked at again together.
const AGAIN_TOGETHER: usize = 65_536;

struct Comparing<'w> {
    workspace: &'w Workspace,
    planned: &'w PlannedView,
    online: Arc<dyn OnlineStore>,
}

impl Comparing<'_> {
    async fn everything(&self, name: &Name, asked: &[Asked<'_>]) -> Result<Found<'_>> {
        let offline = self.offline(asked, None).await?;
        let stage = self.workspace.observer.begin(&format!("verifying {name}"), asked.len() as u64, Unit::Keys);
        let mut found = Found::new(self.planned.view.key_columns());
        for (number, together) in asked.chunks(TOGETHER).enumerate() {
            let first = number * TOGETHER;
            self.compare(first, together, self.online(together)?, &offline.slice(first, together.len()), &mut found);
            stage.advance(together.len() as u64);
        }
        Ok(found)
    }

    fn online(&self, asked: &[Asked<'_>]) -> Result<Option<Answers>> {
        let asked: Vec<(&[Value], Instant)> = asked.iter().map(|asked| (asked.key, asked.as_of)).collect();
        Ok(read_view(self.online.as_ref(), &self.planned.view, &self.planned.digest, &asked)?)
    }

    async fn offline(&self, asked: &[Asked<'_>], up_to: Option<u64>) -> Result<RecordBatch> {
        let keys = key_arrays(self.planned.view.key_columns(), asked.iter().map(|asked| asked.key));
        let as_of = Int64Array::from_iter_values(asked.iter().map(|asked| asked.as_of.micros()));
        let spine = Spine { keys, as_of, known_at: None, since: None };
        Ok(as_of_pass(self.workspace, &self.planned.view, &spine, up_to).await?.0)
    }

    /// Compares answers, the first of them to question number `first`, row by row.
    fn compare(
        &self,
        first: usize,
        asked: &[Asked<'_>],
        answers: Option<Answers>,
        offline: &RecordBatch,
        found: &mut Found<'_>,
    ) {
        let outputs = self.planned.view.outputs();
        let no_history = offline.column(outputs.len()).as_boolean();
        let mut answers = answers.map(|answers| answers.rows.into_iter());
        for (row, &Asked { key, as_of, is_now }) in asked.iter().enumerate() {
            let before = found.different;
            match answers.as_mut().and_then(Iterator::next) {
                Some(Ok(online)) => {
                    for (index, output) in outputs.iter().enumerate() {
                        let expected = Value::from_array(offline.column(index), row);
                        found.compare(key, as_of, &output.name, &online.values[index], &expected);
                    }
                    let flags = (Value::Bool(online.no_history), Value::Bool(no_history.value(row)));
                    found.compare(key, as_of, "no_history", &flags.0, &flags.1);
                }
                Some(Err(FeatureError::BeforeHorizon { .. })) if !is_now => found.before_horizon += 1,
                Some(Err(error)) => found.broken(key, Some(as_of), &error.to_string()),
                None => found.broken(key, Some(as_of), "the view has no online state"),
            }
            if found.different > before {
                found.rows.push(first + row);
            }
        }
    }

    /// Keys of the online store that history has not, though it is looked at again.
    async fn strangers(&self, keys: &[Vec<Value>], found: &mut Found<'_>) -> Result<()> {
        let mut strangers = self.others(keys)?;
        if !strangers.is_empty() {
            let (keys, _) = self::keys(self.workspace, self.planned).await?;
            let known = kept(&keys);
            strangers.retain(|key| !known.contains(key));
        }
        let columns = self.planned.view.key_columns();
        for key in strangers {
            let key = karat_features::decode_key(&key).ok().filter(|values| values.len() == columns.len());
            let key = key.unwrap_or_else(|| vec![Value::Null; columns.len()]);
            found.broken(&key, None, "the online store has a key that history has not");
        }
        Ok(())
    }

    /// What the online store has beside these keys.
    fn others(&self, keys: &[Vec<Value>]) -> Result<Vec<Vec<u8>>> {
        let (known, mut others) = (kept(keys), Vec::new());
        self.online.scan(&self.planned.digest, &mut |key, _| {
            if !known.contains(key) {
                others.push(key.to_vec());
            }
        })?;
        Ok(others)
    }
}

/// Keys as the online store has them.
fn kept(keys: &[Vec<Value>]) -> HashSet<Vec<u8>> {
    keys.iter().map(|key| kept_key(&encode_key(key)).into_owned()).collect()
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
fn questions(keys: &[Vec<Value>], span: Option<(i64, i64)>, extent: Extent, now: Instant) -> Vec<Asked<'_>> {
    let (every, is_now) = (extent.as_of.unwrap_or(now), extent.as_of.is_none());
    let mut asked: Vec<Asked> = keys.iter().map(|key| Asked { key, as_of: every, is_now }).collect();
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
        let key = &keys[random.usize(..keys.len())];
        asked.push(Asked { key, as_of: Instant::from_micros(micros), is_now: false });
    }
    asked
}

struct Found<'c> {
    /// Of the keys.
    columns: &'c [Column],
    values: u64,
    before_horizon: u64,
    different: u64,
    differences: Vec<Difference>,
    /// The questions whose answers differ, by number.
    rows: Vec<usize>,
}

impl<'c> Found<'c> {
    fn new(columns: &'c [Column]) -> Found<'c> {
        Found { columns, values: 0, before_horizon: 0, different: 0, differences: Vec::new(), rows: Vec::new() }
    }

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
