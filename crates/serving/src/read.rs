//! Features from online state.

use karat_core::{Digest, Instant, OnlineStore, StateOf, Value};
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

/// Features of keys from online states of one moment.
#[derive(Debug)]
pub struct Answers {
    /// The commit that they are known up to: the newest of the view's source that the states hold.
    pub commit: u64,
    /// In the order asked for.
    pub rows: Vec<Result<FeatureRow, FeatureError>>,
}

/// The features of keys, each as of an instant; `None` when the view was never materialized.
pub fn read_view(
    online: &dyn OnlineStore,
    view: &CompiledView,
    definition: &Digest,
    asked: &[(&[Value], Instant)],
) -> Result<Option<Answers>, ServingError> {
    let keys: Vec<Vec<u8>> = asked.iter().map(|(key, _)| encode_key(*key)).collect();
    let states: Vec<StateOf> = keys.iter().map(|key| StateOf { definition, key }).collect();
    let (mut of, mut rows) = (None, Vec::with_capacity(asked.len()));
    online.read_each(&states, &mut |place, note, state| {
        of.get_or_insert_with(|| StateNote::parse(note));
        rows.push(features(view, state, asked[place].1));
    })?;
    of.map(|note| Ok(Answers { commit: note?.commit, rows })).transpose()
}

fn features(view: &CompiledView, state: Option<&[u8]>, as_of: Instant) -> Result<FeatureRow, FeatureError> {
    match state {
        Some(state) => view.read(state, ReadAt::time(as_of)),
        None => view.read_empty(ReadAt::time(as_of)),
    }
}
