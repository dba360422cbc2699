//! One key's features from online state.

use karat_core::{Digest, Instant, OnlineStore, Value};
use karat_features::{CompiledView, FeatureError, FeatureRow, ReadAt, encode_key};

use crate::note::LastNote;
use crate::{ServingError, StateNote};

/// A view as it is read: compiled, under the digest its state lies under.
#[derive(Debug)]
pub struct ReadView {
    pub view: CompiledView,
    pub definition: Digest,
    last_note: LastNote,
}

impl ReadView {
    pub fn new(view: CompiledView, definition: Digest) -> ReadView {
        ReadView { view, definition, last_note: LastNote::default() }
    }

    /// As [`read_view`], of a key as [`encode_key`] writes it.
    pub(crate) fn read_encoded(
        &self,
        online: &dyn OnlineStore,
        key: &[u8],
        as_of: Instant,
    ) -> Result<Option<(FeatureRow, u64)>, ServingError> {
        read(online, &self.view, &self.definition, key, as_of, |note| self.last_note.commit(note))
    }

    /// As [`read_view`].
    pub fn read(
        &self,
        online: &dyn OnlineStore,
        key: &Value,
        as_of: Instant,
    ) -> Result<Option<(FeatureRow, u64)>, ServingError> {
        self.read_encoded(online, &encode_key(std::slice::from_ref(key)), as_of)
    }
}

/// The features of one key as of an instant, from online state, and the commit they are known up to; `None` when the
/// view was never materialized.
pub fn read_view(
    online: &dyn OnlineStore,
    view: &CompiledView,
    definition: &Digest,
    key: &Value,
    as_of: Instant,
) -> Result<Option<(FeatureRow, u64)>, ServingError> {
    let commit = |note: &[u8]| StateNote::parse(note).map(|note| note.commit);
    read(online, view, definition, &encode_key(std::slice::from_ref(key)), as_of, commit)
}

/// State and note are of one moment: the note says up to which commit the state is known.
fn read(
    online: &dyn OnlineStore,
    view: &CompiledView,
    definition: &Digest,
    key: &[u8],
    as_of: Instant,
    commit: impl Fn(&[u8]) -> Result<u64, ServingError>,
) -> Result<Option<(FeatureRow, u64)>, ServingError> {
    let mut found: Option<(Result<FeatureRow, FeatureError>, Result<u64, ServingError>)> = None;
    online.read_noted(definition, key, &mut |note, state| {
        let row = match state {
            Some(state) => view.read(state, ReadAt::time(as_of)),
            None => view.read_empty(ReadAt::time(as_of)),
        };
        found = Some((row, commit(note)));
    })?;
    match found {
        Some((row, commit)) => Ok(Some((row?, commit?))),
        None => Ok(None),
    }
}
