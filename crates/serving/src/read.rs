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

    /// The features in a state of this view, and the commit that the note beside it names.
    pub(crate) fn fold(
        &self,
        note: &[u8],
        state: Option<&[u8]>,
        as_of: Instant,
    ) -> Result<(FeatureRow, u64), ServingError> {
        Ok((features(&self.view, state, as_of)?, self.last_note.commit(note)?))
    }
}

/// The features of one key as of an instant, from online state, and the commit they are known up to; `None` when the
/// view was never materialized. State and note are of one moment: the note says up to which commit the state is known.
pub fn read_view(
    online: &dyn OnlineStore,
    view: &CompiledView,
    definition: &Digest,
    key: &[Value],
    as_of: Instant,
) -> Result<Option<(FeatureRow, u64)>, ServingError> {
    let mut found: Option<(Result<FeatureRow, FeatureError>, Result<StateNote, ServingError>)> = None;
    online.read_noted(definition, &encode_key(key), &mut |note, state| {
        found = Some((features(view, state, as_of), StateNote::parse(note)));
    })?;
    match found {
        Some((row, note)) => Ok(Some((row?, note?.commit))),
        None => Ok(None),
    }
}

fn features(view: &CompiledView, state: Option<&[u8]>, as_of: Instant) -> Result<FeatureRow, FeatureError> {
    match state {
        Some(state) => view.read(state, ReadAt::time(as_of)),
        None => view.read_empty(ReadAt::time(as_of)),
    }
}
