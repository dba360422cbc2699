use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::is_busy;
use crate::{Answer, MetadataError, generations, location, migrate};

/// How long a writer waits for the others before it gives up.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// One wait inside SQLite; short, so that a cancelled caller is not waited for on the connection's thread.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
const READERS: u32 = 4;

/// A handle on the database; clones share it. Several processes may have the same file open.
#[derive(Clone)]
pub struct Metadata(Arc<Inner>);

pub(crate) struct Inner {
    path: PathBuf,
    readers: SqlitePool,
    /// One connection, opened again should it break.
    pub(crate) writer: SqlitePool,
    /// Whose turn it is to write, first come first served; the pool's queue would lose the place between tries.
    pub(crate) turn: Arc<Mutex<()>>,
}

/// One of the readers, given back on drop. It refuses to write.
pub type ReadConnection = sqlx::pool::PoolConnection<sqlx::Sqlite>;

impl Metadata {
    /// Opens `sqlite://PATH`, creating the file and its folder, and brings the schema up to date; migrations only go
    /// forward, and several openers at once migrate once. A database of a newer Karat is refused untouched.
    pub fn open(uri: &str) -> Answer<'static, Metadata> {
        let path = location::sqlite_path(uri);
        Box::pin(async move { open(path?).await })
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The pool of readers, which see what is committed and never wait for a writer.
    pub fn reader(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// A reader. What several statements must see alike, read in one transaction on it (`connection.begin()`).
    pub fn read(&self) -> Answer<'_, ReadConnection> {
        Box::pin(async move { Ok(self.0.readers.acquire().await?) })
    }

    /// How often the named generation was bumped; 0 when never. One primary-key look-up, made to be polled.
    pub fn generation<'a>(&'a self, name: &'a str) -> Answer<'a, u64> {
        Box::pin(async move { generations::read(&mut *self.read().await?, name).await })
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metadata").field(&self.0.path).finish()
    }
}

async fn open(path: PathBuf) -> Result<Metadata, MetadataError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(|source| MetadataError::Folder { path: folder.to_owned(), source })?;
    }
    let common = SqliteConnectOptions::new()
        .filename(&path)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(WRITE_DEADLINE)
        .connect_lazy_with(
            common.clone().create_if_missing(true).journal_mode(SqliteJournalMode::Wal).busy_timeout(BUSY_TIMEOUT),
        );
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .acquire_timeout(WRITE_DEADLINE)
        .connect_lazy_with(common.busy_timeout(WRITE_DEADLINE).pragma("query_only", "ON"));
    connect(&path, &writer).await?;
    let metadata = Metadata(Arc::new(Inner { path, readers, writer, turn: Arc::default() }));
    migrate::forward(&metadata).await?;
    Ok(metadata)
}

/// Connecting takes locks for which SQLite itself does not wait: the switch to WAL, recovery after a killed process.
async fn connect(path: &Path, writer: &SqlitePool) -> Result<(), MetadataError> {
    let started = Instant::now();
    loop {
        match writer.acquire().await {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && started.elapsed() < WRITE_DEADLINE => pause().await,
            Err(source) => return Err(MetadataError::Open { path: path.to_owned(), source }),
        }
    }
}

/// A few milliseconds, differing between those who wait, so that they do not meet again.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(1_000..10_000))).await;
}
