//! Somebody else's database: opened to read, its columns looked up, its values taken as they come.

mod cell;
mod postgres;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use karat_metadata::MetadataError;
use sqlx::{AssertSqlSafe, PgConnection, SqlitePool};
use tokio::sync::Mutex;

pub(super) use cell::{Cell, Record};

use crate::RegistryError;
use crate::import::with_ids;

/// How long a lock of the server that owns the database, or an answer of the database's own, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ids a statement.
const IDS: usize = 500;

pub(super) struct Database {
    pool: Pool,
    /// Where it is, for people.
    label: String,
    columns: BTreeMap<String, BTreeSet<String>>,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(Mutex<PgConnection>),
}

/// The statement with each argument bound.
macro_rules! bound {
    ($sql:expr, $arguments:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql.to_owned()));
        for argument in $arguments {
            query = match argument {
                Cell::Null => query.bind(None::<i64>),
                Cell::Int(value) => query.bind(*value),
                Cell::Float(value) => query.bind(*value),
                Cell::Text(value) => query.bind(value.clone()),
            };
        }
        query
    }};
}

impl Database {
    /// `sqlite:///PATH`, a path alone, or `postgresql://USER:PASSWORD@HOST/DATABASE`.
    pub async fn open(uri: &str) -> Result<Database, RegistryError> {
        let unreadable = |label: &str, kind: &str, why: &str| {
            RegistryError::Invalid(format!("{label} cannot be read as a {kind} database: {why}"))
        };
        let (pool, label, kind) = match uri.split_once("://") {
            Some((scheme, _)) if scheme.starts_with("postgres") => {
                let options = postgres::options(uri)?;
                let label = postgres::shown(&options);
                let connection = postgres::open(options).await;
                let said = |error: sqlx::Error| match error.as_database_error() {
                    Some(error) => error.message().to_owned(),
                    None => format!("{error}: does its server run, and can it be reached from here?"),
                };
                let connection = connection.map_err(|error| unreadable(&label, "PostgreSQL", &said(error)))?;
                (Pool::Postgres(Mutex::new(connection)), label, "PostgreSQL")
            }
            _ => {
                let file = sqlite::file(uri)?;
                (Pool::Sqlite(sqlite::open(&file)), format!("sqlite:///{}", file.display()), "SQLite")
            }
        };
        let query = match &pool {
            Pool::Sqlite(_) => sqlite::COLUMNS,
            Pool::Postgres(_) => postgres::COLUMNS,
        };
        let mut database = Database { pool, label, columns: BTreeMap::new() };
        let columns = database.rows(query, &[]).await;
        let columns = columns.map_err(|error| unreadable(&database.label, kind, &error.to_string()))?;
        for record in columns {
            let [table, column] = record.cells();
            database.columns.entry(table.text()).or_default().insert(column.text());
        }
        Ok(database)
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether rows have numbers, in the order in which they were written.
    pub fn has_row_numbers(&self) -> bool {
        matches!(self.pool, Pool::Sqlite(_))
    }

    pub fn has(&self, table: &str) -> bool {
        self.columns.contains_key(table)
    }

    pub fn has_column(&self, table: &str, column: &str) -> bool {
        self.columns.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// The column, or `otherwise` where the schema is older than it.
    pub fn column<'c>(&self, table: &str, column: &'c str, otherwise: &'c str) -> &'c str {
        if self.has_column(table, column) { column } else { otherwise }
    }

    pub async fn rows(&self, sql: &str, arguments: &[Cell]) -> Result<Vec<Record>, RegistryError> {
        let records = match &self.pool {
            Pool::Sqlite(pool) => {
                let rows = bound!(sql, arguments).fetch_all(pool).await;
                rows.and_then(|rows| rows.iter().map(sqlite::record).collect())
            }
            Pool::Postgres(connection) => {
                let rows = bound!(sql, arguments).fetch_all(&mut *connection.lock().await).await;
                rows.and_then(|rows| rows.iter().map(postgres::record).collect())
            }
        };
        records.map_err(|error: sqlx::Error| MetadataError::from(error).into())
    }

    /// The rows of a query with `IN (IDS)`, for ids of any number.
    pub async fn rows_of(&self, sql: &str, ids: &[&str]) -> Result<Vec<Record>, RegistryError> {
        let mut records = Vec::new();
        for ids in ids.chunks(IDS) {
            let arguments: Vec<Cell> = ids.iter().map(|id| Cell::Text((*id).to_owned())).collect();
            records.extend(self.rows(&with_ids(sql, ids.len()), &arguments).await?);
        }
        Ok(records)
    }

    pub async fn count(&self, sql: &str) -> Result<u64, RegistryError> {
        let first = self.rows(sql, &[]).await?.into_iter().next();
        let [count] = first.map_or([Cell::Null], Record::cells);
        Ok(count.int().unsigned_abs())
    }
}
