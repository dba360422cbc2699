//! The events behind one feature of one key, from history, and what was left out of its value and why.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, Scalar};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{and, filter_record_batch};
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use indexmap::IndexMap;
use karat_core::{Digest, Instant, Name, Value, hidden, key, nearest};
use karat_features::{Explainer, Explanation, PartOf, ReadAt, Standing};
use serde::Serialize;
use serde_json::Value as Json;

use crate::catalog::{PlannedView, key_arrays};
use crate::materialize::check_names;
use crate::{NotFound, Unit, Workspace, freshness, reading};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    pub view: &'q str,
    pub key: &'q str,
    pub feature: &'q str,
    /// Default: now.
    pub as_of: Option<Instant>,
    /// Default: as_of.
    pub known_at: Option<Instant>,
    /// Of the events that count, and of those left out, so many at most; 0: all.
    pub limit: usize,
}

#[derive(Debug, Serialize)]
pub struct Why {
    pub view: Name,
    pub key: Json,
    pub feature: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// As its file has it, without what only describes it.
    pub how: Json,
    pub as_of: Instant,
    pub known_at: Instant,
    pub value: Json,
    pub no_history: bool,
    /// What an expression reads; empty for an aggregate, which is its own only part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<WhyPart>,
    /// How many events the value is made of.
    pub counted: u64,
    /// How many it is not made of, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// The newest first, those that count before those left out.
    pub events: Vec<WhyEvent>,
    pub definition: Digest,
    pub source: Name,
    /// The newest commit of the source that was read.
    pub commit: u64,
}

#[derive(Debug, Serialize)]
pub struct WhyPart {
    /// A feature of the view, or a column of the last visible event.
    pub name: String,
    pub is_column: bool,
    pub value: Json,
}

/// A record of history.
#[derive(Debug, Serialize)]
pub struct WhyEvent {
    pub counts: bool,
    /// What keeps it out, for programs and for people; absent where it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Of several parts, those it counts in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// Absent in a record of facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Instant>,
    /// Absent where it was always known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_time: Option<Instant>,
    pub commit: u64,
    /// The file it came in, where history keeps it; its digest, where the file is not among those last ingested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The row's number in its delivery, or in its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<i64>,
    /// What the view reads of it.
    pub columns: IndexMap<String, Json>,
}

/// Applies and ingests what is new, then reads.
pub async fn run(workspace: &Workspace, question: Question<'_>) -> Result<Why> {
    crate::ingest::ensure_or_say(workspace).await?;
    let catalog = workspace.catalog()?;
    check_names(&catalog, &[question.view.to_owned()])?;
    let planned = &catalog.views[question.view];
    let output = output(planned, question.feature)?;
    let key = planned.key(question.key)?;
    let columns = planned.view.key_columns();
    let as_of = question.as_of.unwrap_or_else(|| workspace.clock.now());
    let at = ReadAt { as_of, known_at: question.known_at.unwrap_or(as_of), up_to: None };

    let snapshot = reading::snapshot(workspace, &planned.view.definition().source, None).await?;
    let stage = workspace.observer.begin(&format!("events of {}", planned.spec.source), snapshot.rows(), Unit::Rows);
    let wanted: Vec<Scalar<ArrayRef>> = key_arrays(columns, [key.as_slice()]).into_iter().map(Scalar::new).collect();
    let mut explainer = Explainer::new(&planned.view);
    let mut batches = snapshot.stream(planned.view.source_columns(), &hidden::ALL, None);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        stage.advance(batch.num_rows() as u64);
        let mut of_key = BooleanArray::from(vec![true; batch.num_rows()]);
        for (column, wanted) in columns.iter().zip(&wanted) {
            let values = batch.column_by_name(&column.name).context("histories have the columns of their keys")?;
            of_key = and(&of_key, &eq(values, wanted)?)?;
        }
        if of_key.true_count() > 0 {
            explainer.push(&filter_record_batch(&batch, &of_key)?)?;
        }
    }
    drop(stage);
    let explanation = explainer.explain(output, at)?;
    let feature = &planned.spec.features[question.feature];
    let files = freshness::files(workspace, &planned.spec.source);
    let mut why = Why {
        view: planned.spec.name.clone(),
        key: key::to_json(columns, &key),
        feature: question.feature.to_owned(),
        words: feature.words.clone(),
        how: feature.how(),
        as_of,
        known_at: at.known_at,
        value: explanation.value.to_json(),
        no_history: explanation.no_history,
        parts: parts(planned, output, &explanation),
        counted: 0,
        left_out: BTreeMap::new(),
        events: Vec::new(),
        definition: planned.digest.clone(),
        source: planned.spec.source.clone(),
        commit: snapshot.commit,
    };
    let teller = Teller { planned, explanation: &explanation, files: &files };
    why.tell(&teller, question.limit);
    Ok(why)
}

fn output(planned: &PlannedView, feature: &str) -> Result<usize> {
    let outputs = planned.view.outputs();
    outputs.iter().position(|output| output.name == feature).ok_or_else(|| {
        let hint = match nearest(feature, outputs.iter().map(|output| output.name.as_str())) {
            Some(like) => format!("; did you mean `{like}`?"),
            None => format!("; `karat features show {}` lists them", planned.spec.name),
        };
        NotFound(format!("view {} has no feature `{feature}`{hint}", planned.spec.name)).into()
    })
}

/// What an expression reads; of an aggregate nothing, as it is told by the value itself.
fn parts(planned: &PlannedView, output: usize, explanation: &Explanation) -> Vec<WhyPart> {
    let read = explanation.parts.iter().filter(|part| part.of != PartOf::Feature(output));
    read.map(|part| WhyPart {
        name: name_of(planned, &part.of),
        is_column: matches!(part.of, PartOf::Column(_)),
        value: part.value.to_json(),
    })
    .collect()
}

fn name_of(planned: &PlannedView, of: &PartOf) -> String {
    match of {
        PartOf::Feature(output) => planned.view.outputs()[*output].name.clone(),
        PartOf::Column(name) => name.clone(),
    }
}

impl Why {
    fn tell(&mut self, teller: &Teller<'_>, limit: usize) {
        let most = if limit == 0 { usize::MAX } else { limit };
        let mut others = Vec::new();
        let newest = teller.newest();
        for row in (0..teller.explanation.records.num_rows()).rev().filter(|row| newest[*row]) {
            let standing = teller.standing(row);
            match standing {
                // It says of another record that it is gone, and is told there.
                Standing::Removal => {}
                Standing::Counts => {
                    self.counted += 1;
                    if self.events.len() < most {
                        self.events.push(teller.event(row, standing));
                    }
                }
                _ => {
                    *self.left_out.entry(code(standing)).or_default() += 1;
                    if others.len() < most {
                        others.push(teller.event(row, standing));
                    }
                }
            }
        }
        self.events.append(&mut others);
    }
}

/// Says what records are.
struct Teller<'t> {
    planned: &'t PlannedView,
    explanation: &'t Explanation,
    /// Paths by digest.
    files: &'t BTreeMap<Digest, String>,
}

impl Teller<'_> {
    /// Of several parts: that it counts in any, else what keeps it out of the first.
    fn standing(&self, row: usize) -> Standing {
        let standings = &self.explanation.standings[row];
        let counts = standings.iter().find(|standing| **standing == Standing::Counts);
        counts.or(standings.first()).copied().unwrap_or(Standing::NotTheOne)
    }

    /// Of records that say the same of a row, the newest: one that comes late has those after it said again.
    fn newest(&self) -> Vec<bool> {
        let records = &self.explanation.records;
        let mut newest: HashMap<(u32, [Option<i64>; 2], String), usize> = HashMap::new();
        for row in 0..records.num_rows() {
            let times = [hidden::EVENT_TIME, hidden::KNOWN_TIME].map(|name| int(records, name, row));
            let removed = records.column_by_name(hidden::REMOVED).is_some_and(|column| column.as_boolean().value(row));
            let said = format!("{removed} {:?}", self.columns(row));
            let place = newest.entry((self.explanation.identities[row], times, said)).or_insert(row);
            if int(records, hidden::COMMIT, row) > int(records, hidden::COMMIT, *place) {
                *place = row;
            }
        }
        let mut of_rows = vec![false; records.num_rows()];
        newest.into_values().for_each(|row| of_rows[row] = true);
        of_rows
    }

    /// What the view reads of a record.
    fn columns(&self, row: usize) -> IndexMap<String, Json> {
        let records = &self.explanation.records;
        let keys = self.planned.view.key_columns();
        let own = self.planned.view.source_columns().columns().iter().filter(|column| !keys.contains(column));
        let cell =
            |name: &str| records.column_by_name(name).map_or(Value::Null, |column| Value::from_array(column, row));
        own.map(|column| (column.name.clone(), cell(&column.name).to_json())).collect()
    }

    fn event(&self, row: usize, standing: Standing) -> WhyEvent {
        let records = &self.explanation.records;
        let counts = standing == Standing::Counts;
        let standings = self.explanation.standings[row].iter().zip(&self.explanation.parts);
        let within = standings.filter(|(standing, _)| **standing == Standing::Counts);
        let names = within.map(|(_, part)| name_of(self.planned, &part.of)).collect();
        let file = records.column_by_name(hidden::FILE).filter(|column| column.is_valid(row));
        let file = file.and_then(|column| arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).ok());
        WhyEvent {
            counts,
            reason: (!counts).then(|| code(standing)),
            because: (!counts).then(|| self.because(row, standing)),
            parts: if self.explanation.parts.len() > 1 { names } else { Vec::new() },
            event_time: int(records, hidden::EVENT_TIME, row).map(Instant::from_micros),
            known_time: known_time(records, row),
            commit: int(records, hidden::COMMIT, row).unwrap_or_default().unsigned_abs(),
            file: file.map(|column| self.path(column.as_string::<i32>().value(row))),
            row: int(records, hidden::ROW, row),
            columns: self.columns(row),
        }
    }

    fn path(&self, digest: &str) -> String {
        let known = Digest::parse(digest).and_then(|digest| self.files.get(&digest).cloned());
        known.unwrap_or_else(|| digest.to_owned())
    }

    fn because(&self, row: usize, standing: Standing) -> String {
        let records = &self.explanation.records;
        let rows = &self.planned.spec.features;
        let part = self.explanation.parts.first();
        let feature = part.and_then(|part| match &part.of {
            PartOf::Feature(output) => rows.get(&self.planned.view.outputs()[*output].name),
            PartOf::Column(_) => None,
        });
        let narrowed = feature.map(|feature| &feature.rows);
        let commit = |by: usize| int(records, hidden::COMMIT, by).unwrap_or_default();
        let since = |by: usize| match known_time(records, by) {
            Some(known) => format!("known since {known} (commit {})", commit(by)),
            None => format!("in commit {}", commit(by)),
        };
        match standing {
            Standing::Counts => String::new(),
            Standing::NotHappened => "it had not happened yet".to_owned(),
            Standing::NotKnown => match known_time(records, row) {
                Some(known) => format!("it was not known before {known}"),
                None => "it came with a later commit".to_owned(),
            },
            Standing::Revised { by } => format!("it was revised, as {}", since(by)),
            Standing::Removed { by } => format!("it was removed, as {}", since(by)),
            Standing::Removal => "it removes a row".to_owned(),
            Standing::Filtered => match narrowed.and_then(|rows| rows.filter.as_deref()) {
                Some(sql) => format!("`{sql}` is not true of it"),
                None => "the condition is not true of it".to_owned(),
            },
            Standing::BeforeWindow => match part.and_then(|part| part.window_start) {
                Some(start) => format!("it happened before the window, which begins at {start}"),
                None => "it happened before the window".to_owned(),
            },
            Standing::BeforeLast => match narrowed.and_then(|rows| rows.last) {
                Some(last) => format!("it is not among the last {last}"),
                None => "it is not among the last".to_owned(),
            },
            Standing::Null => "its value is null".to_owned(),
            Standing::NotTheOne => "another event is the one that is read".to_owned(),
        }
    }
}

fn code(standing: Standing) -> &'static str {
    match standing {
        Standing::Counts => "counts",
        Standing::NotHappened => "not_happened",
        Standing::NotKnown => "not_known",
        Standing::Revised { .. } => "revised",
        Standing::Removed { .. } => "removed",
        Standing::Removal => "removal",
        Standing::Filtered => "where",
        Standing::BeforeWindow => "window",
        Standing::BeforeLast => "last",
        Standing::Null => "null",
        Standing::NotTheOne => "not_the_one",
    }
}

fn int(records: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let column = records.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
    column.is_valid(row).then(|| column.value(row))
}

fn known_time(records: &RecordBatch, row: usize) -> Option<Instant> {
    int(records, hidden::KNOWN_TIME, row).map(Instant::from_micros).filter(|known| *known != Instant::ALWAYS)
}
