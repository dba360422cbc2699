//! One file in WAL mode: one connection that writes, several that read.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, Transaction};
use tokio::time::Instant;

use crate::MetadataError;
use crate::connection::Held;
use crate::error::is_busy;
use crate::open::DEADLINE;

/// One wait inside SQLite; short, so that a cancelled caller is not waited for on the connection's thread.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
const READERS: u32 = 4;

pub(crate) struct Pools {
    readers: SqlitePool,
    /// One connection, opened again should it break.
    pub writer: SqlitePool,
}

pub(crate) async fn open(path: &Path) -> Result<Pools, MetadataError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(|source| MetadataError::Folder { path: folder.to_owned(), source })?;
    }
    let common = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(DEADLINE)
        .connect_lazy_with(
            common.clone().create_if_missing(true).journal_mode(SqliteJournalMode::Wal).busy_timeout(BUSY_TIMEOUT),
        );
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .acquire_timeout(DEADLINE)
        .connect_lazy_with(common.busy_timeout(DEADLINE).pragma("query_only", "ON"));
    connect(path, &writer).await?;
    Ok(Pools { readers, writer })
}

impl Pools {
    pub async fn read(&self) -> Result<Held, MetadataError> {
        Ok(Held::SqliteReading(self.readers.acquire().await?))
    }

    /// Waits for the writers of other processes.
    pub async fn begin(&self, deadline: Instant) -> Result<Transaction<'static, Sqlite>, MetadataError> {
        let mut broken_before = false;
        loop {
            // IMMEDIATE: a transaction that reads first and then writes could not be retried once another wrote.
            match self.writer.begin_with("BEGIN IMMEDIATE").await {
                Ok(transaction) => return Ok(transaction),
                Err(error) if is_busy(&error) => {
                    if Instant::now() >= deadline {
                        return Err(MetadataError::Busy { waited: DEADLINE });
                    }
                    pause().await;
                }
                // SQLite ended an earlier transaction by itself (disk full, I/O error) and sqlx did not notice.
                Err(sqlx::Error::InvalidSavePointStatement | sqlx::Error::WorkerCrashed) if !broken_before => {
                    broken_before = true;
                    self.writer.acquire().await?.close_on_drop();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Connecting takes locks for which SQLite itself does not wait: the switch to WAL, recovery after a killed process.
async fn connect(path: &Path, writer: &SqlitePool) -> Result<(), MetadataError> {
    let started = Instant::now();
    loop {
        match writer.acquire().await {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && started.elapsed() < DEADLINE => pause().await,
            Err(source) => return Err(MetadataError::Open { place: path.display().to_string(), source }),
        }
    }
}

/// A few milliseconds, differing between those who wait, so that they do not meet again.
async fn pause() {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(1_000..10_000))).await;
}
