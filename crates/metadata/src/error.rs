use std::path::PathBuf;
use std::time::Duration;

use karat_core::ErrorKind;

#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("metadata `{uri}`: {problem}")]
    Location { uri: String, problem: &'static str },
    #[error("cannot open the metadata database {}: {}", path.display(), said(source))]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("cannot create the folder of the metadata database {}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error(
        "the metadata database {} was written by a newer Karat (its schema is {found}, this one knows {known}): \
         use that Karat, or another `.karat` folder", path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("cannot migrate the metadata database {}: {source}", path.display())]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
    #[error("the metadata database stayed locked by another writer for {} s: try again", waited.as_secs())]
    Busy { waited: Duration },
    #[error("{0}")]
    Conflict(String),
    #[error("the metadata database holds what Karat did not write: {0}")]
    Corrupt(String),
    #[error("metadata database: {}", said(.0))]
    Sql(#[from] sqlx::Error),
}

impl MetadataError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            MetadataError::Location { .. } => ErrorKind::Invalid,
            MetadataError::Newer { .. } => ErrorKind::Refused,
            MetadataError::Busy { .. } => ErrorKind::Unavailable,
            MetadataError::Conflict(_) => ErrorKind::Conflict,
            MetadataError::Corrupt(_) => ErrorKind::Corrupt,
            MetadataError::Open { source, .. } | MetadataError::Sql(source) => kind_of(source),
            MetadataError::Folder { .. } => ErrorKind::Unavailable,
            MetadataError::Migrate { .. } => ErrorKind::Internal,
        }
    }
}

fn kind_of(error: &sqlx::Error) -> ErrorKind {
    use sqlx::error::ErrorKind as Sql;
    match error {
        sqlx::Error::Database(database) => match database.kind() {
            Sql::UniqueViolation => ErrorKind::Conflict,
            _ if primary_code(error).is_some_and(|code| [5, 6, 10, 13, 14].contains(&code)) => ErrorKind::Unavailable,
            _ if primary_code(error).is_some_and(|code| [11, 26].contains(&code)) => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

/// SQLite says no more than "disk I/O error" where there is no room for what lies beside the database.
fn said(error: &sqlx::Error) -> String {
    match primary_code(error) {
        Some(10) => format!("{error}: is the disk full?"),
        _ => error.to_string(),
    }
}

/// SQLite's primary result code: 5 busy, 6 locked, 10 I/O, 11 corrupt, 13 full, 14 cannot open, 26 not a database.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Whether another connection held a lock, so that trying again helps.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| code == 5 || code == 6)
}
