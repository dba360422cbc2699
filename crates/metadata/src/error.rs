use std::path::PathBuf;
use std::time::Duration;

use karat_core::ErrorKind;
use sqlx::postgres::PgDatabaseError;

use crate::postgres::PLAN_OUTDATED;
use crate::sqlite;

#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("metadata `{shown}`: {problem}")]
    Location { shown: String, problem: &'static str },
    #[error("cannot open the metadata database {place}: {source}")]
    Open { place: String, source: DatabaseError },
    #[error("cannot create the folder of the metadata database {}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error(
        "the metadata database {place} was written by a newer Karat (its schema is {found}, this one knows {known}): \
         use that Karat, or another database"
    )]
    Newer { place: String, found: i64, known: i64 },
    #[error(
        "the metadata database {place} keeps text as {encoding}: make one with `createdb --encoding UTF8 --template template0 NAME`"
    )]
    Encoding { place: String, encoding: String },
    #[error("cannot bring the metadata database {place} forward to {version} ({description}): {source}")]
    Migrate { place: String, version: i64, description: String, source: Box<MetadataError> },
    #[error("the metadata database {place} was brought to {version} by other statements than this Karat's")]
    Migrated { place: String, version: i64 },
    #[error("the metadata database stayed locked by another writer for {} s: try again", waited.as_secs())]
    Busy { waited: Duration },
    #[error("every connection to the metadata database was in use for {} s: try again", waited.as_secs())]
    Crowded { waited: Duration },
    #[error("the metadata database gave up the transaction, and nothing of it is written: is the disk full?")]
    Ended,
    #[error("the metadata database {place} did not answer within {} s: does its server run, and can it be reached from here?", waited.as_secs())]
    Away { place: String, waited: Duration },
    #[error("{0}")]
    Conflict(String),
    #[error("text with a NUL character cannot be kept in PostgreSQL")]
    Nul,
    #[error("the metadata database holds what Karat did not write: {0}")]
    Corrupt(String),
    #[error("metadata database: {0}")]
    Sql(#[from] DatabaseError),
}

/// In the database's words, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{}", sqlite_said(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}", postgres_said(.0))]
    Postgres(#[from] sqlx::Error),
}

impl From<rusqlite::Error> for MetadataError {
    fn from(error: rusqlite::Error) -> MetadataError {
        MetadataError::Sql(error.into())
    }
}

impl From<sqlx::Error> for MetadataError {
    fn from(error: sqlx::Error) -> MetadataError {
        MetadataError::Sql(error.into())
    }
}

impl MetadataError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            MetadataError::Location { .. } | MetadataError::Nul => ErrorKind::Invalid,
            MetadataError::Newer { .. } | MetadataError::Encoding { .. } => ErrorKind::Refused,
            MetadataError::Busy { .. }
            | MetadataError::Crowded { .. }
            | MetadataError::Ended
            | MetadataError::Away { .. }
            | MetadataError::Folder { .. } => ErrorKind::Unavailable,
            MetadataError::Conflict(_) => ErrorKind::Conflict,
            MetadataError::Corrupt(_) => ErrorKind::Corrupt,
            MetadataError::Open { source, .. } | MetadataError::Sql(source) => source.kind(),
            MetadataError::Migrate { source, .. } => source.kind(),
            MetadataError::Migrated { .. } => ErrorKind::Refused,
        }
    }
}

impl DatabaseError {
    fn kind(&self) -> ErrorKind {
        match self {
            DatabaseError::Sqlite(error) => match sqlite::code(error) {
                Some(5 | 6 | 10 | 13 | 14) => ErrorKind::Unavailable,
                Some(11 | 26) => ErrorKind::Corrupt,
                // Two rows of one key.
                Some(19) if matches!(error.sqlite_error().map(|error| error.extended_code), Some(1555 | 2067)) => {
                    ErrorKind::Conflict
                }
                None if matches!(error, rusqlite::Error::Utf8Error(..)) => ErrorKind::Corrupt,
                _ => ErrorKind::Internal,
            },
            DatabaseError::Postgres(error) => kind_of(error),
        }
    }
}

fn kind_of(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Database(database) if database.is_unique_violation() => ErrorKind::Conflict,
        sqlx::Error::Database(_) => match sqlstate(error) {
            // The caller's text is too long for an index.
            Some("54000") => ErrorKind::Invalid,
            Some("28000" | "28P01" | "3D000" | "42501") => ErrorKind::Refused,
            Some(PLAN_OUTDATED | "25006" | "25P03" | "40001" | "40P01" | "55P03") => ErrorKind::Unavailable,
            Some(state) if ["08", "53", "57"].contains(&&state[..2]) => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    }
}

fn sqlite_said(error: &rusqlite::Error) -> String {
    let words = match error {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words.clone(),
        other => other.to_string(),
    };
    match sqlite::code(error) {
        // SQLite says no more than "disk I/O error" where there is no room for what lies beside the database.
        Some(10) => format!("{words}: is the disk full?"),
        _ => words,
    }
}

fn postgres_said(error: &sqlx::Error) -> String {
    let words = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let advice = match (error, sqlstate(error)) {
        (sqlx::Error::Io(_), _) => "does its server run, and can it be reached from here?",
        (_, Some(PLAN_OUTDATED)) => "a newer Karat brought the tables forward; try again",
        (_, Some("28000" | "28P01")) => "check user and password in `stores.metadata` of karat.yaml",
        (_, Some("3D000")) => "make it with `createdb --encoding UTF8 NAME`",
        (_, Some("42501")) => "its user needs to own the database, or `GRANT CREATE, USAGE ON SCHEMA public TO …`",
        (_, Some("25006")) => "it only reads, as a standby does: name the server that writes",
        (_, Some("53300")) => "raise its `max_connections`, or run fewer processes",
        (_, Some("54000")) => "the text is too long for what it is",
        (_, Some(state)) if state.starts_with("57P") || state.starts_with("08") => "try again when its server is up",
        _ => return words,
    };
    format!("{words}: {advice}")
}

/// PostgreSQL's five letters (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}
