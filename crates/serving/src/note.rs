use karat_core::{Instant, Window};
use serde::{Deserialize, Serialize};

use crate::ServingError;

/// What a view's online state was built from, kept beside it in the online store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateNote {
    /// The newest commit of the view's source that the state holds.
    pub commit: u64,
    /// When it was built.
    pub at: Instant,
    /// How far back single events are kept; `None`: all.
    pub horizon: Option<Window>,
    pub keys: u64,
    /// Records of history it was built from.
    pub records: u64,
}

impl StateNote {
    pub fn parse(bytes: &[u8]) -> Result<StateNote, ServingError> {
        serde_json::from_slice(bytes)
            .map_err(|e| ServingError::Inconsistent(format!("the note beside online state is not readable: {e}")))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note serialises to JSON")
    }
}
