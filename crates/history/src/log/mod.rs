//! An append-only log of opaque payloads in a directory: `segment-N.log` files of checksummed groups of records, which turn into
//! `part-N.parquet` once they are full. One process appends ([`Log`]); any number read ([`read`], [`contents`]).
//!
//! Numbers follow each other. Under one number a segment is complete once a greater number exists, and Parquet is
//! complete once it bears its name, so where both exist the Parquet counts: a crash at any point leaves each record
//! readable exactly once.
//!
//! What many records refer to stands beside them once ([`Log::attach`]).

mod append;
mod attachments;
mod format;
mod group;
mod keeper;
mod read;
mod records;
mod rotate;
mod segments;
mod writer;

use arrow::array::{BinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

pub use append::Log;
pub use attachments::attachment;
pub use format::MAX_PAYLOAD_BYTES;
pub use group::Appending;
pub use read::{Contents, Payloads, contents, parquet_files, read};
pub use records::Records;

/// The Parquet column that holds the payloads as they were appended.
pub const PAYLOAD: &str = "payload";
/// The Parquet column (`Int64`) with each payload's CRC-32, which the log adds and checks when reading.
pub const CHECKSUM: &str = "_checksum";

/// What an acknowledged append survives; each says so for itself. The greater one includes the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// A killed process: the record is with the operating system.
    #[default]
    Crash,
    /// A power cut: the record is on disk. Concurrent appends share their waits for it.
    PowerLoss,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment turns into Parquet once it is at least this long.
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 32 << 20 }
    }
}

/// Knows the columns of a log's Parquet.
pub trait RecordEncoder: Send + Sync {
    /// One row for each payload, in order; among the columns [`PAYLOAD`] (`Binary`) with the payload itself. All batches
    /// have one schema. An error keeps the payloads readable in their segment; the log tries again later.
    fn encode(&self, payloads: &[&[u8]]) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>>;
}

/// No columns but the payload.
#[derive(Debug, Clone, Copy, Default)]
pub struct PayloadOnly;

impl RecordEncoder for PayloadOnly {
    fn encode(&self, payloads: &[&[u8]]) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        let schema = Schema::new(vec![Field::new(PAYLOAD, DataType::Binary, false)]);
        Ok(RecordBatch::try_new(Arc::new(schema), vec![Arc::new(BinaryArray::from_iter_values(payloads))])?)
    }
}
