//! Writing one commit.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Field, Int64Type, Schema as ArrowSchema, SchemaRef};
use futures::future::BoxFuture;
use karat_core::{Digest, Instant, Name, Schema, hidden};
use karat_metadata::commits::{self, HistoryCommit};
use object_store::path::Path;
use serde_json::Value as Json;
use std::sync::Arc;

use super::manifest::{Manifest, ManifestPart};
use super::pushed::{Sealed, seal};
use super::{CommitInfo, History};
use crate::HistoryError;
use crate::durable::{Held, Lock};
use crate::parts::{PartWriter, Written};

/// What the metadata says about a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitNote {
    pub at: Instant,
    pub delivery: Digest,
    pub counts: Json,
    /// Into how many partitions keys are hashed: the same for all commits that are read together.
    pub partitions: u32,
    /// What made the rows what they are, to be compared by whoever wrote it.
    pub definition: Option<Json>,
    /// Whether the commit holds all rows anew: readers of it and of later ones read none before it.
    pub anew: bool,
    /// The file of the rows that were kept apart.
    pub quarantine: Option<String>,
}

/// Writes a source's next commit. The source stays locked until this is committed or dropped; what a dropped writer
/// wrote was never part of the history, and the next writer removes it.
pub struct CommitWriter {
    history: History,
    source: Name,
    columns: Schema,
    schema: SchemaRef,
    number: u64,
    /// Of the commits before.
    partitions: Option<u32>,
    /// The last partition that was written to: no more than one holds memory.
    open: Option<(u32, PartWriter)>,
    finished: Vec<ManifestPart>,
    _lock: Lock,
}

pub(super) fn folder(source: &Name, number: u64) -> Path {
    Path::from(format!("{source}/commit-{number:06}"))
}

/// The declared columns and then the hidden ones.
pub(super) fn full_schema(columns: &Schema) -> SchemaRef {
    let fields: Vec<Field> = columns.arrow_fields().into_iter().chain(hidden::fields()).collect();
    Arc::new(ArrowSchema::new(fields))
}

impl CommitWriter {
    pub(super) async fn open(history: &History, source: &Name, columns: &Schema) -> Result<CommitWriter, HistoryError> {
        let root = &history.0.root;
        let lock = root.lock(&Path::from(source.as_str()), Held::ForWork, || format!("the history of `{source}`"))?;
        if let Some(taken) = columns.names().find(|name| hidden::ALL.contains(name)) {
            return Err(rows_error(source, format!("`{taken}` is Karat's own column; rename the source's")));
        }
        // What was pushed before is a commit before this one.
        seal(history, source, Sealed::All).await?;
        let latest = {
            let mut connection = history.0.metadata.read().await?;
            commits::latest(&mut connection, source).await?
        };
        let number = latest.as_ref().map_or(0, |commit| commit.number) + 1;
        sweep(history, source, number).await?;
        Ok(CommitWriter {
            history: history.clone(),
            source: source.clone(),
            columns: columns.clone(),
            schema: full_schema(columns),
            number,
            partitions: latest.map(|commit| commit.partitions),
            open: None,
            finished: Vec::new(),
            _lock: lock,
        })
    }

    /// The number this commit will have: what its rows carry in `_commit`.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many partitions the source's newest commit has; `None` before the first.
    pub fn partitions(&self) -> Option<u32> {
        self.partitions
    }

    /// What batches look like.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends rows to a partition, in the order they will be read; one partition after another, ascending.
    pub fn write<'a>(&'a mut self, partition: u32, batch: &'a RecordBatch) -> BoxFuture<'a, Result<(), HistoryError>> {
        Box::pin(async move {
            self.check(batch)?;
            if batch.num_rows() == 0 {
                return Ok(());
            }
            self.part(partition).await?.write(batch).await
        })
    }

    async fn part(&mut self, partition: u32) -> Result<&mut PartWriter, HistoryError> {
        let part = match self.open.take() {
            Some((open, part)) if open == partition => part,
            open => {
                self.open = open;
                self.finish_open().await?;
                if let Some(before) = self.finished.last().filter(|before| before.partition >= partition) {
                    let problem = format!("partition {partition} comes after partition {}", before.partition);
                    return Err(rows_error(&self.source, problem));
                }
                let path = folder(&self.source, self.number).join(format!("part-{partition:03}.parquet"));
                PartWriter::create(&self.history.0.root, path, self.schema.clone())?
            }
        };
        Ok(&mut self.open.insert((partition, part)).1)
    }

    async fn finish_open(&mut self) -> Result<(), HistoryError> {
        if let Some((partition, part)) = self.open.take() {
            self.finished.push(finish_part(partition, part).await?);
        }
        Ok(())
    }

    fn check(&self, batch: &RecordBatch) -> Result<(), HistoryError> {
        let wrong = |problem: String| Err(rows_error(&self.source, problem));
        let (given, wanted) = (batch.schema(), &self.schema);
        let alike = given.fields().len() == wanted.fields().len()
            && given
                .fields()
                .iter()
                .zip(wanted.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if !alike {
            let shape = |schema: &ArrowSchema| {
                let fields = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
                fields.collect::<Vec<_>>().join(", ")
            };
            return wrong(format!(
                "a batch of ({}) was written where ({}) was announced",
                shape(&given),
                shape(wanted)
            ));
        }
        let commits = batch.column_by_name(hidden::COMMIT).map(|column| column.as_primitive::<Int64Type>());
        let own = commits.is_some_and(|column| {
            column.null_count() == 0 && column.values().iter().all(|number| u64::try_from(*number) == Ok(self.number))
        });
        if own { Ok(()) } else { wrong(format!("a row's {} is not {}", hidden::COMMIT, self.number)) }
    }

    /// Removes what was written.
    pub fn abandon(self) -> BoxFuture<'static, Result<(), HistoryError>> {
        Box::pin(async move {
            let CommitWriter { history, source, number, open, _lock, .. } = self;
            drop(open);
            history.0.root.remove_tree(&folder(&source, number)).await
        })
    }

    /// Makes the commit real: all of it, or, after an error, nothing.
    pub fn commit(mut self, note: CommitNote) -> BoxFuture<'static, Result<CommitInfo, HistoryError>> {
        Box::pin(async move {
            self.finish_open().await?;
            self.check_partitions(&note)?;
            let CommitWriter { history, source, columns, number, finished, _lock, .. } = self;
            settle(&history, &finished).await?;
            let manifest = Manifest {
                format_version: Manifest::version(note.anew),
                columns,
                parts: finished,
                definition: note.definition,
                anew: note.anew,
                quarantine: note.quarantine,
                first: None,
            };
            let commit = HistoryCommit {
                source,
                number,
                at: note.at,
                delivery: note.delivery,
                partitions: note.partitions,
                rows: manifest.parts.iter().map(|part| part.rows).sum(),
                manifest: manifest.to_json(),
                counts: note.counts,
            };
            publish(&history, commit).await
        })
    }

    fn check_partitions(&self, note: &CommitNote) -> Result<(), HistoryError> {
        let partitions = note.partitions;
        let beyond = self.finished.last().map(|part| part.partition).filter(|partition| *partition >= partitions);
        let problem = match (self.partitions.filter(|_| !note.anew), beyond) {
            (Some(before), _) if before != partitions => {
                format!("its commits have {before} partitions, this one {partitions}")
            }
            (_, Some(partition)) => format!("partition {partition} was written of {partitions}, counted from 0"),
            _ => return Ok(()),
        };
        Err(rows_error(&self.source, problem))
    }
}

/// Finishes a part, which [`settle`] brings to disk.
pub(super) async fn finish_part(partition: u32, part: PartWriter) -> Result<ManifestPart, HistoryError> {
    let Written { path, rows, bytes, digest } = part.finish().await?;
    Ok(ManifestPart { path: path.to_string(), partition, rows, bytes, sha256: digest })
}

pub(super) async fn settle(history: &History, parts: &[ManifestPart]) -> Result<(), HistoryError> {
    let paths: Vec<Path> = parts.iter().map(|part| Path::from(part.path.as_str())).collect();
    history.0.root.settle(&paths).await
}

/// Makes a commit real whose parts are on disk.
pub(super) async fn publish(history: &History, commit: HistoryCommit) -> Result<CommitInfo, HistoryError> {
    let mut transaction = history.0.metadata.begin().await?;
    commits::insert(&mut transaction, &commit).await?;
    transaction.commit().await?;
    CommitInfo::of(commit)
}

fn rows_error(source: &Name, problem: String) -> HistoryError {
    HistoryError::Rows { source_name: source.to_string(), problem }
}

/// Removes what a killed writer of commit `next` left.
///
/// A writer removes before it writes, so no more than that one folder can be left over. Further ones were commits
/// once: then the metadata database is not the one this history was written with, and nothing is removed.
pub(super) async fn sweep(history: &History, source: &Name, next: u64) -> Result<(), HistoryError> {
    let (root, of_source) = (&history.0.root, Path::from(source.as_str()));
    let found = root.store.list_with_delimiter(Some(&of_source)).await.map_err(root.error(&of_source))?;
    let numbers = found.common_prefixes.iter().filter_map(|folder| {
        folder.filename().and_then(|name| name.strip_prefix("commit-")).and_then(|number| number.parse::<u64>().ok())
    });
    let unknown: Vec<u64> = numbers.filter(|number| *number >= next).collect();
    if let Some(number) = unknown.iter().find(|number| **number > next) {
        return Err(HistoryError::corrupt(
            root.describe(&of_source),
            format!("commit {number} is there, but the metadata database knows none after {}", next - 1),
        ));
    }
    if !unknown.is_empty() {
        tracing::warn!(source = %source, commit = next, "removed what an unfinished commit left behind");
        root.remove_tree(&folder(source, next)).await?;
    }
    Ok(())
}

impl std::fmt::Debug for CommitWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitWriter")
            .field("source", &self.source)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
