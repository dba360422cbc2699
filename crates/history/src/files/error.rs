use std::io;

use karat_core::ErrorKind;

use crate::remote::brief;

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("`{uri}` is no place for files: {problem}")]
    Location { uri: String, problem: &'static str },
    #[error("`{path}` is not a path of a file: {problem}")]
    Path { path: String, problem: &'static str },
    #[error("there is no file `{path}`")]
    Missing { path: String },
    #[error("`{path}` is a folder, not a file")]
    IsFolder { path: String },
    #[error("`{path}` names a folder where a file is, or the other way round")]
    Clash { path: String },
    #[error("`{path}`: a link there leads out of the folder")]
    LeadsOut { path: String },
    #[error("{place}: there is no such bucket; make it, or name another")]
    NoBucket { place: String },
    #[error("{place} lets us neither read nor write: {said}; are the store's credentials in the environment right?")]
    Denied { place: String, said: String },
    #[error("{place} does not answer: {said}")]
    Away { place: String, said: String },
    /// The store answered, and not as it should.
    #[error("{place}: {said}")]
    Refused { place: String, said: String },
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
}

impl FilesError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            FilesError::Location { .. }
            | FilesError::Path { .. }
            | FilesError::IsFolder { .. }
            | FilesError::Clash { .. }
            | FilesError::LeadsOut { .. } => ErrorKind::Invalid,
            FilesError::Missing { .. } | FilesError::NoBucket { .. } => ErrorKind::NotFound,
            FilesError::Denied { .. } => ErrorKind::Refused,
            FilesError::Away { .. } | FilesError::Io { .. } => ErrorKind::Unavailable,
            FilesError::Refused { .. } => ErrorKind::Internal,
        }
    }

    /// Of a call to the disk about a path.
    pub(super) fn disk(path: &str, source: io::Error) -> FilesError {
        use io::ErrorKind::*;
        let path = path.to_owned();
        match source.kind() {
            NotFound => FilesError::Missing { path },
            NotADirectory | IsADirectory | AlreadyExists | DirectoryNotEmpty | InvalidFilename => {
                FilesError::Clash { path }
            }
            _ => FilesError::Io { path, source },
        }
    }

    /// Of a bucket that was asked about something other than whether a file is there.
    pub(super) fn bucket(place: &str, error: &object_store::Error) -> FilesError {
        use object_store::Error::*;
        let (place, said) = (place.to_owned(), brief(error));
        match (error, status(error)) {
            (NotFound { .. }, _) | (_, Some(404)) => FilesError::NoBucket { place },
            (PermissionDenied { .. } | Unauthenticated { .. }, _) | (_, Some(401 | 403)) => {
                FilesError::Denied { place, said }
            }
            (Generic { .. }, Some(400..500)) => FilesError::Refused { place, said },
            // Where a machine of Amazon's would find its credentials, who has none otherwise is sent.
            (Generic { .. }, _) if said.contains("169.254.169.254") => {
                FilesError::Denied { place, said: format!("there are no credentials ({said})") }
            }
            (Generic { .. }, _) if said.contains("incorrectly configured region") => {
                FilesError::Refused { place, said }
            }
            (Generic { .. }, _) => FilesError::Away { place, said },
            _ => FilesError::Refused { place, said },
        }
    }
}

/// Which status was answered, as far as the message says: lists and deletions hide it in there.
fn status(error: &object_store::Error) -> Option<u16> {
    let said = error.to_string();
    let (_, rest) = said.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}
