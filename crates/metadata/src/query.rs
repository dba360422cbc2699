//! Statements that run on either database: `karat_metadata::query(…).bind(…).execute(&mut *connection)`.

use std::marker::PhantomData;

use futures::future::BoxFuture;
use sqlx::{SqlSafeStr, SqlStr};

use crate::bind::{self, Bind, Bound};
use crate::blocking::blocking;
use crate::connection::Raw;
use crate::row::Column;
use crate::{Answer, Cells, Connection, MetadataError, Row, postgres, sqlite};

/// A statement with `$1`, `$2`… for what is bound, in words that both databases accept.
pub fn query(sql: &'static str) -> Query {
    Query { sql: sql.into_sql_str(), bound: Vec::new() }
}

/// The same, of whose answer the first column counts.
pub fn query_scalar<T>(sql: &'static str) -> Scalar<T> {
    Scalar { query: query(sql), column: PhantomData }
}

#[derive(Debug)]
#[must_use]
pub struct Query {
    pub(crate) sql: SqlStr,
    pub(crate) bound: Vec<Bound>,
}

#[derive(Debug)]
#[must_use]
pub struct Scalar<T> {
    query: Query,
    column: PhantomData<fn() -> T>,
}

impl Query {
    pub fn bind(mut self, value: impl Bind) -> Query {
        self.bound.push(value.bound());
        self
    }

    /// How many rows it changed.
    pub fn execute(self, connection: &mut Connection) -> Answer<'_, u64> {
        Box::pin(async move {
            Ok(match connection.raw()? {
                Raw::Sqlite(raw) => blocking(|| sqlite::execute(raw, self.sql.as_str(), &self.bound))?,
                Raw::Postgres(raw) => {
                    let done = sqlx::query_with(self.sql, bind::postgres(self.bound)?).execute(&mut *raw).await;
                    postgres::planned_anew(raw, done).await?.rows_affected()
                }
            })
        })
    }

    pub fn fetch_all(self, connection: &mut Connection) -> Answer<'_, Vec<Row>> {
        Box::pin(async move {
            Ok(match connection.raw()? {
                Raw::Sqlite(raw) => {
                    let rows = blocking(|| sqlite::fetch_all(raw, self.sql.as_str(), &self.bound))?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
                Raw::Postgres(raw) => {
                    let rows = sqlx::query_with(self.sql, bind::postgres(self.bound)?).fetch_all(&mut *raw).await;
                    let rows = postgres::planned_anew(raw, rows).await?;
                    rows.into_iter().map(Row::Postgres).collect()
                }
            })
        })
    }

    /// Shows each row as it is read.
    pub fn each<'c, E>(
        self,
        connection: &'c mut Connection,
        mut see: impl FnMut(Cells<'_>) -> Result<(), E> + Send + 'c,
    ) -> BoxFuture<'c, Result<(), E>>
    where
        E: From<MetadataError> + Send + 'c,
    {
        Box::pin(async move {
            match connection.raw()? {
                Raw::Sqlite(raw) => blocking(|| sqlite::each(raw, self.sql.as_str(), &self.bound, see)),
                Raw::Postgres(raw) => {
                    let bound = bind::postgres(self.bound)?;
                    let rows = sqlx::query_with(self.sql, bound).fetch_all(&mut *raw).await;
                    let rows = postgres::planned_anew(raw, rows).await.map_err(MetadataError::from)?;
                    rows.iter().try_for_each(|row| see(Cells::Postgres(row)))
                }
            }
        })
    }

    pub fn fetch_optional(self, connection: &mut Connection) -> Answer<'_, Option<Row>> {
        Box::pin(async move {
            Ok(match connection.raw()? {
                Raw::Sqlite(raw) => {
                    let row = blocking(|| sqlite::fetch_optional(raw, self.sql.as_str(), &self.bound))?;
                    row.map(Row::Sqlite)
                }
                Raw::Postgres(raw) => {
                    let row = sqlx::query_with(self.sql, bind::postgres(self.bound)?).fetch_optional(&mut *raw).await;
                    let row = postgres::planned_anew(raw, row).await?;
                    row.map(Row::Postgres)
                }
            })
        })
    }
}

impl<T: Column> Scalar<T> {
    pub fn bind(mut self, value: impl Bind) -> Scalar<T> {
        self.query = self.query.bind(value);
        self
    }

    pub fn fetch_all<'c>(self, connection: &'c mut Connection) -> Answer<'c, Vec<T>>
    where
        T: Send + 'c,
    {
        Box::pin(async move { self.query.fetch_all(connection).await?.iter().map(Row::first).collect() })
    }

    pub fn fetch_optional<'c>(self, connection: &'c mut Connection) -> Answer<'c, Option<T>>
    where
        T: Send + 'c,
    {
        Box::pin(async move { self.query.fetch_optional(connection).await?.as_ref().map(Row::first).transpose() })
    }

    pub fn fetch_one<'c>(self, connection: &'c mut Connection) -> Answer<'c, T>
    where
        T: Send + 'c,
    {
        Box::pin(async move { Ok(self.fetch_optional(connection).await?.ok_or(sqlx::Error::RowNotFound)?) })
    }
}
