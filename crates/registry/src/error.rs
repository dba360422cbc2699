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

/// So many names are listed where none of them is near.
const LISTED: usize = 12;

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

    /// `there is no KIND `NAME``, with the nearest of those there are, or all of them where they are few.
    pub(crate) fn no_such<'a>(kind: &str, name: &str, there_are: impl IntoIterator<Item = &'a str>) -> RegistryError {
        let there_are: Vec<&str> = there_are.into_iter().collect();
        RegistryError::NotFound(match nearest(name, there_are.iter().copied()) {
            Some(near) => format!("there is no {kind} `{name}`; did you mean `{near}`?"),
            None if (1..=LISTED).contains(&there_are.len()) => {
                let verb = if there_are.len() == 1 { "is" } else { "are" };
                format!("there is no {kind} `{name}`; there {verb} {}", there_are.join(", "))
            }
            None => format!("there is no {kind} `{name}`"),
        })
    }
}
