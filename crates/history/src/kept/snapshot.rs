//! Reading a source as of a commit, what was pushed since the last included.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use karat_core::{Digest, Instant, Name, Schema, hidden};
use karat_metadata::commits::HistoryCommit;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::errors::ParquetError;
use serde_json::Value as Json;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::columns::Columns;
use super::pushed::{Group, Head, Tail, delivery};
use super::{History, Inner, manifest_of};
use crate::HistoryError;
use crate::parts::{ObjectReader, PartStream};

/// Rows in a batch at most.
const BATCH_ROWS: usize = 8192;

type Batches = BoxStream<'static, Result<RecordBatch, HistoryError>>;

/// What a source's history holds up to a commit, or between two. Later commits do not change it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub source: Name,
    /// The newest commit in it, or the newest number pushed; 0 where there is nothing yet.
    pub commit: u64,
    /// The oldest commit in it: what holds all rows anew, or the first.
    pub first: u64,
    pub partitions: u32,
    /// Of these commits, the first first; within a commit by partition.
    pub parts: Vec<Part>,
    /// Of the newest commit.
    pub at: Instant,
    /// Of the newest commit.
    pub delivery: Digest,
    /// The columns the source declared at the newest commit; older parts may lack some, or hold others.
    pub columns: Schema,
    /// Of the newest commit, as its writer noted it; `None` of older Karats' commits.
    pub definition: Option<Json>,
    /// Rows of this commit and those before it are left out.
    after: u64,
    /// What was pushed and is in no commit.
    pushed: Vec<Arc<Group>>,
    history: History,
}

/// One Parquet object of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub commit: u64,
    /// The first of the numbers that its rows may have; the last is that of the commit.
    pub first: u64,
    /// Whether it holds what was pushed.
    pub pushed: bool,
    pub partition: u32,
    /// Under the history's root.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: Digest,
}

/// What is known of the newest commit.
struct Newest {
    number: u64,
    partitions: u32,
    at: Instant,
    delivery: Digest,
    columns: Schema,
    definition: Option<Json>,
}

impl Snapshot {
    /// `commits` of one source from its first on, in order, and what follows them, up to a number or all.
    pub(super) fn new(
        history: History,
        source: &Name,
        commits: Vec<HistoryCommit>,
        tail: Tail,
        up_to: Option<u64>,
    ) -> Result<Option<Snapshot>, HistoryError> {
        let up_to = up_to.unwrap_or(u64::MAX);
        let mut parts = Vec::new();
        let (mut newest, mut first, mut last): (Option<Newest>, u64, u64) = (None, 1, 0);
        for commit in commits {
            let manifest = manifest_of(&commit)?;
            let begins = manifest.first.unwrap_or(commit.number);
            if begins != last + 1 {
                let place = format!("commit {} of `{}`", commit.number, commit.source);
                return Err(HistoryError::corrupt(place, format!("commit {} before it is missing", last + 1)));
            }
            last = commit.number;
            if begins > up_to {
                // A source that only ever took pushes could be read before the first of them came.
                if newest.is_none() && manifest.first.is_some() {
                    newest = Some(Newest::nothing(commit.partitions, commit.at, manifest.columns, manifest.definition));
                }
                break;
            }
            if manifest.anew {
                parts.clear();
                first = commit.number;
            }
            let listed = manifest.parts.into_iter().map(|part| Part {
                commit: commit.number,
                first: begins,
                pushed: manifest.first.is_some(),
                partition: part.partition,
                path: part.path,
                rows: part.rows,
                bytes: part.bytes,
                sha256: part.sha256,
            });
            parts.extend(listed);
            newest = Some(Newest {
                number: commit.number.min(up_to),
                partitions: commit.partitions,
                at: commit.at,
                delivery: commit.delivery,
                columns: manifest.columns,
                definition: manifest.definition,
            });
        }
        let pushed: Vec<Arc<Group>> = tail.groups.into_iter().filter(|group| group.number <= up_to).collect();
        if let Some(group) = pushed.last() {
            newest = Some(Newest {
                number: group.number,
                delivery: delivery(group.number),
                ..Newest::of(&group.head, group.at)
            });
        } else if let (None, Some(head)) = (&newest, &tail.head) {
            newest = Some(Newest::of(head, Instant::from_micros(0)));
        }
        let Some(newest) = newest else { return Ok(None) };
        Ok(Some(Snapshot {
            source: source.clone(),
            commit: newest.number,
            first: first.min(newest.number),
            partitions: newest.partitions,
            parts,
            at: newest.at,
            delivery: newest.delivery,
            columns: newest.columns,
            definition: newest.definition,
            after: 0,
            pushed,
            history,
        }))
    }

    /// Only what came after a commit, or a pushed number.
    pub fn since(&self, commit: u64) -> Snapshot {
        let mut since = self.clone();
        since.after = self.after.max(commit);
        since.parts.retain(|part| part.commit > since.after);
        since.pushed.retain(|group| group.number > since.after);
        since
    }

    /// Whether all of it was pushed, if there is anything.
    pub fn is_pushed(&self) -> bool {
        self.parts.iter().all(|part| part.pushed)
    }

    /// How many rows there are; of a part whose numbers are only partly in it, all are counted.
    pub fn rows(&self) -> u64 {
        let pushed: u64 = self.pushed.iter().map(|group| group.rows).sum();
        self.parts.iter().map(|part| part.rows).sum::<u64>() + pushed
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> u64 {
        let pushed: u64 = self.pushed.iter().map(|group| group.bytes()).sum();
        self.parts.iter().map(|part| part.bytes).sum::<u64>() + pushed
    }

    /// The rows, with the `declared` columns and then those of the hidden ones that are asked for, in the order of
    /// [`hidden::ALL`](karat_core::hidden::ALL): commits ascending, partitions ascending within a commit, rows as they
    /// were written; then what was pushed, in its order; batches of at most 8,192 rows. `partition` narrows it to one.
    ///
    /// A column that a part lacks is null; one whose type has changed since is converted where that loses nothing, else
    /// it is a [`HistoryError::ColumnType`]. A part that is missing or not what was written is a
    /// [`HistoryError::Corrupt`] naming it: sizes are compared each time, contents once in a process.
    pub fn stream(&self, declared: &Schema, hidden: &[&str], partition: Option<u32>) -> Batches {
        let columns = Arc::new(Columns::new(self.source.clone(), declared, hidden));
        let (after, up_to) = (self.after, self.commit);
        let parts: Vec<Part> =
            self.parts.iter().filter(|part| partition.is_none_or(|one| part.partition == one)).cloned().collect();
        let history = self.history.clone();
        let kept = {
            let columns = columns.clone();
            stream::iter(parts).then(move |part| {
                let whole = part.first > after && part.commit <= up_to;
                let numbers = (!whole).then(|| Numbers::of(&columns, after, up_to));
                open(history.clone(), columns.clone(), part, numbers)
            })
        };
        let place = format!("what was pushed to `{}`", self.source);
        let pushed = Tail::batches(self.pushed.clone(), partition, BATCH_ROWS);
        let pushed = pushed.map(move |batch| columns.shape(&place, up_to, batch?));
        let pushed = pushed.flat_map(|batch| {
            let pieces: Vec<Result<RecordBatch, HistoryError>> = match batch {
                Ok(batch) => pieces(&batch).map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            pieces
        });
        kept.try_flatten()
            .chain(stream::iter(pushed))
            // A reader that goes on after an error would take what follows for the whole.
            .scan(false, |failed, batch| {
                let end = std::mem::replace(failed, batch.is_err());
                futures::future::ready((!end).then_some(batch))
            })
            .boxed()
    }

    /// Reads every part whole and compares it with what was written; the first that differs is the error.
    pub fn verify(&self) -> BoxFuture<'_, Result<(), HistoryError>> {
        Box::pin(async move {
            for part in &self.parts {
                self.history.0.check_size(part).await?;
                self.history.0.check_content(part).await?;
            }
            self.pushed.iter().try_for_each(|group| group.decode().map(drop))
        })
    }
}

impl Newest {
    fn nothing(partitions: u32, at: Instant, columns: Schema, definition: Option<Json>) -> Newest {
        Newest { number: 0, partitions, at, delivery: delivery(0), columns, definition }
    }

    fn of(head: &Head, at: Instant) -> Newest {
        Newest::nothing(head.partitions, at, head.of.columns.clone(), head.of.definition.clone())
    }
}

fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let rows = batch.num_rows();
    (0..rows).step_by(BATCH_ROWS).map(move |from| batch.slice(from, BATCH_ROWS.min(rows - from)))
}

/// Of a part that holds more numbers than are wanted, those that are.
#[derive(Clone)]
struct Numbers {
    after: u64,
    up_to: u64,
    /// What is read: what is wanted, and the number.
    columns: Arc<Columns>,
}

impl Numbers {
    fn of(wanted: &Columns, after: u64, up_to: u64) -> Numbers {
        Numbers { after, up_to, columns: Arc::new(wanted.numbered()) }
    }

    fn only(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let numbers = batch.column_by_name(hidden::COMMIT).expect("it is read").as_primitive::<Int64Type>();
        let wanted =
            |number: &i64| u64::try_from(*number).is_ok_and(|number| self.after < number && number <= self.up_to);
        let keep: BooleanArray = numbers.values().iter().map(|number| Some(wanted(number))).collect();
        filter_record_batch(batch, &keep)
    }
}

fn open(
    history: History,
    columns: Arc<Columns>,
    part: Part,
    numbers: Option<Numbers>,
) -> BoxFuture<'static, Result<Batches, HistoryError>> {
    async move {
        let inner = &history.0;
        inner.check_size(&part).await?;
        if !inner.verified().contains(&part.path) {
            inner.check_content(&part).await?;
            inner.verified().insert(part.path.clone());
        }
        let path = Path::from(part.path.as_str());
        let place = inner.root.describe(&path);
        let damaged = {
            let place = place.clone();
            move |error: ParquetError| {
                HistoryError::unavailable(&place, error).unwrap_or_else(|error| HistoryError::corrupt(&place, error))
            }
        };
        let reader = ObjectReader { store: inner.root.store.clone(), path, bytes: part.bytes };
        let builder = PartStream::new(reader).await.map_err(&damaged)?;
        let read = numbers.as_ref().map_or(&columns, |numbers| &numbers.columns).clone();
        let mask = read.projection(builder.parquet_schema());
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(&damaged)?;
        let batches = batches.map(move |batch| {
            let batch = read.shape(&place, part.commit, batch.map_err(&damaged)?)?;
            let Some(numbers) = &numbers else { return Ok(batch) };
            let batch = numbers.only(&batch).map_err(|error| HistoryError::corrupt(&place, error))?;
            columns.shape(&place, part.commit, batch)
        });
        Ok(batches.boxed())
    }
    .boxed()
}

impl Inner {
    fn verified(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<String>> {
        self.verified.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn check_size(&self, part: &Part) -> Result<(), HistoryError> {
        let path = Path::from(part.path.as_str());
        match self.root.store.head(&path).await {
            Ok(found) if found.size == part.bytes => Ok(()),
            Ok(found) => Err(HistoryError::corrupt(
                self.root.describe(&path),
                format!("it has {} bytes, {} were written", found.size, part.bytes),
            )),
            Err(object_store::Error::NotFound { .. }) => {
                Err(HistoryError::corrupt(self.root.describe(&path), "it is missing"))
            }
            Err(error) => Err(self.root.error(&path)(error)),
        }
    }

    async fn check_content(&self, part: &Part) -> Result<(), HistoryError> {
        let path = Path::from(part.path.as_str());
        match self.root.digest(&path).await? {
            digest if digest == part.sha256 => Ok(()),
            digest => Err(HistoryError::corrupt(
                self.root.describe(&path),
                format!("its SHA-256 is {digest}, {} was written", part.sha256),
            )),
        }
    }
}
