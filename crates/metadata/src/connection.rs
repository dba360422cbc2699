use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

use crate::blocking::blocking;
use crate::{Answer, MetadataError, postgres, sqlite};

/// Where statements agree in meaning and not in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// What statements run on.
#[derive(Debug)]
pub struct Connection(pub(crate) Held);

#[derive(Debug)]
pub(crate) enum Held {
    SqliteReading(sqlite::Reading),
    SqliteWriting(sqlite::Writing),
    PostgresReading(PoolConnection<Postgres>),
    PostgresWriting(postgres::Writing),
}

pub(crate) enum Raw<'c> {
    Sqlite(&'c mut rusqlite::Connection),
    Postgres(&'c mut PgConnection),
}

impl Connection {
    pub fn dialect(&self) -> Dialect {
        match &self.0 {
            Held::SqliteReading(_) | Held::SqliteWriting(_) => Dialect::Sqlite,
            Held::PostgresReading(_) | Held::PostgresWriting(_) => Dialect::Postgres,
        }
    }

    /// Runs statements as they stand, one after another.
    pub fn script(&mut self, sql: String) -> Answer<'_, ()> {
        Box::pin(async move {
            match self.raw()? {
                Raw::Sqlite(raw) => blocking(|| raw.execute_batch(&sql))?,
                Raw::Postgres(raw) => {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(raw).await?;
                }
            }
            Ok(())
        })
    }

    pub(crate) fn raw(&mut self) -> Result<Raw<'_>, MetadataError> {
        Ok(match &mut self.0 {
            Held::SqliteReading(reading) => Raw::Sqlite(reading.connection()),
            Held::SqliteWriting(writing) => Raw::Sqlite(writing.connection()?),
            Held::PostgresReading(connection) => Raw::Postgres(connection),
            Held::PostgresWriting(writing) => Raw::Postgres(writing.connection()),
        })
    }
}
