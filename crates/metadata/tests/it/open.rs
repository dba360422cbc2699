use std::path::Path;

use karat_core::ErrorKind;
use karat_metadata::{Dialect, Metadata, MetadataError, generations, query, query_scalar};

use crate::Fresh;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_openers_at_once_migrate_once() {
    let (_folder, uri) = Fresh::unopened();
    let openers: Vec<_> = (0..6).map(|_| tokio::spawn(Metadata::open(&uri))).collect();
    for opener in openers {
        let metadata = opener.await.unwrap().unwrap();
        let counted = query_scalar::<i64>("SELECT COUNT(*) FROM _sqlx_migrations");
        let migrations = counted.fetch_one(&mut metadata.read().await.unwrap()).await.unwrap();
        let folder = if metadata.dialect() == Dialect::Sqlite { "sqlite" } else { "postgres" };
        let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder)).unwrap();
        assert_eq!(migrations, files.count() as i64);
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    generations::bump(&mut tx, "things").await.unwrap();
    tx.commit().await.unwrap();
    drop(fresh.metadata);
    let again = Metadata::open(&fresh.uri).await.unwrap();
    assert_eq!(again.generation("things").await.unwrap(), 1);
}

#[tokio::test]
async fn a_newer_database_is_refused_untouched() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    // Its checksum is whatever bytes the dialect writes this text as.
    tx.script(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', TRUE, 'abcd', 0)"
            .to_owned(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let error = Metadata::open(&fresh.uri).await.unwrap_err();
    assert!(matches!(error, MetadataError::Newer { found: 9999, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("newer Karat"), "{error}");
}

#[tokio::test]
async fn readers_refuse_to_write() {
    let fresh = Fresh::new().await;
    let mut reader = fresh.metadata.read().await.unwrap();
    let error = query("INSERT INTO generations VALUES ('x', 1)").execute(&mut reader).await.unwrap_err().to_string();
    assert!(error.contains("readonly") || error.contains("read-only"), "{error}");
}

#[tokio::test]
async fn looking_for_a_database_makes_none() {
    let (_folder, uri) = Fresh::unopened();
    assert!(!Metadata::exists(&uri).await.unwrap());
    assert!(!Metadata::exists(&uri).await.unwrap());
    Metadata::open(&uri).await.unwrap();
    assert!(Metadata::exists(&uri).await.unwrap());
}

#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_writes_nothing() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    generations::bump(&mut tx, "things").await.unwrap();
    let twice = query("INSERT INTO generations VALUES ('things', 1)").execute(&mut tx).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict, "{twice}");
    // PostgreSQL gives the transaction up; SQLite takes back the statement only.
    let committed = tx.commit().await.is_ok();
    assert_eq!(fresh.metadata.generation("things").await.unwrap(), u64::from(committed));
    assert_eq!(committed, fresh.metadata.dialect() == Dialect::Sqlite);
}
