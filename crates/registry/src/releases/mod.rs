//! A release is an applied state of the project folder. Servers follow releases, never files.

mod difference;
mod list;
mod record;

use karat_core::{Digest, Instant};
use serde::Serialize;
use serde_json::Value as Json;

pub use difference::{Change, What, difference};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Release {
    /// 1 is the first.
    pub number: u64,
    pub digest: Digest,
    /// The project's manifest.
    pub content: Json,
    pub at: Instant,
    pub actor: String,
    /// What changed since the release before.
    pub summary: Vec<Change>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseDraft {
    pub digest: Digest,
    pub content: Json,
}
