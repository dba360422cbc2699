use karat_core::{ErrorKind, nearest};
use karat_metadata::MetadataError;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The caller's words are off.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    /// Understood and not allowed; the message says what would make it so.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl RegistryError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            RegistryError::Invalid(_) => ErrorKind::Invalid,
            RegistryError::NotFound(_) => ErrorKind::NotFound,
            RegistryError::Conflict(_) => ErrorKind::Conflict,
            RegistryError::Refused(_) => ErrorKind::Refused,
            RegistryError::Metadata(error) => error.kind(),
        }
    }

    /// `there is no KIND `NAME``, with the nearest of those there are.
    pub(crate) fn no_such<'a>(kind: &str, name: &str, there_are: impl IntoIterator<Item = &'a str>) -> RegistryError {
        RegistryError::NotFound(match nearest(name, there_are) {
            Some(near) => format!("there is no {kind} `{name}`; did you mean `{near}`?"),
            None => format!("there is no {kind} `{name}`"),
        })
    }
}
