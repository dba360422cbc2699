//! What Karat keeps for good: histories of sources as Parquet under commits, append-only logs, artifacts, files of others.
//!
//! Invariant: never knows what a row, a record or an artifact means.
//!
//! Histories and artifacts go through `object_store`; only a log's files, and locks, need a local directory.

mod artifacts;
mod durable;
mod error;
pub mod files;
mod kept;
pub mod log;
mod parts;
pub mod remote;
mod root;

pub use artifacts::Artifacts;
pub use error::HistoryError;
pub use kept::{
    CommitInfo, CommitNote, CommitWriter, CompactionPlan, Compactor, History, Left, LeftAlone, Merge, Part, PushHead,
    PushWriter, PushedRows, Removed, Run, Sealing, Sizes, Snapshot,
};
