use std::sync::Arc;

use arc_swap::ArcSwapOption;
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
    /// The newest event among them, from which the horizon is counted; `None` of records of facts, and of older Karats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Instant>,
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

/// The note that stood beside a view's state last time: it changes with a materialization, and is read with every key.
#[derive(Debug, Default)]
pub struct LastNote(ArcSwapOption<(Box<[u8]>, StateNote)>);

impl LastNote {
    /// The commit the note names; parsed only where the note is another than last time.
    pub(crate) fn commit(&self, bytes: &[u8]) -> Result<u64, ServingError> {
        if let Some(last) = self.0.load().as_deref()
            && *last.0 == *bytes
        {
            return Ok(last.1.commit);
        }
        let note = StateNote::parse(bytes)?;
        let commit = note.commit;
        self.0.store(Some(Arc::new((bytes.into(), note))));
        Ok(commit)
    }
}
