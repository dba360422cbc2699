//! What is PostgreSQL's alone. Ignored where there is no server; `all_of_it_holds_on_postgresql` runs it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use karat_core::ErrorKind;
use karat_metadata::{Connection, Dialect, Metadata, MetadataError, QueryBuilder, generations, query, query_scalar};
use karat_test_support::postgres_server::{PostgresServer, fresh_database};

use crate::Fresh;

/// Of the server that the suite runs on, another database or user.
fn elsewhere(change: impl FnOnce(&str) -> String) -> String {
    change(&fresh_database().unwrap())
}

async fn refused(uri: &str) -> (ErrorKind, String) {
    let error = Metadata::open(uri).await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn errors_say_what_to_do() {
    let missing = elsewhere(|uri| format!("{uri}_missing"));
    let (kind, message) = refused(&missing).await;
    assert!(message.contains("_missing\" does not exist: make it with `createdb"), "{message}");
    assert_eq!(kind, ErrorKind::Refused);

    let guarded = elsewhere(|uri| uri.replace("karat@", "guarded:wrong@"));
    let (kind, message) = refused(&guarded).await;
    assert!(message.contains("password authentication failed") && message.contains("karat.yaml"), "{message}");
    assert!(!message.contains("wrong"), "{message}");
    assert_eq!(kind, ErrorKind::Refused);

    // Since PostgreSQL 15 not everybody may make tables.
    let (_, message) = refused(&elsewhere(|uri| uri.replace("karat@", "guarded:unguessable@"))).await;
    assert!(message.contains("permission denied for schema public: its user needs to own"), "{message}");

    let (kind, message) = refused("postgres://ana:secret@127.0.0.1:1/karat").await;
    assert!(
        message.contains("postgres://ana@127.0.0.1:1/karat") && message.contains("does its server run"),
        "{message}"
    );
    assert_eq!(kind, ErrorKind::Unavailable);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_database_that_is_not_unicode_is_refused() {
    let uri = fresh_database().unwrap();
    let mut admin = Metadata::open(&uri).await.unwrap().begin().await.unwrap();
    // CREATE DATABASE wants no transaction around it.
    let name = format!("ascii_{}", std::process::id());
    let create = format!(
        "ROLLBACK; CREATE DATABASE {name} ENCODING SQL_ASCII LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    );
    for statement in create.split("; ") {
        admin.script(statement.to_owned()).await.unwrap();
    }
    let place = uri.rsplit_once('/').unwrap().0;
    let (kind, message) = refused(&format!("{place}/{name}")).await;
    assert!(message.contains("keeps text as SQL_ASCII") && message.contains("createdb --encoding UTF8"), "{message}");
    assert_eq!(kind, ErrorKind::Refused);
}

/// `table.column type`, of views without the type.
async fn columns(connection: &mut Connection) -> BTreeSet<String> {
    let all = match connection.dialect() {
        Dialect::Sqlite => {
            "SELECT t.name || '.' || c.name || CASE t.type WHEN 'view' THEN '' ELSE ' ' || replace(lower(c.type), 'integer', 'bigint') END \
             FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type IN ('table', 'view')"
        }
        Dialect::Postgres => {
            "SELECT c.table_name || '.' || c.column_name || CASE t.table_type WHEN 'VIEW' THEN '' ELSE ' ' || c.data_type END \
             FROM information_schema.tables t JOIN information_schema.columns c \
             ON c.table_schema = t.table_schema AND c.table_name = t.table_name WHERE t.table_schema = current_schema()"
        }
    };
    let all: Vec<String> = query_scalar(all).fetch_all(connection).await.unwrap();
    all.into_iter().filter(|column| !column.starts_with("_sqlx_migrations")).collect()
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn both_databases_have_the_same_tables_and_columns() {
    let fresh = Fresh::new().await;
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Metadata::open(&format!("sqlite://{}/m.db", folder.path().display())).await.unwrap();
    let newest = "SELECT MAX(version) FROM _sqlx_migrations";
    let (mut here, mut there) = (fresh.metadata.read().await.unwrap(), sqlite.read().await.unwrap());
    let (mine, other) = (columns(&mut here).await, columns(&mut there).await);
    assert!(mine.contains("metrics.is_nan boolean") && mine.contains("logged_model_latest_metrics.value"), "{mine:?}");
    assert_eq!(mine.symmetric_difference(&other).collect::<Vec<_>>(), Vec::<&String>::new());
    let numbers: [i64; 2] = [
        query_scalar(newest).fetch_one(&mut here).await.unwrap(),
        query_scalar(newest).fetch_one(&mut there).await.unwrap(),
    ];
    assert_eq!(numbers[0], numbers[1], "the newest migrations have one number");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn text_is_compared_byte_by_byte() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    for name in ["a_b", "B", "ä", "a%b", "A_B", "a\\b"] {
        generations::bump(&mut tx, name).await.unwrap();
    }
    let sorted: Vec<String> =
        query_scalar("SELECT name FROM generations ORDER BY name").fetch_all(&mut tx).await.unwrap();
    assert_eq!(sorted, ["A_B", "B", "a%b", "a\\b", "a_b", "ä"]);
    let mut found =
        async |like: for<'q> fn(&'q mut QueryBuilder, &str) -> &'q mut QueryBuilder, pattern: &str| -> Vec<String> {
            let mut query = QueryBuilder::new(Dialect::Postgres, "SELECT name FROM generations WHERE name");
            like(&mut query, pattern);
            let rows = query.push(" ORDER BY name").build().fetch_all(&mut tx).await.unwrap();
            rows.iter().map(|row| row.get("name").unwrap()).collect()
        };
    assert_eq!(found(QueryBuilder::push_like, "a_b").await, ["a%b", "a\\b", "a_b"]);
    assert_eq!(found(QueryBuilder::push_like, "a\\_").await, ["a\\b"]);
    assert_eq!(found(QueryBuilder::push_ilike, "A_b").await, ["A_B", "a%b", "a\\b", "a_b"]);
    assert!(found(QueryBuilder::push_ilike, "Ä").await.is_empty(), "as in SQLite, of A to Z only");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_postgresql_cannot_keep_is_the_callers_mistake() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    let nul = generations::bump(&mut tx, "a\0b").await.unwrap_err();
    assert!(matches!(nul, MetadataError::Nul), "{nul}");
    assert_eq!(nul.kind(), ErrorKind::Invalid);
    // As long as it is, it does not shrink below what an index holds.
    let long: String = (0..1_000).map(|number| karat_core::Digest::of(format!("{number}")).to_string()).collect();
    let long = generations::bump(&mut tx, &long).await.unwrap_err();
    assert_eq!(long.kind(), ErrorKind::Invalid, "{long}");
    assert!(long.to_string().contains("too long"), "{long}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL, and ten seconds"]
async fn a_writer_waits_ten_seconds_for_another_process() {
    let fresh = Fresh::new().await;
    let other = fresh.another_process().await;
    let _holder = fresh.metadata.begin().await.unwrap();
    let begun = Instant::now();
    let error = other.begin().await.unwrap_err();
    assert!(matches!(error, MetadataError::Busy { .. }), "{error}");
    assert!((9..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn writing_goes_on_once_the_server_is_back() {
    let Some(server) = PostgresServer::start("writing_goes_on_once_the_server_is_back") else { return };
    let metadata = Metadata::open(&server.database()).await.unwrap();
    let mut tx = metadata.begin().await.unwrap();
    generations::bump(&mut tx, "things").await.unwrap();
    tx.commit().await.unwrap();
    let mut caught = metadata.begin().await.unwrap();
    generations::bump(&mut caught, "things").await.unwrap();
    server.stop();
    let error = caught.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let began = metadata.clone();
    // Who asks while it is away is served once it is back, within its ten seconds.
    let patient = tokio::spawn(async move { began.generation("things").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.start_again();
    assert_eq!(patient.await.unwrap().unwrap(), 1, "what was not committed is not there");
    let mut tx = metadata.begin().await.unwrap();
    generations::bump(&mut tx, "things").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(metadata.generation("things").await.unwrap(), 2);
    server.stop();
    let error = metadata.begin().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("does its server run"), "{error}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_lock_goes_with_who_holds_it() {
    let fresh = Fresh::new().await;
    let other = fresh.another_process().await;
    let mut holder = fresh.metadata.begin().await.unwrap();
    generations::bump(&mut holder, "things").await.unwrap();
    // As when the process is killed: the server ends what it left.
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' \
                AND datname = current_database()";
    query(kill).fetch_all(&mut other.read().await.unwrap()).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    assert_eq!(generations::read(&mut tx, "things").await.unwrap(), 0);
    assert_eq!(holder.commit().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn tables_that_a_newer_karat_changed_are_read_at_the_second_try() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    generations::bump(&mut tx, "things").await.unwrap();
    tx.commit().await.unwrap();
    let mut reader = fresh.metadata.read().await.unwrap();
    let all = || query("SELECT * FROM generations");
    assert_eq!(all().fetch_all(&mut reader).await.unwrap().len(), 1);
    let mut tx = fresh.metadata.begin().await.unwrap();
    tx.script("ALTER TABLE generations ADD COLUMN more BIGINT".to_owned()).await.unwrap();
    tx.commit().await.unwrap();
    let error = all().fetch_all(&mut reader).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("try again"), "{error}");
    assert_eq!(all().fetch_all(&mut reader).await.unwrap().len(), 1);
}
