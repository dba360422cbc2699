//! What is SQLite's alone.

use karat_core::ErrorKind;
use karat_metadata::{Metadata, generations, query_scalar};

use crate::Fresh;

#[tokio::test]
async fn the_database_is_durable_and_keeps_its_foreign_keys() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    let pragma = async |tx: &mut karat_metadata::WriteTx, sql: &'static str| -> String {
        match query_scalar::<String>(sql).fetch_one(tx).await {
            Ok(word) => word,
            Err(_) => query_scalar::<i64>(sql).fetch_one(tx).await.unwrap().to_string(),
        }
    };
    assert_eq!(pragma(&mut tx, "PRAGMA journal_mode").await, "wal");
    assert_eq!(pragma(&mut tx, "PRAGMA synchronous").await, "2");
    assert_eq!(pragma(&mut tx, "PRAGMA foreign_keys").await, "1");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "these are notes, long enough to be taken for the header of a database".repeat(20)).unwrap();
    let error = Metadata::open(&format!("sqlite://{}", path.display())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("these are notes"));
}

#[tokio::test]
async fn writing_goes_on_after_sqlite_ended_a_transaction_by_itself() {
    let fresh = Fresh::new().await;
    for _ in 0..3 {
        let mut tx = fresh.metadata.begin().await.unwrap();
        generations::bump(&mut tx, "things").await.unwrap();
        // As SQLite does when the disk is full; sqlx does not hear of it.
        tx.script("ROLLBACK".to_owned()).await.unwrap();
        drop(tx);
        let mut tx = fresh.metadata.begin().await.unwrap();
        assert_eq!(generations::read(&mut tx, "things").await.unwrap(), 0);
    }
}
