//! Somebody else's database: opened to read, its columns looked up, its values taken as they come.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, TypeInfo as _, ValueRef as _};

use crate::RegistryError;
use crate::import::with_ids;

/// How long a lock of the server that owns the database is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Database {
    pool: SqlitePool,
    columns: BTreeMap<String, BTreeSet<String>>,
}

/// A value as the database holds it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
}

/// The values of a row, in the order in which they were asked for.
pub(super) struct Record(Vec<Cell>);

impl Database {
    /// The file of `sqlite:///PATH`. As SQLAlchemy reads it, that is a relative path, and `sqlite:////PATH` an absolute one;
    /// either is taken where the file is.
    pub fn file(uri: &str) -> Result<PathBuf, RegistryError> {
        let (rest, candidates) = match uri.strip_prefix("sqlite://") {
            Some(rest) => (rest, [rest.strip_prefix('/').unwrap_or(rest), rest]),
            None => (uri, [uri, uri]),
        };
        let file = candidates.into_iter().map(Path::new).find(|path| path.is_file());
        match file {
            Some(file) => Ok(file.canonicalize().unwrap_or_else(|_| file.to_owned())),
            None => Err(RegistryError::NotFound(format!(
                "there is no file {rest}: give the path of the server's database, as in its --backend-store-uri \
                 (sqlite:////srv/mlflow/mlflow.db)"
            ))),
        }
    }

    pub async fn open(file: &Path) -> Result<Database, RegistryError> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        let query =
            "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";
        let mut database = Database { pool, columns: BTreeMap::new() };
        let columns = database.rows(query, &[]).await.map_err(|error| {
            RegistryError::Invalid(format!("{} cannot be read as a SQLite database: {error}", file.display()))
        })?;
        for record in columns {
            let [table, column] = record.cells();
            database.columns.entry(table.text()).or_default().insert(column.text());
        }
        Ok(database)
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
        let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        for argument in arguments {
            query = match argument {
                Cell::Null => query.bind(None::<i64>),
                Cell::Int(value) => query.bind(*value),
                Cell::Float(value) => query.bind(*value),
                Cell::Text(value) => query.bind(value.clone()),
            };
        }
        let rows = query.fetch_all(&self.pool).await.map_err(unread)?;
        rows.iter().map(record).collect()
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
        Ok(first.and_then(|record| record.0.first().map(Cell::int)).unwrap_or_default().unsigned_abs())
    }
}

/// Ids a statement.
const IDS: usize = 500;

impl Record {
    /// As many as were asked for.
    pub fn cells<const N: usize>(self) -> [Cell; N] {
        let mut cells = self.0.into_iter();
        std::array::from_fn(|_| cells.next().unwrap_or(Cell::Null))
    }
}

impl Cell {
    pub fn text(self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Int(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Text(value) => value,
        }
    }

    pub fn optional_text(self) -> Option<String> {
        (self != Cell::Null).then(|| self.text())
    }

    /// 0 where there is none.
    pub fn int(&self) -> i64 {
        self.optional_int().unwrap_or_default()
    }

    pub fn optional_int(&self) -> Option<i64> {
        match self {
            Cell::Null => None,
            Cell::Int(value) => Some(*value),
            Cell::Float(value) => Some(*value as i64),
            Cell::Text(value) => value.parse().ok(),
        }
    }

    pub fn float(&self) -> f64 {
        match self {
            Cell::Null => 0.0,
            Cell::Int(value) => *value as f64,
            Cell::Float(value) => *value,
            Cell::Text(value) => value.parse().unwrap_or(f64::NAN),
        }
    }
}

/// SQLite's values have their types each for itself, whatever their columns say.
fn record(row: &SqliteRow) -> Result<Record, RegistryError> {
    let mut cells = Vec::with_capacity(row.len());
    for place in 0..row.len() {
        let raw = row.try_get_raw(place).map_err(unread)?;
        cells.push(match raw.is_null() {
            true => Cell::Null,
            false => match raw.type_info().name() {
                "INTEGER" | "BOOLEAN" => Cell::Int(row.try_get_unchecked(place).map_err(unread)?),
                "REAL" => Cell::Float(row.try_get_unchecked(place).map_err(unread)?),
                _ => Cell::Text(row.try_get_unchecked(place).map_err(unread)?),
            },
        });
    }
    Ok(Record(cells))
}

fn unread(error: sqlx::Error) -> RegistryError {
    RegistryError::Metadata(error.into())
}
