use std::fmt;

use karat_core::{DataType, Digest, ErrorKind};

/// Why a model cannot be read or used. Every message names the place and, where there is one, the next step.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The trees' text breaks LightGBM's own rules.
    #[error("the trees' text, {place}, `{field}`: {problem}")]
    Text { place: Place, field: &'static str, problem: String },
    /// A valid LightGBM model that this version cannot score.
    #[error("{0}")]
    Unsupported(String),
    /// Contributions need how many training rows reached each node.
    #[error(
        "tree {tree} cannot be explained: {problem}; train the model with Karat or keep LightGBM's counts in its text"
    )]
    Unexplainable { tree: usize, problem: String },
    #[error("the model has no `{0}`; its folder is incomplete, take it again from where it was trained")]
    MissingFile(&'static str),
    #[error("`model.json` cannot be read: {0}")]
    Document(String),
    #[error("the model is of format {found}, this version reads up to {newest}; upgrade Karat")]
    NewerFormat { found: u32, newest: u32 },
    #[error(
        "the model's files were changed after it was written: `model.json` says digest {stored}, its content gives {actual}"
    )]
    DigestMismatch { stored: Digest, actual: Digest },
    #[error("the signature does not fit: {0}")]
    Signature(String),
    #[error("the threshold {0} is not a probability between 0 and 1")]
    Threshold(f64),
    #[error("a row has {found} values, the model takes {wanted}")]
    RowWidth { found: usize, wanted: usize },
    #[error("`{input}` takes {} or null, not {found}", .wanted.with_article())]
    WrongType { input: String, wanted: DataType, found: DataType },
}

/// Where in the trees' text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Header,
    Tree(usize),
}

impl ModelError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            ModelError::Text { .. }
            | ModelError::Unsupported(_)
            | ModelError::Unexplainable { .. }
            | ModelError::Signature(_)
            | ModelError::Threshold(_)
            | ModelError::RowWidth { .. }
            | ModelError::WrongType { .. } => ErrorKind::Invalid,
            ModelError::NewerFormat { .. } => ErrorKind::Refused,
            ModelError::MissingFile(_) | ModelError::Document(_) | ModelError::DigestMismatch { .. } => {
                ErrorKind::Corrupt
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Header => f.write_str("header"),
            Place::Tree(index) => write!(f, "tree {index}"),
        }
    }
}
