//! Histories, logs and artifacts, also when things go wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod artifacts;
mod compacted;
mod files;
mod killed;
mod log;
mod log_failures;
mod log_groups;
mod log_readers;
mod pushed;
mod source;
mod source_failures;
mod world;
