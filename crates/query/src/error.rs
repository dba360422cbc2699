use karat_core::{ErrorKind, Name};

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The source's own file is at fault; `at` is the place in its YAML, such as `contract[2].column`.
    #[error("source `{name}`, {at}: {problem}")]
    Source { name: Name, at: String, problem: String },
    #[error("{path}: {problem}")]
    File { path: String, problem: String },
    #[error("{path}: {problem}")]
    NoFile { path: String, problem: String },
    #[error("{path}:{line}: {problem}")]
    Line { path: String, line: u64, problem: String },
    /// Somebody wrote to it, or took it away, while it was read.
    #[error("{path}: {problem}")]
    Changed { path: String, problem: String },
    #[error("{path}: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("{0}")]
    Sql(String),
    #[error(
        "source `{name}`: the key {key} comes twice in this full delivery ({first} and {second}); say which row stays \
         with `- {{check: unique, columns: [{columns}]}}` in the contract"
    )]
    DuplicateKey { name: Name, key: String, first: String, second: String, columns: String },
    /// `detail` is what is wrong with its rows, after a semicolon, or nothing.
    #[error(
        "source `{name}`: the delivery is refused: {reason}{detail}; `karat sources check {name}` shows every rule"
    )]
    Refused { name: Name, reason: String, detail: String },
    /// Its rows would be others than those of the history.
    #[error(
        "the definition of {name} changed since commit {commit} ({changes}): `karat sources ingest {name} --rebuild` \
         writes its history anew from what is delivered now; earlier decisions still replay, but what was known between \
         deliveries is then known from their own times only"
    )]
    Redefined { name: Name, commit: u64, changes: String },
    #[error("not enough memory for this query, even with disk: {0}; raise the engine's memory or read less at once")]
    Memory(String),
    #[error(transparent)]
    History(#[from] karat_history::HistoryError),
    /// What a table's rows could not be read for, as it was told on its way through a plan.
    #[error("{message}")]
    Reading { kind: ErrorKind, message: String },
    #[error("temporary files: {0}")]
    Temporary(std::io::Error),
    #[error("internal: {0}")]
    Internal(String),
}

impl QueryError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            QueryError::Source { .. }
            | QueryError::File { .. }
            | QueryError::NoFile { .. }
            | QueryError::Line { .. }
            | QueryError::Sql(_) => ErrorKind::Invalid,
            QueryError::Changed { .. } => ErrorKind::Conflict,
            QueryError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            QueryError::Io { .. } | QueryError::Temporary(_) | QueryError::Memory(_) => ErrorKind::Unavailable,
            QueryError::DuplicateKey { .. } | QueryError::Refused { .. } | QueryError::Redefined { .. } => {
                ErrorKind::Refused
            }
            QueryError::History(error) => error.kind(),
            QueryError::Reading { kind, .. } => *kind,
            QueryError::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Whether its message begins with the source, or with what of the source it is about.
    pub fn names_source(&self) -> bool {
        use QueryError::{DuplicateKey, Redefined, Refused, Source};
        matches!(self, Source { .. } | DuplicateKey { .. } | Refused { .. } | Redefined { .. })
    }

    pub(crate) fn source(name: &Name, at: impl Into<String>, problem: impl Into<String>) -> QueryError {
        QueryError::Source { name: name.clone(), at: at.into(), problem: problem.into() }
    }
}

impl From<arrow::error::ArrowError> for QueryError {
    fn from(error: arrow::error::ArrowError) -> QueryError {
        match error {
            arrow::error::ArrowError::IoError(_, error) => QueryError::Temporary(error),
            other => QueryError::Internal(other.to_string()),
        }
    }
}

impl From<datafusion::error::DataFusionError> for QueryError {
    fn from(error: datafusion::error::DataFusionError) -> QueryError {
        use datafusion::error::DataFusionError as E;
        match error.find_root() {
            E::ResourcesExhausted(text) => return QueryError::Memory(text.clone()),
            // What did not fit memory did not fit the disk either.
            E::IoError(error) => return QueryError::Temporary(std::io::Error::new(error.kind(), error.to_string())),
            E::External(inner) => {
                let reading =
                    |kind, error: &dyn std::error::Error| QueryError::Reading { kind, message: error.to_string() };
                if let Some(error) = inner.downcast_ref::<QueryError>() {
                    return reading(error.kind(), error);
                }
                if let Some(error) = inner.downcast_ref::<karat_history::HistoryError>() {
                    return reading(error.kind(), error);
                }
            }
            _ => {}
        }
        QueryError::Sql(tidy(&error.strip_backtrace()))
    }
}

/// DataFusion's message on one line, without the layers it went through.
fn tidy(message: &str) -> String {
    let mut text = message.trim();
    for layer in
        ["Error during planning: ", "Schema error: ", "SQL error: ", "Execution error: ", "type_coercion\ncaused by\n"]
    {
        text = text.strip_prefix(layer).unwrap_or(text);
    }
    let text = text.strip_prefix("ParserError(\"").and_then(|text| text.strip_suffix("\")")).unwrap_or(text);
    if text.contains("only supports a single SQL statement") {
        return "there are several statements: write one query".to_owned();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
