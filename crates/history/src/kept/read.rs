//! Reading one part: what it should be, and the rows that are wanted of it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::errors::ParquetError;

use super::columns::Columns;
use super::part::{Part, Run};
use super::{History, Inner};
use crate::HistoryError;
use crate::parts::{ObjectReader, PartStream};

/// Rows in a batch at most.
pub(super) const BATCH_ROWS: usize = 8192;

pub(super) type Batches = BoxStream<'static, Result<RecordBatch, HistoryError>>;

/// The rows of a part's runs, as written, in batches of at most so many.
pub(super) fn open(
    history: History,
    columns: Arc<Columns>,
    part: Part,
    batch_rows: usize,
) -> BoxFuture<'static, Result<Batches, HistoryError>> {
    async move {
        let inner = &history.0;
        if let Err(error) = inner.check_size(&part).await {
            // It may have been compacted, and removed, since the snapshot was taken.
            return match error {
                HistoryError::Corrupt { .. } => elsewhere(&history, &columns, &part).await?.ok_or(error),
                error => Err(error),
            };
        }
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
        let mut builder = builder.with_projection(mask).with_batch_size(batch_rows);
        if part.rows() < part.whole {
            builder = builder.with_offset(part.skipped as usize).with_limit(part.rows() as usize);
        }
        let batches = builder.build().map_err(&damaged)?;
        let mut from = 0;
        let batches = batches.map(move |batch| {
            let batch = batch.map_err(&damaged)?;
            let rows = from..from + batch.num_rows() as u64;
            from = rows.end;
            shape(&columns, &place, &part.runs, rows, batch)
        });
        Ok(batches.boxed())
    }
    .boxed()
}

/// A batch in the columns that are wanted; `rows` are its places among those of the runs.
fn shape(
    columns: &Columns,
    place: &str,
    runs: &[Run],
    rows: std::ops::Range<u64>,
    batch: RecordBatch,
) -> Result<RecordBatch, HistoryError> {
    let last = runs.last().map_or(0, |run| run.commit);
    let error = match columns.shape(place, last, batch.clone()) {
        Err(error) if runs.len() > 1 => error,
        shaped => return shaped,
    };
    // The first commit whose rows cannot be given is the one to be told.
    let mut ends = 0;
    for run in runs {
        let begins = ends;
        ends += run.rows;
        let (from, to) = (begins.max(rows.start), ends.min(rows.end));
        if from < to {
            columns.shape(place, run.commit, batch.slice((from - rows.start) as usize, (to - from) as usize))?;
        }
    }
    Err(error)
}

/// What a part held, from where it lies by now; `None` where it should be in its place.
async fn elsewhere(history: &History, columns: &Arc<Columns>, part: &Part) -> Result<Option<Batches>, HistoryError> {
    let (first, last) = part.numbers();
    let Some(snapshot) = history.sealed(columns.source(), Some(last)).await? else { return Ok(None) };
    let now = snapshot.since(first - 1);
    let moved = now.parts.iter().all(|now| now.path != part.path);
    let rows: u64 = now.parts.iter().filter(|now| now.partition == part.partition).map(Part::rows).sum();
    Ok((moved && rows == part.rows()).then(|| now.read(columns.clone(), Some(part.partition))))
}

impl Inner {
    fn verified(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<String>> {
        self.verified.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) async fn check_size(&self, part: &Part) -> Result<(), HistoryError> {
        let path = Path::from(part.path.as_str());
        match self.root.store.head(&path).await {
            Ok(found) if found.size == part.bytes => Ok(()),
            Ok(found) => Err(HistoryError::corrupt(
                self.root.describe(&path),
                format!("it has {} bytes, {} were written", found.size, part.bytes),
            )),
            Err(object_store::Error::NotFound { .. }) => Err(self
                .is_elsewhere(part)
                .unwrap_or_else(|| HistoryError::corrupt(self.root.describe(&path), "it is missing"))),
            Err(error) => Err(self.root.error(&path)(error)),
        }
    }

    /// Of a part that is missing: an error of its own where no folder of a commit up to its last is there either.
    fn is_elsewhere(&self, part: &Part) -> Option<HistoryError> {
        let (source, _) = part.path.split_once('/')?;
        let folder = self.root.file(&Path::from(source));
        let (_, last) = part.numbers();
        let is_of_before = |name: &str| {
            name.strip_prefix("commit-").and_then(|number| number.parse().ok()).is_none_or(|number: u64| number <= last)
        };
        let is_there = |entry: std::fs::DirEntry| {
            entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name().to_str().is_none_or(is_of_before)
        };
        let is_empty = std::fs::read_dir(&folder).map_or(true, |entries| !entries.flatten().any(is_there));
        let (source_name, folder) = (source.to_owned(), folder.display().to_string());
        is_empty.then_some(HistoryError::Elsewhere { source_name, folder })
    }

    pub(super) async fn check_content(&self, part: &Part) -> Result<(), HistoryError> {
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
