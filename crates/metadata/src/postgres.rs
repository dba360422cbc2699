//! A server that several machines share. Writers of all of them take turns, as SQLite's do, by one advisory lock of the
//! database that every write transaction takes first.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Postgres};
use tokio::time::timeout;

use crate::MetadataError;
use crate::connection::Held;
use crate::error::sqlstate;
use crate::open::DEADLINE;

const READERS: u32 = 8;
/// One writes; more are there while an abandoned one finds its end.
const WRITERS: u32 = 3;

/// In one message: the transaction begins when its turn has come, so that every statement in it sees what the one before
/// committed. Who goes silent in the middle of it (a machine that lost its network) does not keep the others waiting.
/// The lock's number is "karat" in ASCII.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '10s'; \
    SET LOCAL idle_in_transaction_session_timeout = '60s'; SELECT pg_advisory_xact_lock(461229646196)";

/// "cached plan must not change result type"
pub(crate) const PLAN_OUTDATED: &str = "0A000";

pub(crate) struct Pools {
    readers: PgPool,
    writers: PgPool,
}

/// The first connection is made by hand: its error says what is wrong, where a pool goes on trying.
pub(crate) async fn open(options: &PgConnectOptions, place: &str) -> Result<Pools, MetadataError> {
    let mut first = connect(options, place).await?;
    let encoding: String = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut first).await?;
    if encoding != "UTF8" {
        return Err(MetadataError::Encoding { place: place.to_owned(), encoding });
    }
    first.close().await?;
    let pool = || PgPoolOptions::new().acquire_timeout(DEADLINE);
    let readers = pool().max_connections(READERS).after_connect(|connection, _| {
        Box::pin(async move {
            let only_reads = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
            sqlx::raw_sql(only_reads).execute(connection).await.map(|_| ())
        })
    });
    let options = quiet(options);
    Ok(Pools {
        readers: readers.connect_lazy_with(options.clone()),
        writers: pool().max_connections(WRITERS).connect_lazy_with(options),
    })
}

pub(crate) async fn connect(options: &PgConnectOptions, place: &str) -> Result<PgConnection, MetadataError> {
    match timeout(DEADLINE, PgConnection::connect_with(&quiet(options))).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(source)) => Err(MetadataError::Open { place: place.to_owned(), source: source.into() }),
        Err(_) => Err(away(place)),
    }
}

fn quiet(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().application_name("karat").disable_statement_logging()
}

fn away(place: &str) -> MetadataError {
    MetadataError::Away { place: place.to_owned(), waited: DEADLINE }
}

impl Pools {
    pub async fn read(&self, place: &str) -> Result<Held, MetadataError> {
        Ok(Held::PostgresReading(acquire(&self.readers, place).await?))
    }

    /// Waits for the writers of other processes.
    pub async fn begin(&self, place: &str, left: Duration) -> Result<Writing, MetadataError> {
        // From here on whoever stops waiting leaves a transaction, which ends as any abandoned one.
        let mut writing = Writing(Some(acquire(&self.writers, place).await?));
        let begun = timeout(left, sqlx::raw_sql(BEGIN).execute(writing.connection())).await;
        match begun {
            Ok(Ok(_)) => Ok(writing),
            Ok(Err(error)) if sqlstate(&error) != Some("55P03") => Err(error.into()),
            Ok(Err(_)) | Err(_) => Err(MetadataError::Busy { waited: DEADLINE }),
        }
    }
}

/// A newer Karat may bring the schema forward while this one runs; the connection's plans of statements are of the old one
/// then, and what failed by that succeeds when it is tried again.
pub(crate) async fn planned_anew<T>(
    connection: &mut PgConnection,
    outcome: Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    if outcome.as_ref().is_err_and(|error| sqlstate(error) == Some(PLAN_OUTDATED)) {
        connection.clear_cached_statements().await?;
    }
    outcome
}

async fn acquire(pool: &PgPool, place: &str) -> Result<PoolConnection<Postgres>, MetadataError> {
    pool.acquire().await.map_err(|error| match error {
        sqlx::Error::PoolTimedOut => away(place),
        source => MetadataError::Open { place: place.to_owned(), source: source.into() },
    })
}

/// A connection inside a write transaction; dropped, it is rolled back.
#[derive(Debug)]
pub(crate) struct Writing(Option<PoolConnection<Postgres>>);

impl Writing {
    pub fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("taken only by what ends the transaction")
    }

    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        // COMMIT alone says nothing where a statement failed before, and rolls back.
        sqlx::raw_sql("SELECT 1; COMMIT").execute(self.connection()).await?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(mut connection) = self.0.take() {
            // What was sent and not answered yet comes first, be it the wait for the lock.
            tokio::spawn(async move {
                if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() {
                    connection.close_on_drop();
                }
            });
        }
    }
}
