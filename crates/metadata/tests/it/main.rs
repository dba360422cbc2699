#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy sees only what is marked #[test]")]

mod chain;
mod commits;
mod compactions;
mod open;
mod postgres;
mod sqlite;
mod statistics;
mod tags;
mod write;

use karat_core::Instant;
use karat_metadata::{Metadata, WriteTx, audit};
use karat_test_support::postgres_server::{PostgresServer, fresh_database};
use tempfile::TempDir;

/// A database of its own, gone with the test: SQLite's, or one of the server that the suite is run again on.
struct Fresh {
    _folder: TempDir,
    uri: String,
    metadata: Metadata,
}

impl Fresh {
    async fn new() -> Fresh {
        let (_folder, uri) = Fresh::unopened();
        let metadata = Metadata::open(&uri).await.unwrap();
        Fresh { _folder, uri, metadata }
    }

    fn unopened() -> (TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}/deep/metadata.db", folder.path().display());
        (folder, fresh_database().unwrap_or(file))
    }

    async fn another_process(&self) -> Metadata {
        Metadata::open(&self.uri).await.unwrap()
    }
}

#[test]
fn all_of_it_holds_on_postgresql() {
    let test = "all_of_it_holds_on_postgresql";
    let Some(server) = PostgresServer::start(test) else { return };
    let ran = server.run_all_again(test, "sqlite::");
    assert!(ran > 20, "{ran} tests ran on PostgreSQL");
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
