use karat_core::ErrorKind;
use karat_metadata::{Metadata, MetadataError, generations};

use crate::{Fresh, uri};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_openers_at_once_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let uri = uri(&folder);
    let openers: Vec<_> = (0..6).map(|_| tokio::spawn(Metadata::open(&uri))).collect();
    for opener in openers {
        let metadata = opener.await.unwrap().unwrap();
        let migrations: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(metadata.reader()).await.unwrap();
        assert_eq!(migrations, 11);
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    generations::bump(&mut tx, "things").await.unwrap();
    tx.commit().await.unwrap();
    drop(fresh.metadata);
    let again = Metadata::open(&uri(&fresh.folder)).await.unwrap();
    assert_eq!(again.generation("things").await.unwrap(), 1);
}

#[tokio::test]
async fn the_database_is_durable_and_keeps_its_foreign_keys() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    let pragma = async |tx: &mut karat_metadata::WriteTx, sql: &'static str| -> String {
        use sqlx::Row;
        let row = sqlx::query(sql).fetch_one(&mut **tx).await.unwrap();
        row.try_get::<String, _>(0).or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string())).unwrap()
    };
    assert_eq!(pragma(&mut tx, "PRAGMA journal_mode").await, "wal");
    assert_eq!(pragma(&mut tx, "PRAGMA synchronous").await, "2");
    assert_eq!(pragma(&mut tx, "PRAGMA foreign_keys").await, "1");
}

#[tokio::test]
async fn a_newer_database_is_refused_untouched() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let error = Metadata::open(&uri(&fresh.folder)).await.unwrap_err();
    assert!(matches!(error, MetadataError::Newer { found: 9999, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("newer Karat"), "{error}");
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
async fn readers_refuse_to_write() {
    let fresh = Fresh::new().await;
    let written = sqlx::query("INSERT INTO generations VALUES ('x', 1)").execute(fresh.metadata.reader()).await;
    assert!(written.unwrap_err().to_string().contains("readonly"));
}
