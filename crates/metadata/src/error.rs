use std::path::PathBuf;
use std::time::Duration;

use karat_core::ErrorKind;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::postgres::PLAN_OUTDATED;

#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("metadata `{shown}`: {problem}")]
    Location { shown: String, problem: &'static str },
    #[error("cannot open the metadata database {place}: {}", said(source))]
    Open { place: String, source: sqlx::Error },
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
    #[error("cannot migrate the metadata database {place}: {}", said_of_migration(source))]
    Migrate { place: String, source: MigrateError },
    #[error("the metadata database stayed locked by another writer for {} s: try again", waited.as_secs())]
    Busy { waited: Duration },
    #[error("the metadata database {place} did not answer within {} s: does its server run, and can it be reached from here?", waited.as_secs())]
    Away { place: String, waited: Duration },
    #[error("{0}")]
    Conflict(String),
    #[error("text with a NUL character cannot be kept in PostgreSQL")]
    Nul,
    #[error("the metadata database holds what Karat did not write: {0}")]
    Corrupt(String),
    #[error("metadata database: {}", said(.0))]
    Sql(#[from] sqlx::Error),
}

impl MetadataError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            MetadataError::Location { .. } | MetadataError::Nul => ErrorKind::Invalid,
            MetadataError::Newer { .. } | MetadataError::Encoding { .. } => ErrorKind::Refused,
            MetadataError::Busy { .. } | MetadataError::Away { .. } => ErrorKind::Unavailable,
            MetadataError::Conflict(_) => ErrorKind::Conflict,
            MetadataError::Corrupt(_) => ErrorKind::Corrupt,
            MetadataError::Open { source, .. } | MetadataError::Sql(source) => kind_of(source),
            MetadataError::Folder { .. } => ErrorKind::Unavailable,
            MetadataError::Migrate { .. } => ErrorKind::Internal,
        }
    }
}

fn kind_of(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Database(database) if database.is_unique_violation() => ErrorKind::Conflict,
        sqlx::Error::Database(_) => match (sqlite_code(error), sqlstate(error)) {
            (Some(5 | 6 | 10 | 13 | 14), _) => ErrorKind::Unavailable,
            (Some(11 | 26), _) => ErrorKind::Corrupt,
            // The caller's text is too long for an index.
            (_, Some("54000")) => ErrorKind::Invalid,
            (_, Some("28000" | "28P01" | "3D000" | "42501")) => ErrorKind::Refused,
            (_, Some(PLAN_OUTDATED | "25006" | "25P03" | "40001" | "40P01" | "55P03")) => ErrorKind::Unavailable,
            (_, Some(state)) if ["08", "53", "57"].contains(&&state[..2]) => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    }
}

/// In the database's words, and what to do.
fn said(error: &sqlx::Error) -> String {
    let words = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let advice = match (error, sqlite_code(error), sqlstate(error)) {
        // SQLite says no more than "disk I/O error" where there is no room for what lies beside the database.
        (_, Some(10), _) => "is the disk full?",
        (sqlx::Error::Io(_), ..) => "does its server run, and can it be reached from here?",
        (.., Some(PLAN_OUTDATED)) => "a newer Karat brought the tables forward; try again",
        (.., Some("28000" | "28P01")) => "check user and password in `stores.metadata` of karat.yaml",
        (.., Some("3D000")) => "make it with `createdb --encoding UTF8 NAME`",
        (.., Some("42501")) => "its user needs to own the database, or `GRANT CREATE, USAGE ON SCHEMA public TO …`",
        (.., Some("25006")) => "it only reads, as a standby does: name the server that writes",
        (.., Some("53300")) => "raise its `max_connections`, or run fewer processes",
        (.., Some("54000")) => "the text is too long for what it is",
        (.., Some(state)) if state.starts_with("57P") || state.starts_with("08") => "try again when its server is up",
        _ => return words,
    };
    format!("{words}: {advice}")
}

fn said_of_migration(error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => said(error),
        other => other.to_string(),
    }
}

/// SQLite's primary result code: 5 busy, 6 locked, 10 I/O, 11 corrupt, 13 full, 14 cannot open, 26 not a database.
fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    let extended: i32 = sqlx::error::DatabaseError::code(error)?.parse().ok()?;
    Some(extended & 0xff)
}

/// PostgreSQL's five letters (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}

/// Whether another connection of SQLite held a lock, so that trying again helps.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    sqlite_code(error).is_some_and(|code| code == 5 || code == 6)
}
