//! The query engine: reads sources, holds them to their contracts, tells a delivery's differences to history, answers SQL.
//!
//! Invariant: opens the only DataFusion sessions, and never in a request's path; no HTTP, no training; writes nothing but
//! quarantine files, temporary files, commits of history and what is pushed to it.

mod deliver;
mod engine;
mod error;
mod gather;
mod hash;
mod plan;
mod profile;
mod progress;
mod push;
mod read;
mod rows;
mod spool;
mod sql;
mod stage;
mod survey;

pub use deliver::{Delivered, DeliveryCounts, Redefined, Taking, check_keys, deliver};
pub use engine::{Answer, Batches, Engine, EngineOptions, Table, Tables};
pub use error::QueryError;
pub use gather::Gathered;
pub use plan::{Identity, Shape, SourcePlan};
pub use profile::{NoLabel, Profiling, TrainingLabel, ValueSummary, profile};
pub use progress::{NoProgress, Progress};
pub use push::{Group, Pushed, Pushing, Taken};
pub use read::{FileNote, value_at};
pub use rows::RowsDefinition;
pub use sql::{LeftOut, LeftOutBy, plan_sql};
pub use stage::{ContractReport, Example, Occasion, Quarantine, RowFault, RuleReport, Staged, counts_news, stage};
pub use survey::{
    Clock, ColumnFacts, DateForm, DateOrder, Dialect, Known, Looks, NumberForm, Sample, Survey, TimeForm, Unit, Years,
};

/// What this crate's calls return.
pub type Result<T> = std::result::Result<T, QueryError>;
