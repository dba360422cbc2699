use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};

use crate::Answer;
use crate::postgres::Writing;

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
    SqliteReading(PoolConnection<Sqlite>),
    SqliteWriting(Transaction<'static, Sqlite>),
    PostgresReading(PoolConnection<Postgres>),
    PostgresWriting(Writing),
}

pub(crate) enum Raw<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Connection {
    pub fn dialect(&self) -> Dialect {
        match &self.0 {
            Held::SqliteReading(_) | Held::SqliteWriting(_) => Dialect::Sqlite,
            Held::PostgresReading(_) | Held::PostgresWriting(_) => Dialect::Postgres,
        }
    }

    /// Runs statements as they stand, one after another; how many rows they changed.
    pub fn script(&mut self, sql: String) -> Answer<'_, u64> {
        Box::pin(async move {
            let script = sqlx::raw_sql(AssertSqlSafe(sql));
            Ok(match self.raw() {
                Raw::Sqlite(raw) => script.execute(raw).await?.rows_affected(),
                Raw::Postgres(raw) => script.execute(raw).await?.rows_affected(),
            })
        })
    }

    pub(crate) fn raw(&mut self) -> Raw<'_> {
        match &mut self.0 {
            Held::SqliteReading(connection) => Raw::Sqlite(connection),
            Held::SqliteWriting(transaction) => Raw::Sqlite(transaction),
            Held::PostgresReading(connection) => Raw::Postgres(connection),
            Held::PostgresWriting(writing) => Raw::Postgres(writing.connection()),
        }
    }
}
