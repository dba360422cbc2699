//! The seam under online feature state.

use std::borrow::Cow;
use std::future::{Future, ready};
use std::pin::Pin;

use crate::{Digest, ErrorKind};

#[derive(Debug, Clone, thiserror::Error)]
#[error("online store: {message}")]
pub struct OnlineError {
    pub kind: ErrorKind,
    pub message: String,
}

/// Keys up to so many bytes are kept as they are; with a generation before it, one stays under LMDB's own 511 bytes.
pub const LONGEST_KEY: usize = 480;

/// What a key is kept as: a longer one as its beginning and its digest, a byte longer than any that is kept as it is.
pub fn kept_key(key: &[u8]) -> Cow<'_, [u8]> {
    if key.len() <= LONGEST_KEY {
        return Cow::Borrowed(key);
    }
    let digest = Digest::of(key);
    let digest = digest.as_str().as_bytes();
    Cow::Owned([&key[..=LONGEST_KEY - digest.len()], digest].concat())
}

/// What a definition's state was built from; the store keeps it beside the state and does not look inside.
pub type StateNote = Vec<u8>;

/// What a state begins with, where only its head is for those that answer: after this comes the head's length in bytes, counted
/// from the state's beginning, as a little-endian `u32`. What follows the head is for whoever changes the state.
pub const HEADED: [u8; 4] = *b"\x02KSH";

/// One batch of state, in any order of keys.
pub type StateEntries<'a> = &'a mut dyn Iterator<Item = (Vec<u8>, Vec<u8>)>;

/// What tells the note once all entries were taken, or why they were not all.
pub type TellNote<'a> = &'a mut dyn FnMut() -> Result<StateNote, OnlineError>;

/// What is called with a definition's note and the state of a key, if it has one; both are borrowed for the call.
pub type WithNoted<'a> = &'a mut dyn FnMut(&[u8], Option<&[u8]>);

/// A key under a definition.
#[derive(Debug, Clone, Copy)]
pub struct StateOf<'a> {
    pub definition: &'a Digest,
    pub key: &'a [u8],
}

/// What is called with a state's place among those asked for, its definition's note, and the state, if there is one.
pub type WithEach<'a> = &'a mut dyn FnMut(usize, &[u8], Option<&[u8]>);

/// States that were read before they are looked at, in the order they were asked for.
#[derive(Debug, Default)]
pub struct Fetched {
    notes: Vec<StateNote>,
    /// By place; none where the definition was never written.
    states: Vec<Option<FetchedState>>,
}

#[derive(Debug)]
struct FetchedState {
    note: usize,
    state: Option<Vec<u8>>,
}

/// What [`OnlineStore::fetch`] resolves by.
pub type Fetching<'s> = Pin<Box<dyn Future<Output = Result<Fetched, OnlineError>> + Send + 's>>;

impl Fetched {
    /// What `read` tells as [`OnlineStore::read_each`] does.
    pub fn of(read: impl FnOnce(WithEach<'_>) -> Result<(), OnlineError>) -> Result<Fetched, OnlineError> {
        let mut fetched = Fetched::default();
        read(&mut |place, note, state| {
            fetched.states.resize_with(place, || None);
            if fetched.notes.last().is_none_or(|last| last != note) {
                fetched.notes.push(note.to_vec());
            }
            let note = fetched.notes.len() - 1;
            fetched.states.push(Some(FetchedState { note, state: state.map(<[u8]>::to_vec) }));
        })?;
        Ok(fetched)
    }

    /// The states at the next places, all of a definition with this note; of one that was never written there is none.
    pub fn push(&mut self, note: Option<StateNote>, states: impl IntoIterator<Item = Option<Vec<u8>>>) {
        let note = note.map(|note| {
            self.notes.push(note);
            self.notes.len() - 1
        });
        self.states.extend(states.into_iter().map(|state| note.map(|note| FetchedState { note, state })));
    }

    /// The note and the state at a place, as [`OnlineStore::read_noted`] has them.
    pub fn get(&self, place: usize) -> Option<(&[u8], Option<&[u8]>)> {
        let FetchedState { note, state } = self.states.get(place)?.as_ref()?;
        Some((&self.notes[*note], state.as_deref()))
    }

    /// As [`OnlineStore::read_each`].
    pub fn each(&self, with: WithEach<'_>) {
        for place in 0..self.states.len() {
            if let Some((note, state)) = self.get(place) {
                with(place, note, state);
            }
        }
    }
}

/// Those of one definition that follow each other.
pub fn by_definition<'r, 's>(asked: &'r [StateOf<'s>]) -> impl Iterator<Item = &'r [StateOf<'s>]> {
    asked.chunk_by(|one, next| one.definition == next.definition)
}

/// Online feature state: opaque bytes under (definition digest, key).
///
/// Contract, held by one test suite on every back end:
/// - Reads see either all of a [`OnlineStore::put`] or nothing of it; readers never wait for a writer.
/// - What a `put` returned from survives a killed process.
/// - A key never written, or a definition never written, is simply absent: `read` calls nothing and returns `false`.
/// - `put` replaces; writing the same entries twice is writing them once.
/// - Keys are of any length; a scan tells what they are [kept as](kept_key).
/// - Writers of any number of threads and processes take turns; a killed one holds up the others for a bounded time.
/// - What is stored and is not what was written is [`ErrorKind::Corrupt`], a newer format [`ErrorKind::Refused`], a store
///   that does not answer [`ErrorKind::Unavailable`]; messages say where the store is and never its password.
pub trait OnlineStore: Send + Sync + std::fmt::Debug {
    /// Whether a read waits for a network: then callers on a thread that has others to answer [fetch](OnlineStore::fetch).
    fn is_remote(&self) -> bool {
        false
    }

    /// Calls `with` with the whole state of `key`, borrowed for the call, and says whether there was one.
    fn read(&self, definition: &Digest, key: &[u8], with: &mut dyn FnMut(&[u8])) -> Result<bool, OnlineError>;

    /// As [`OnlineStore::read_each`] for one state: `with` gets the definition's note and the key's state, if it has one. Calls
    /// nothing and returns `false` for a definition never written.
    fn read_noted(&self, definition: &Digest, key: &[u8], with: WithNoted<'_>) -> Result<bool, OnlineError> {
        let mut known = false;
        self.read_each(&[StateOf { definition, key }], &mut |_, note, state| {
            known = true;
            with(note, state);
        })?;
        Ok(known)
    }

    /// As [`OnlineStore::read_noted`] for several states, all of one moment and in one round trip: calls `with` for each
    /// whose definition was ever written, in the order given. Of a [`HEADED`] state no more than its head need come.
    fn read_each(&self, asked: &[StateOf<'_>], with: WithEach<'_>) -> Result<(), OnlineError>;

    /// As [`OnlineStore::read_each`], without keeping the thread where a network is waited for: within a Tokio runtime.
    fn fetch(&self, asked: &[StateOf<'_>]) -> Fetching<'_> {
        Box::pin(ready(Fetched::of(|with| self.read_each(asked, with))))
    }

    /// Writes `entries` and the note, all at once.
    fn put(&self, definition: &Digest, note: &StateNote, entries: StateEntries<'_>) -> Result<(), OnlineError>;

    /// As [`OnlineStore::put`] where the definition's note is still `expected`; else nothing is written, and the answer is
    /// `false`. So who read states under a note and made others of them knows that nobody wrote meanwhile.
    fn put_after(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError>;

    /// Empties the definition's state and fills it again; readers see the old state until this returns.
    fn replace(&self, definition: &Digest, note: &StateNote, entries: StateEntries<'_>) -> Result<(), OnlineError> {
        self.replace_with(definition, entries, &mut || Ok(note.clone()))
    }

    /// As [`OnlineStore::replace`] with the note that is told once all entries were taken; an error in its place leaves
    /// everything as it was. Nobody else writes from before
    /// the first entry is asked for until this returns; of entries with one key the last counts.
    fn replace_with(
        &self,
        definition: &Digest,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<(), OnlineError>;

    fn note(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError>;

    /// Every key of a definition in byte order, each with a whole state. Either of one moment, or with what was put
    /// meanwhile in parts; a definition replaced or dropped meanwhile is then an error, [`ErrorKind::Conflict`].
    fn scan(&self, definition: &Digest, with: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), OnlineError>;

    /// The definitions that have state, each with its number of keys.
    fn definitions(&self) -> Result<Vec<(Digest, u64)>, OnlineError>;

    /// The note of the state that is filled for a definition beside the one that readers have; `None` where none is.
    ///
    /// A large state is filled in parts: [`OnlineStore::begin_filling`], then [`OnlineStore::fill`] for each part, then
    /// [`OnlineStore::finish_filling`]. Between these others write, and the process may die: what a `fill` returned from stays,
    /// and whoever finds the note goes on. Readers, and every other method, see nothing of it until it is finished.
    /// `replace` and `drop_definition` of the definition forget it.
    fn filling(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError>;

    /// Begins an empty state under `note`, in place of what was filled until now, where that has still the note `expected`
    /// (`None`: nothing was). Else the answer is `false`.
    fn begin_filling(
        &self,
        definition: &Digest,
        expected: Option<&StateNote>,
        note: &StateNote,
    ) -> Result<bool, OnlineError>;

    /// Writes `entries` into the state that is filled and then its next note, where its note is still `expected`; else no
    /// entry is asked for, and the answer is `false`. Cut short it may leave some of the entries under the old note: they
    /// are to be written again.
    fn fill(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError>;

    /// As [`OnlineStore::replace_with`], of what was filled with `entries` over it, where its note is still `expected`; else
    /// no entry is asked for, and the answer is `false`.
    fn finish_filling(
        &self,
        definition: &Digest,
        expected: &StateNote,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<bool, OnlineError>;

    /// Forgets a definition's state and note. Not an error when there is none.
    fn drop_definition(&self, definition: &Digest) -> Result<(), OnlineError>;
}
