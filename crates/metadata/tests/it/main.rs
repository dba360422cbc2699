#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy sees only what is marked #[test]")]

mod chain;
mod commits;
mod open;
mod statistics;
mod tags;
mod write;

use karat_core::Instant;
use karat_metadata::{Metadata, WriteTx, audit};
use tempfile::TempDir;

/// A database of its own, gone with the test.
struct Fresh {
    folder: TempDir,
    metadata: Metadata,
}

impl Fresh {
    async fn new() -> Fresh {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&uri(&folder)).await.unwrap();
        Fresh { folder, metadata }
    }

    async fn another_process(&self) -> Metadata {
        Metadata::open(&uri(&self.folder)).await.unwrap()
    }
}

fn uri(folder: &TempDir) -> String {
    format!("sqlite://{}/deep/metadata.db", folder.path().display())
}

async fn append(tx: &mut WriteTx, name: &str) -> audit::Entry {
    let new = audit::NewEntry {
        at: Instant::from_micros(1_700_000_000_000_000),
        actor: "ana",
        action: "thing.change",
        subject: audit::Subject::versioned("thing", name, 1),
        details: serde_json::json!({"b": 0.1, "a": [1, null]}),
    };
    audit::append(tx, new).await.unwrap()
}
