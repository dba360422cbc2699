//! The one writer of what is pushed to a source.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use karat_core::{Instant, Name, Schema, hidden};
use karat_metadata::commits;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::folder;
use super::format::{self, Head};
use super::seal::{Sealed, Sealing, seal};
use crate::HistoryError;
use crate::durable::{Held, Lock, sync_dir};
use crate::kept::History;
use crate::kept::commit::full_schema;
use crate::log::{Durability, Log, LogOptions, PayloadOnly, Records};
use crate::root::blocking;

/// Into how many partitions keys are hashed where no delivery came before.
const PARTITIONS: u32 = 8;

/// When what was pushed is due to be sealed: readers go through all of it.
const SEAL_BYTES: u64 = 64 << 20;
const SEAL_ROWS: u64 = 1_000_000;
const SEAL_GROUPS: u64 = 100_000;

/// What all rows have in common that are pushed to one writer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushHead {
    /// The declared columns.
    pub columns: Schema,
    /// The columns, hidden ones among them, whose order rows have in sealed parts.
    pub sorted_by: Vec<String>,
    /// What made the rows what they are, to be compared by whoever pushed them.
    pub definition: Option<Json>,
}

/// Rows that take one number.
#[derive(Debug, Clone, Copy)]
pub struct PushedRows<'a> {
    pub at: Instant,
    /// Numbers by name; sealing adds them up.
    pub counts: &'a Json,
    /// The declared columns and then the hidden ones; `_commit` is the number they take.
    pub rows: &'a RecordBatch,
    /// By row.
    pub partitions: &'a [u32],
}

/// Holds the source until it is dropped; what it appended is there for good once [`PushWriter::append`] returned.
pub struct PushWriter {
    history: History,
    source: Name,
    head: Head,
    schema: SchemaRef,
    durability: Durability,
    log: Log,
    next: u64,
    /// In the log being written.
    first: u64,
    rows: u64,
    bytes: u64,
    lock: Arc<Lock>,
}

impl PushWriter {
    pub(in crate::kept) async fn open(
        history: &History,
        source: &Name,
        head: PushHead,
        durability: Durability,
    ) -> Result<PushWriter, HistoryError> {
        if let Some(taken) = head.columns.names().find(|name| hidden::ALL.contains(name)) {
            let problem = format!("`{taken}` is Karat's own column; rename the source's");
            return Err(HistoryError::Rows { source_name: source.to_string(), problem });
        }
        let of_source = Path::from(source.as_str());
        let lock = history.0.root.lock(&of_source, Held::ForPushes, || format!("the history of `{source}`"))?;
        seal(history, source, Sealed::All).await?;
        let latest = {
            let mut connection = history.0.metadata.read().await?;
            commits::latest(&mut connection, source).await?
        };
        let next = latest.as_ref().map_or(0, |commit| commit.number) + 1;
        let head = Head::new(head, latest.map_or(PARTITIONS, |commit| commit.partitions));
        let log = begin(history, source, next, &head).await?;
        Ok(PushWriter {
            history: history.clone(),
            source: source.clone(),
            schema: format::schema(&head.of.columns),
            head,
            durability,
            log,
            next,
            first: next,
            rows: 0,
            bytes: 0,
            lock: Arc::new(lock),
        })
    }

    /// The number that the next rows take.
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn partitions(&self) -> u32 {
        self.head.partitions
    }

    /// What rows look like.
    pub fn columns(&self) -> SchemaRef {
        full_schema(&self.head.of.columns)
    }

    /// Appends rows under the numbers from [`PushWriter::next`] on: all of them, or, after an error, none, except that
    /// what waited for the disk in vain may be there. Blocks.
    pub fn append(&mut self, groups: &[PushedRows<'_>]) -> Result<(), HistoryError> {
        let mut payloads = Vec::with_capacity(groups.len());
        for (group, number) in groups.iter().zip(self.next..) {
            let payload = format::encode(&self.schema, number, group.at, group.counts, group.rows, group.partitions);
            let problem =
                |error| HistoryError::Rows { source_name: self.source.to_string(), problem: format!("{error}") };
            payloads.push(payload.map_err(problem)?);
        }
        let records = Records::of(payloads.iter().map(Vec::as_slice))?;
        self.log.append_together(records, self.durability)?;
        self.next += groups.len() as u64;
        self.rows += groups.iter().map(|group| group.rows.num_rows() as u64).sum::<u64>();
        self.bytes += payloads.iter().map(|payload| payload.len() as u64).sum::<u64>();
        Ok(())
    }

    /// Whether rows can be appended, as far as can be told without any.
    pub fn check(&self) -> Result<(), HistoryError> {
        self.log.check()
    }

    /// Whether so much lies in the log that it should be sealed.
    pub fn is_due(&self) -> bool {
        self.bytes >= SEAL_BYTES || self.rows >= SEAL_ROWS || self.next - self.first >= SEAL_GROUPS
    }

    /// Goes on in a new log, and gives what it takes to seal all before, while this goes on. One sealing at a time.
    pub async fn turn_over(&mut self) -> Result<Sealing, HistoryError> {
        if self.next > self.first {
            self.log = begin(&self.history, &self.source, self.next, &self.head).await?;
            (self.first, self.rows, self.bytes) = (self.next, 0, 0);
        }
        Ok(Sealing {
            history: self.history.clone(),
            source: self.source.clone(),
            up_to: self.first - 1,
            lock: self.lock.clone(),
        })
    }
}

/// A log of its own for the numbers from `first` on, which says what its rows are.
async fn begin(history: &History, source: &Name, first: u64, head: &Head) -> Result<Log, HistoryError> {
    let (dir, head) = (history.0.root.file(&folder(source, first)), head.to_payload());
    blocking(move || {
        // One segment, however long: it is never Parquet itself.
        let log = Log::open(&dir, LogOptions { segment_bytes: u64::MAX / 2 }, Arc::new(PayloadOnly))?;
        log.append(&head, Durability::PowerLoss)?;
        dir.parent().map_or(Ok(()), sync_dir)?;
        Ok(log)
    })
    .await
}

impl std::fmt::Debug for PushWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushWriter").field("source", &self.source).field("next", &self.next).finish_non_exhaustive()
    }
}
