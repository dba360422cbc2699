//! A range of pushed numbers into one commit.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, cast, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{SchemaRef, UInt32Type};
use karat_core::{Digest, Name};
use karat_metadata::commits::{self, HistoryCommit};
use object_store::path::Path;
use serde_json::{Map, Value as Json};

use super::folder;
use super::format::{Group, Head, PARTITION};
use super::tail::{self, Tail};
use crate::HistoryError;
use crate::durable::{Lock, sync_dir};
use crate::kept::commit::{self, finish_part, full_schema, publish, settle, sweep};
use crate::kept::manifest::Manifest;
use crate::kept::{CommitInfo, History};
use crate::parts::PartWriter;
use crate::root::blocking;

/// Rows written at a time.
const ROWS: usize = 32_768;

/// How much of what was pushed becomes a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kept) enum Sealed {
    All,
    /// Up to this number, where a log begins with the next.
    UpTo(u64),
}

/// A range of numbers on its way into a commit, while later ones are pushed. The source stays locked until it is dropped.
pub struct Sealing {
    pub(super) history: History,
    pub(super) source: Name,
    pub(super) up_to: u64,
    pub(super) lock: Arc<Lock>,
}

impl Sealing {
    /// `None` when nothing was pushed. Fails without harm: what was not sealed is readable where it is, and sealed the
    /// next time.
    pub async fn run(self) -> Result<Option<CommitInfo>, HistoryError> {
        let sealed = seal(&self.history, &self.source, Sealed::UpTo(self.up_to)).await;
        drop(self.lock);
        sealed
    }
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealing").field("source", &self.source).field("up_to", &self.up_to).finish_non_exhaustive()
    }
}

/// Seals, and removes the logs whose records are all in commits. Whoever calls holds the source's lock.
pub(in crate::kept) async fn seal(
    history: &History,
    source: &Name,
    what: Sealed,
) -> Result<Option<CommitInfo>, HistoryError> {
    let last = {
        let mut connection = history.0.metadata.read().await?;
        commits::latest(&mut connection, source).await?.map_or(0, |commit| commit.number)
    };
    let place = history.0.root.file(&Path::from(source.as_str()));
    let mut tail = {
        let place = place.clone();
        blocking(move || Tail::read(&place, last)).await?
    };
    let up_to = match what {
        Sealed::All => u64::MAX,
        Sealed::UpTo(number) => number,
    };
    tail.groups.retain(|group| group.number <= up_to);
    if !tail.follows(last) {
        let problem = format!("what was pushed after commit {last} is missing");
        return Err(HistoryError::corrupt(place.display(), problem));
    }
    let commit = match tail.groups.is_empty() {
        true => None,
        false => {
            sweep(history, source, last + 1).await?;
            Some(write(history, source, &tail.groups).await?)
        }
    };
    for first in tail::logs(&place)?.into_iter().filter(|first| *first <= up_to) {
        history.0.root.remove_tree(&folder(source, first)).await?;
    }
    blocking(move || if place.exists() { sync_dir(&place) } else { Ok(()) }).await?;
    Ok(commit)
}

async fn write(history: &History, source: &Name, groups: &[Arc<Group>]) -> Result<CommitInfo, HistoryError> {
    let (first, newest) = (groups[0].number, &groups[groups.len() - 1]);
    let head = newest.head.clone();
    if groups.iter().any(|group| group.head != head) {
        let problem = format!("pushes from number {first} on are of different columns");
        return Err(HistoryError::Rows { source_name: source.to_string(), problem });
    }
    let schema = full_schema(&head.of.columns);
    let sorted = {
        let (groups, schema, head) = (groups.to_vec(), schema.clone(), head.clone());
        blocking(move || sorted(&groups, &schema, &head)).await?
    };
    let mut parts = Vec::new();
    for (partition, rows) in sorted {
        // Named by the first number: a killed sealing leaves what the next writer sweeps.
        let path = commit::folder(source, first).join(format!("part-{partition:03}.parquet"));
        let mut part = PartWriter::create(&history.0.root, path, schema.clone())?;
        for from in (0..rows.num_rows()).step_by(ROWS) {
            part.write(&rows.slice(from, ROWS.min(rows.num_rows() - from))).await?;
        }
        parts.push(finish_part(partition, part).await?);
    }
    settle(history, &parts).await?;
    let manifest = Manifest {
        format_version: Manifest::PUSHED,
        columns: head.of.columns.clone(),
        parts,
        definition: head.of.definition.clone(),
        anew: false,
        quarantine: None,
        first: Some(first),
    };
    let commit = HistoryCommit {
        source: source.clone(),
        number: newest.number,
        at: newest.at,
        delivery: delivery(newest.number),
        partitions: head.partitions,
        rows: manifest.parts.iter().map(|part| part.rows).sum(),
        manifest: manifest.to_json(),
        counts: sum(groups.iter().map(|group| &group.counts)),
    };
    publish(history, commit).await
}

/// What stands for the delivery that a pushed number is.
pub(in crate::kept) fn delivery(number: u64) -> Digest {
    Digest::of(format!("pushed {number}"))
}

/// The rows of each partition, in the order of its parts.
fn sorted(groups: &[Arc<Group>], schema: &SchemaRef, head: &Head) -> Result<Vec<(u32, RecordBatch)>, HistoryError> {
    let wrong = |error| HistoryError::corrupt(format!("what was pushed from number {} on", groups[0].number), error);
    let all = tail::joined(groups, None)?;
    let partition = all.column_by_name(PARTITION).expect("the schema has it").clone();
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| cast(all.column_by_name(field.name()).expect("the schema has it"), field.data_type()))
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    let named = head.of.sorted_by.iter().filter_map(|name| all.column_by_name(name));
    let by = std::iter::once(&partition).chain(named);
    let by: Vec<SortColumn> = by.map(|values| SortColumn { values: values.clone(), options: None }).collect();
    let order = lexsort_to_indices(&by, None).map_err(wrong)?;
    let rows = RecordBatch::try_new(schema.clone(), columns).map_err(wrong)?;
    let rows = take_record_batch(&rows, &order).map_err(wrong)?;
    let partitions = partition.as_primitive::<UInt32Type>();
    let partitions = UInt32Array::from_iter_values(order.values().iter().map(|row| partitions.value(*row as usize)));
    let mut parts = Vec::new();
    let mut from = 0;
    for run in partitions.values().chunk_by(|a, b| a == b) {
        parts.push((run[0], rows.slice(from, run.len())));
        from += run.len();
    }
    Ok(parts)
}

/// Adds numbers of the same name.
fn sum<'a>(counts: impl Iterator<Item = &'a Json>) -> Json {
    let mut sums: Map<String, Json> = Map::new();
    for (name, count) in counts.filter_map(Json::as_object).flatten() {
        let before = sums.get(name).and_then(Json::as_u64).unwrap_or(0);
        sums.insert(name.clone(), Json::from(before + count.as_u64().unwrap_or(0)));
    }
    Json::Object(sums)
}
