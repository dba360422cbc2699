use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};

use super::{Cell, PATIENCE, Record};
use crate::RegistryError;

/// Of every table.
pub(super) const COLUMNS: &str =
    "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";

/// The file of `sqlite:///PATH`. As SQLAlchemy reads it, that is a relative path, and `sqlite:////PATH` an absolute one;
/// either is taken where the file is.
pub(super) fn file(uri: &str) -> Result<PathBuf, RegistryError> {
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

pub(super) fn open(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(PATIENCE);
    SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options)
}

/// SQLite's values have their types each for itself, whatever their columns say.
pub(super) fn record(row: &SqliteRow) -> Result<Record, sqlx::Error> {
    let mut cells = Vec::with_capacity(row.len());
    for place in 0..row.len() {
        let raw = row.try_get_raw(place)?;
        cells.push(match raw.is_null() {
            true => Cell::Null,
            false => match raw.type_info().name() {
                "INTEGER" | "BOOLEAN" => Cell::Int(row.try_get_unchecked(place)?),
                "REAL" => Cell::Float(row.try_get_unchecked(place)?),
                _ => Cell::Text(row.try_get_unchecked(place)?),
            },
        });
    }
    Ok(Record(cells))
}
