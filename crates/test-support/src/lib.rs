//! What tests of several crates share: places, real data, a copy of the example, documents whose commands are run.
//!
//! Invariant: a development dependency only; it never ships.

pub mod console;
pub mod fuzz;
#[expect(clippy::unwrap_used, reason = "test helpers fail the test they help")]
pub mod large;
pub mod markdown;
mod places;
#[expect(clippy::unwrap_used, reason = "test helpers fail the test they help")]
pub mod postgres_server;
#[expect(clippy::unwrap_used, reason = "test helpers fail the test they help")]
pub mod redis_server;
#[expect(clippy::unwrap_used, reason = "test helpers fail the test they help")]
pub mod s3_server;
#[expect(clippy::unwrap_used, reason = "test helpers fail the test they help")]
pub mod serving_app;

pub use places::{copy_folder, example_copy, repository, shared_data, temp_dir, test_python};
