use karat_core::ErrorKind;

/// Why an expression does not compile, or did not evaluate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    #[error("`{sql}` is not an expression: {reason}")]
    Syntax { sql: String, reason: String },
    #[error("no column `{name}` in `{sql}`{hint}")]
    UnknownColumn { sql: String, name: String, hint: String },
    #[error("no function `{name}` in `{sql}`{hint}")]
    UnknownFunction { sql: String, name: String, hint: String },
    #[error("`{sql}` cannot be used: {reason}")]
    NotAllowed { sql: String, reason: String },
    #[error("`{sql}` does not fit together: {reason}")]
    Types { sql: String, reason: String },
    #[error("`{sql}` failed: {reason}")]
    Evaluate {
        sql: String,
        /// Counted from 0 in the batch that was evaluated.
        row: usize,
        reason: String,
    },
}

impl ExpressionError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    /// The row that failed, counted from 0 in the evaluated batch.
    pub fn row(&self) -> Option<usize> {
        match self {
            ExpressionError::Evaluate { row, .. } => Some(*row),
            _ => None,
        }
    }

    pub(super) fn evaluate(sql: &str, row: usize, reason: impl ToString) -> ExpressionError {
        ExpressionError::Evaluate { sql: sql.to_owned(), row, reason: clean(&reason.to_string()) }
    }

    pub(super) fn types(sql: &str, reason: impl ToString) -> ExpressionError {
        ExpressionError::Types { sql: sql.to_owned(), reason: clean(&reason.to_string()) }
    }
}

/// The reason without the layers of libraries it came through.
pub(super) fn clean(reason: &str) -> String {
    const LAYERS: [&str; 16] = [
        "Error during planning: ",
        "Execution error: ",
        "Optimizer rule 'optimize_projections' failed",
        "Arrow error: ",
        "External error: ",
        "Internal error: ",
        "SQL error: ",
        "Schema error: ",
        "Cast error: ",
        "Compute error: ",
        "Parser error: ",
        "Arithmetic overflow: ",
        "Invalid argument error: ",
        "This feature is not implemented: ",
        "type_coercion",
        "caused by",
    ];
    let first = reason.lines().find(|line| !line.trim().is_empty()).unwrap_or(reason);
    let first = first.rsplit(" user-defined coercion failed with: ").next().unwrap_or(first);
    let mut text = first.trim();
    while let Some(rest) = LAYERS.iter().find_map(|layer| text.strip_prefix(layer)) {
        text = rest.trim();
    }
    // "No function matches..." goes on with a candidate list on the next line, the rest with a plea to report a bug.
    let text = text.split(" You might need to add explicit type casts").next().unwrap_or(text);
    let text = text.split(".\nThis issue was likely caused").next().unwrap_or(text);
    if text.starts_with("Divide by zero") {
        return "division by zero".to_owned();
    }
    let text = text.strip_prefix("ParserError(\"").and_then(|text| text.strip_suffix("\")")).unwrap_or(text);
    text.trim_end_matches('.').to_owned()
}
