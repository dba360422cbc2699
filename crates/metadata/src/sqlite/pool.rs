use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::is_busy;
use crate::MetadataError;
use crate::blocking::blocking;
use crate::open::DEADLINE;

/// One wait inside SQLite; short, so that a caller who gives up does not hold a thread.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
const READERS: usize = 8;
/// Pages that the writer keeps, in KiB: where runs go on logging, so that none of them is read again for each batch that is moved.
const WRITER_PAGES: i32 = 16 << 10;
/// Statements that a connection keeps compiled.
const STATEMENTS: usize = 200;

pub(crate) struct Pools {
    path: PathBuf,
    readers: Arc<Idle>,
    permits: Arc<Semaphore>,
    writer: Arc<Idle>,
}

/// Connections that nobody uses right now.
#[derive(Debug, Default)]
struct Idle(Mutex<Vec<Connection>>);

impl Idle {
    fn take(&self) -> Option<Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// In the middle of a transaction a connection is of no use to the next.
    fn put(&self, connection: Connection) {
        if connection.is_autocommit() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

pub(crate) async fn open(path: &Path) -> Result<Pools, MetadataError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(|source| MetadataError::Folder { path: folder.to_owned(), source })?;
    }
    let pools = Pools {
        path: path.to_owned(),
        readers: Arc::default(),
        permits: Arc::new(Semaphore::new(READERS)),
        writer: Arc::default(),
    };
    pools.writer.put(first(path).await?);
    Ok(pools)
}

/// Connecting takes locks for which SQLite itself does not wait: the switch to WAL, recovery after a killed process.
async fn first(path: &Path) -> Result<Connection, MetadataError> {
    let started = Instant::now();
    loop {
        match blocking(|| writer(path)) {
            Ok(connection) => return Ok(connection),
            Err(error) if is_busy(&error) && started.elapsed() < DEADLINE => pause().await,
            Err(source) => {
                return Err(MetadataError::Open { place: path.display().to_string(), source: source.into() });
            }
        }
    }
}

fn writer(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE, BUSY_TIMEOUT)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // Negative: not in pages.
    connection.pragma_update(None, "cache_size", -WRITER_PAGES)?;
    Ok(connection)
}

fn reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = connect(path, OpenFlags::empty(), DEADLINE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path, more: OpenFlags, patience: Duration) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A few milliseconds, differing between those who wait, so that they do not meet again.
async fn pause() {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(1_000..10_000))).await;
}

impl Pools {
    pub async fn read(&self) -> Result<Reading, MetadataError> {
        let free = timeout(DEADLINE, self.permits.clone().acquire_owned()).await;
        let permit = free.ok().and_then(Result::ok).ok_or(MetadataError::Crowded { waited: DEADLINE })?;
        let connection = match self.readers.take() {
            Some(idle) => idle,
            None => blocking(|| reader(&self.path))?,
        };
        Ok(Reading { connection: Some(connection), home: self.readers.clone(), _permit: permit })
    }

    /// Waits for the writers of other processes; this one's take turns.
    pub async fn begin(&self, deadline: Instant) -> Result<Writing, MetadataError> {
        let connection = match self.writer.take() {
            Some(idle) => idle,
            None => blocking(|| writer(&self.path))?,
        };
        let mut writing = Writing { connection: Some(connection), home: self.writer.clone() };
        loop {
            // IMMEDIATE: a transaction that reads first and then writes could not be retried once another wrote.
            match blocking(|| writing.run("BEGIN IMMEDIATE")) {
                Ok(()) => return Ok(writing),
                Err(error) if !is_busy(&error) => return Err(error.into()),
                Err(_) if Instant::now() >= deadline => return Err(MetadataError::Busy { waited: DEADLINE }),
                Err(_) => pause().await,
            }
        }
    }
}

/// A connection that reads, given back on drop.
#[derive(Debug)]
pub(crate) struct Reading {
    connection: Option<Connection>,
    home: Arc<Idle>,
    _permit: OwnedSemaphorePermit,
}

impl Reading {
    pub fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("taken only on drop")
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.home.put(connection);
        }
    }
}

/// A connection inside a write transaction; dropped, it is rolled back.
#[derive(Debug)]
pub(crate) struct Writing {
    connection: Option<Connection>,
    home: Arc<Idle>,
}

impl Writing {
    /// What the transaction's statements run on. SQLite ends one by itself where the disk is full or fails; the next
    /// statement would be written alone then.
    pub fn connection(&mut self) -> Result<&mut Connection, MetadataError> {
        let connection = self.connection.as_mut().expect("taken only on drop");
        if connection.is_autocommit() { Err(MetadataError::Ended) } else { Ok(connection) }
    }

    pub fn commit(mut self) -> Result<(), MetadataError> {
        self.connection()?;
        Ok(blocking(|| self.run("COMMIT"))?)
    }

    fn run(&mut self, sql: &str) -> Result<(), rusqlite::Error> {
        let connection = self.connection.as_ref().expect("taken only on drop");
        connection.prepare_cached(sql)?.raw_execute().map(|_| ())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            if !connection.is_autocommit()
                && let Err(error) = connection.execute_batch("ROLLBACK")
            {
                tracing::warn!(%error, "a transaction of the metadata database could not be rolled back");
            }
            self.home.put(connection);
        }
    }
}
