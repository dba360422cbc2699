//! Reading a source as of a commit.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use karat_core::{Digest, Instant, Name, Schema};
use karat_metadata::commits::HistoryCommit;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::errors::ParquetError;
use serde_json::Value as Json;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::columns::Columns;
use super::{History, Inner, manifest_of};
use crate::HistoryError;
use crate::parts::{ObjectReader, PartStream};

/// Rows in a batch at most.
const BATCH_ROWS: usize = 8192;

type Batches = BoxStream<'static, Result<RecordBatch, HistoryError>>;

/// What a source's history holds up to a commit. Later commits do not change it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub source: Name,
    /// The newest commit in it.
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
    history: History,
}

/// One Parquet object of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub commit: u64,
    pub partition: u32,
    /// Under the history's root.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: Digest,
}

impl Snapshot {
    /// `commits` of one source from its first on, in order.
    pub(super) fn new(history: History, commits: Vec<HistoryCommit>) -> Result<Option<Snapshot>, HistoryError> {
        let mut parts = Vec::new();
        let mut columns = Schema::default();
        let (mut definition, mut first) = (None, 1);
        for (commit, number) in commits.iter().zip(1..) {
            let manifest = manifest_of(commit)?;
            if commit.number != number {
                let place = format!("commit {} of `{}`", commit.number, commit.source);
                return Err(HistoryError::corrupt(place, format!("commit {number} before it is missing")));
            }
            if manifest.anew {
                parts.clear();
                first = number;
            }
            let listed = manifest.parts.into_iter().map(|part| Part {
                commit: commit.number,
                partition: part.partition,
                path: part.path,
                rows: part.rows,
                bytes: part.bytes,
                sha256: part.sha256,
            });
            parts.extend(listed);
            (columns, definition) = (manifest.columns, manifest.definition);
        }
        Ok(commits.into_iter().next_back().map(|newest| Snapshot {
            source: newest.source,
            commit: newest.number,
            first,
            partitions: newest.partitions,
            parts,
            at: newest.at,
            delivery: newest.delivery,
            columns,
            definition,
            history,
        }))
    }

    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    /// The rows, with the `declared` columns and then those of the hidden ones that are asked for, in the order of
    /// [`hidden::ALL`](karat_core::hidden::ALL): commits ascending, partitions ascending within a commit, rows as they
    /// were written; batches of at most 8,192 rows. `partition` narrows it to one.
    ///
    /// A column that a part lacks is null; one whose type has changed since is converted where that loses nothing, else
    /// it is a [`HistoryError::ColumnType`]. A part that is missing or not what was written is a
    /// [`HistoryError::Corrupt`] naming it: sizes are compared each time, contents once in a process.
    pub fn stream(&self, declared: &Schema, hidden: &[&str], partition: Option<u32>) -> Batches {
        let columns = Arc::new(Columns::new(self.source.clone(), declared, hidden));
        let parts: Vec<Part> =
            self.parts.iter().filter(|part| partition.is_none_or(|one| part.partition == one)).cloned().collect();
        let history = self.history.clone();
        stream::iter(parts)
            .then(move |part| open(history.clone(), columns.clone(), part))
            .try_flatten()
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
            Ok(())
        })
    }
}

fn open(history: History, columns: Arc<Columns>, part: Part) -> BoxFuture<'static, Result<Batches, HistoryError>> {
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
        let mask = columns.projection(builder.parquet_schema());
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(&damaged)?;
        let batches = batches.map(move |batch| columns.shape(&place, part.commit, batch.map_err(&damaged)?));
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
