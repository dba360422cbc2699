use std::path::Path;

use karat_core::ErrorKind;
use karat_metadata::MetadataError;
use parquet::errors::ParquetError;

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("`{uri}` is no place for a history: {problem}")]
    Location { uri: String, problem: &'static str },
    #[error("`{path}` is not a path of an artifact: {problem}")]
    ArtifactPath { path: String, problem: &'static str },
    #[error("there is no artifact `{path}`")]
    NoArtifact { path: String },
    #[error("artifacts under `{prefix}` exist already; artifacts are written once")]
    ArtifactsExist { prefix: String },
    #[error("{what} is being written by {holder} (its lock is {lock}): {advice}")]
    Locked { what: String, holder: String, lock: String, advice: &'static str },
    #[error("{path} is damaged: {problem}; restore it from a backup")]
    Corrupt { path: String, problem: String },
    /// None of the commits that the metadata names lies under this root.
    #[error(
        "{folder} has none of the commits of `{source_name}` that the metadata names: `stores.data` points elsewhere than when they were \
         written, or the folder is gone; metadata and data belong together, so an environment with its own `data` has its \
         own `metadata`, too"
    )]
    Elsewhere { source_name: String, folder: String },
    /// The files are of commits in another metadata database.
    #[error(
        "the histories in {folder} belong to another metadata database: metadata and data belong together, so an environment \
         with its own `stores.metadata` has its own `stores.data`, too (if this is their database all the same, an old backup \
         of it, remove {note}; if theirs is lost, move the folder away and ingest anew)"
    )]
    Foreign { folder: String, note: String },
    #[error("{path} has format version {found}, this Karat knows {known}: use the Karat that wrote it, or a later one")]
    Newer { path: String, found: u32, known: u32 },
    #[error("the history of `{source_name}` cannot give column `{column}` as {wanted}: commit {commit} holds {found}")]
    ColumnType { source_name: String, column: String, wanted: String, found: String, commit: u64 },
    #[error("history of `{source_name}`: {problem}")]
    Rows { source_name: String, problem: String },
    #[error("a record of {bytes} bytes is longer than the {limit} a log takes")]
    RecordTooLong { bytes: usize, limit: usize },
    #[error("the log {path} takes no more records since an earlier failure ({problem}): free the disk and restart")]
    LogFailed { path: String, problem: String },
    #[error("{path} could not become Parquet: {problem}; its records stay readable where they are")]
    Encode { path: String, problem: String },
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    Store { path: String, source: object_store::Error },
    #[error("{path}: {source}")]
    Parquet { path: String, source: ParquetError },
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl HistoryError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            HistoryError::Location { .. }
            | HistoryError::ArtifactPath { .. }
            | HistoryError::ColumnType { .. }
            | HistoryError::RecordTooLong { .. } => ErrorKind::Invalid,
            HistoryError::NoArtifact { .. } => ErrorKind::NotFound,
            HistoryError::ArtifactsExist { .. } | HistoryError::Locked { .. } => ErrorKind::Conflict,
            HistoryError::Corrupt { .. } | HistoryError::Elsewhere { .. } => ErrorKind::Corrupt,
            HistoryError::Newer { .. } | HistoryError::Foreign { .. } => ErrorKind::Refused,
            HistoryError::Rows { .. } | HistoryError::Encode { .. } | HistoryError::Parquet { .. } => {
                ErrorKind::Internal
            }
            HistoryError::LogFailed { .. } | HistoryError::Io { .. } | HistoryError::Store { .. } => {
                ErrorKind::Unavailable
            }
            HistoryError::Metadata(error) => error.kind(),
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> HistoryError {
        let path = path.display().to_string();
        move |source| HistoryError::Io { path, source }
    }

    /// What Parquet says about a file when it is not damage that it complains of: the store, or the disk, failed.
    /// Gives the error back when it is about the file.
    pub(crate) fn unavailable(path: &str, error: ParquetError) -> Result<HistoryError, ParquetError> {
        let path = path.to_owned();
        let ParquetError::External(inner) = error else { return Err(error) };
        let inner = match inner.downcast::<object_store::Error>() {
            Ok(source) => return Ok(HistoryError::Store { path, source: *source }),
            Err(inner) => inner,
        };
        match inner.downcast::<std::io::Error>() {
            Ok(source) => Ok(HistoryError::Io { path, source: *source }),
            Err(inner) => Err(ParquetError::External(inner)),
        }
    }

    pub(crate) fn corrupt(path: impl ToString, problem: impl ToString) -> HistoryError {
        HistoryError::Corrupt { path: path.to_string(), problem: problem.to_string() }
    }
}
