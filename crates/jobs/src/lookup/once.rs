//! A list of keys asked about at once, where no server has the source: what is fresh in history is not asked again, so that
//! a run that was broken off goes on where it was.

use std::collections::{BTreeMap, HashSet};
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::{Context, Result, bail};
use arrow::array::Array;
use futures::{StreamExt, TryStreamExt, stream};
use karat_core::{Column, Name, Schema, Value, Zone};
use karat_features::encode_key;
use karat_outbound::{Failure, Service};
use karat_query::{Pushed, Pushing};
use serde::Serialize;
use serde_json::Value as Json;

use super::fresh::Fresh;
use super::rows::Rows;
use crate::push::{LiveView, Planned, Tools, take, views};
use crate::{NotFound, Unit, Usage, Workspace};

/// Answers kept together.
const TOGETHER: usize = 256;
/// Longer than any service takes with all its repetitions.
const PATIENCE: Duration = Duration::from_secs(86_400);
/// How many failures are told in full.
const TOLD: usize = 5;

/// Whom to ask about.
pub enum Keys<'k> {
    /// A key a line: a value, or a JSON object of the columns.
    Lines(&'k mut (dyn BufRead + Send)),
    /// Those of a model's spine.
    Of(&'k str),
}

/// What became of the keys: `fresh + answered + failed + left` are all of them.
#[derive(Debug, Serialize)]
pub struct Once {
    pub source: Name,
    pub keys: u64,
    /// Keys with an answer in history that is still used.
    pub fresh: u64,
    pub answered: u64,
    /// By what failed.
    pub failed: BTreeMap<String, u64>,
    /// The first of them, in words.
    pub failures: Vec<String>,
    /// Keys that were not asked about, as the service failed too often.
    pub left: u64,
    /// The source's newest number after this.
    pub commit: u64,
    pub seconds: f64,
}

impl Once {
    pub fn is_whole(&self) -> bool {
        self.left == 0 && self.failed.is_empty()
    }
}

/// Applies and ingests what is new, then asks about every key that has no fresh answer. Nothing stands in for an answer that
/// fails to come: the key is asked about the next time.
pub async fn ask(workspace: &Workspace, source: &str, keys: Keys<'_>) -> Result<Once> {
    let begun = Stopwatch::now();
    crate::ingest::ensure(workspace).await?;
    let catalog = workspace.catalog()?;
    let Some(found) = catalog.sources.get(source) else {
        bail!(NotFound::named("source", source, catalog.sources.keys()));
    };
    let (Some(rows), Some(planned)) = (Rows::of(&found.plan)?, Planned::of(found)) else {
        bail!(Usage(format!("source {source} has no `lookup`: there is no service to ask")));
    };
    let all = match keys {
        Keys::Lines(lines) => from_lines(&rows, lines)?,
        Keys::Of(model) => of_model(workspace, &rows, model).await?,
    };
    let service = Service::new(rows.name(), &rows.lookup)?;
    let views = views(&planned, &catalog, &[], &[])?;
    let opening = Pushing::open(&planned.plan, &planned.definition, &workspace.history, planned.push.survives);
    let pushing = opening.await?;
    let now = workspace.clock.now();
    let fresh = Fresh::load(&workspace.history, &rows, now).await?;
    let asked: Vec<&Vec<Value>> = all.iter().filter(|key| fresh.get(&encode_key(key.iter()), now).is_none()).collect();
    let mut once = Once {
        source: rows.name().clone(),
        keys: all.len() as u64,
        fresh: (all.len() - asked.len()) as u64,
        answered: 0,
        failed: BTreeMap::new(),
        failures: Vec::new(),
        left: 0,
        commit: pushing.commit(),
        seconds: 0.0,
    };
    let mut keeping =
        Keeping { tools: Tools::of(workspace, rows.name())?, pushing, views, rows: &rows, once: &mut once };
    keeping.all(workspace, &service, asked).await?;
    keeping.pushing.turn_over().await?.run().await?;
    once.seconds = begun.elapsed().as_secs_f64();
    Ok(once)
}

struct Keeping<'a> {
    tools: Tools,
    pushing: Pushing,
    views: Vec<Arc<LiveView>>,
    rows: &'a Rows,
    once: &'a mut Once,
}

/// A key, and its row or why there is none.
type Asked<'k> = (&'k Vec<Value>, Result<Json, Failure>);

impl<'a> Keeping<'a> {
    async fn all(&mut self, workspace: &Workspace, service: &Service, keys: Vec<&'a Vec<Value>>) -> Result<()> {
        let count = keys.len() as u64;
        let stage = workspace.observer.begin(&format!("asking {}", self.rows.name()), count, Unit::Keys);
        let rows = self.rows;
        let ask = |key: &'a Vec<Value>| async move {
            let until = (Stopwatch::now() + PATIENCE).into();
            let answered = service.ask(&rows.named(key), until).await;
            (key, rows.answered(key, workspace.clock.now(), answered))
        };
        let at_once = (rows.lookup.concurrency as usize).max(1);
        let mut asked = stream::iter(keys).map(ask).buffer_unordered(at_once).ready_chunks(TOGETHER);
        let mut done = 0;
        while let Some(together) = asked.next().await {
            done += together.len() as u64;
            stage.advance(together.len() as u64);
            if self.keep(together).await? {
                self.once.left += count - done;
                break;
            }
        }
        Ok(())
    }

    /// Whether the service failed too often to be asked on.
    async fn keep(&mut self, asked: Vec<Asked<'_>>) -> Result<bool> {
        let (mut keys, mut requests, mut stopped) = (Vec::new(), Vec::new(), false);
        for (key, row) in asked {
            match row {
                Ok(row) => {
                    keys.push(key);
                    requests.push(vec![row]);
                }
                Err(Failure::Paused(_)) => {
                    stopped = true;
                    self.once.left += 1;
                }
                Err(failure) => self.failed(key, &failure),
            }
        }
        if !requests.is_empty() {
            let group = take(&self.tools, &mut self.pushing, &self.views, &requests).await?;
            self.once.commit = group.commit;
            for (key, pushed) in keys.into_iter().zip(group.answers) {
                match pushed {
                    Pushed::Taken(taken) if taken.quarantined.is_empty() => self.once.answered += 1,
                    Pushed::Taken(taken) => self.failed(key, &Failure::Answer(self.rows.words(&taken.quarantined))),
                    Pushed::Refused(faults) => self.failed(key, &Failure::Answer(self.rows.words(&faults))),
                }
            }
        }
        Ok(stopped)
    }

    fn failed(&mut self, key: &[Value], failure: &Failure) {
        *self.once.failed.entry(failure.word().to_owned()).or_default() += 1;
        if self.once.failures.len() < TOLD {
            let key: Vec<String> = key.iter().map(ToString::to_string).collect();
            self.once.failures.push(format!("{}: {failure}", key.join(", ")));
        }
    }
}

/// Each key once, in the order of the lines.
fn from_lines(rows: &Rows, lines: &mut (dyn BufRead + Send)) -> Result<Vec<Vec<Value>>> {
    let mut keys = Distinct::default();
    for (number, line) in (1_u64..).zip(lines.lines()) {
        let line = line.context("the keys cannot be read")?;
        let text = line.trim().trim_start_matches('\u{feff}');
        let is_header = number == 1 && rows.key.iter().any(|column| column.name == text.trim_matches('"'));
        if text.is_empty() || is_header {
            continue;
        }
        let key = read(rows, text).map_err(|problem| Usage(format!("line {number} of the keys: {problem}")))?;
        keys.add(key);
    }
    Ok(keys.in_order)
}

fn read(rows: &Rows, text: &str) -> Result<Vec<Value>, String> {
    if text.starts_with('{') {
        let json: Json = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let value = |column: &Column| match json.get(&column.name) {
            None | Some(Json::Null) => Err(format!("there is no `{}`", column.name)),
            Some(value) => Value::from_json(value, column.data_type).map_err(|error| error.to_string()),
        };
        return rows.key.iter().map(value).collect();
    }
    match rows.key.as_slice() {
        [column] => {
            let value = Value::parse(text.trim_matches('"'), column.data_type, &Zone::utc());
            value.map(|value| vec![value]).map_err(|error| error.to_string())
        }
        columns => {
            let names: Vec<String> = columns.iter().map(|column| format!("\"{}\": …", column.name)).collect();
            Err(format!("a key has several columns: write {{{}}}", names.join(", ")))
        }
    }
}

/// The keys of a model's spine, as its source's history has them.
async fn of_model(workspace: &Workspace, rows: &Rows, model: &str) -> Result<Vec<Vec<Value>>> {
    let spine = &workspace.model(model)?.spine;
    let catalog = workspace.catalog()?;
    let schema = catalog.sources[&spine.source].plan.schema();
    let column = |wanted: &Column| schema.columns().iter().find(|column| column.name == wanted.name).cloned();
    let columns: Option<Vec<Column>> = rows.key.iter().map(column).collect();
    let Some(columns) = columns else {
        let names: Vec<&str> = rows.key.iter().map(|column| column.name.as_str()).collect();
        bail!(Usage(format!(
            "source {} is asked by {}, which the spine of model {model} (source {}) has not: give `--keys`",
            rows.name(),
            names.join(", "),
            spine.source
        )));
    };
    let snapshot = workspace.snapshot(&spine.source, None).await?;
    let mut keys = Distinct::default();
    let mut batches = snapshot.stream(&Schema::new(columns.clone()), &[], None);
    while let Some(batch) = batches.try_next().await? {
        let of: Vec<_> = columns.iter().filter_map(|column| batch.column_by_name(&column.name)).collect();
        for row in (0..batch.num_rows()).filter(|row| of.iter().all(|values| values.is_valid(*row))) {
            keys.add(of.iter().map(|values| Value::from_array(values, row)).collect());
        }
    }
    Ok(keys.in_order)
}

#[derive(Default)]
struct Distinct {
    seen: HashSet<Vec<u8>>,
    in_order: Vec<Vec<Value>>,
}

impl Distinct {
    fn add(&mut self, key: Vec<Value>) {
        if self.seen.insert(encode_key(&key)) {
            self.in_order.push(key);
        }
    }
}
