//! What came into a history while a state was made of it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use karat_history::Snapshot;
use karat_serving::StateNote;
use tokio::runtime::Handle;

use super::state::Wanted;
use crate::push::caught_up;
use crate::spill;

/// The note of a state of a snapshot, which moves on with what came since.
pub(super) struct Later<'a> {
    of: Wanted<'a>,
    snapshot: &'a Snapshot,
    /// About what an event takes.
    event_bytes: u64,
    pub note: RefCell<StateNote>,
}

impl<'a> Later<'a> {
    pub fn new(of: Wanted<'a>, snapshot: &'a Snapshot, event_bytes: u64, note: StateNote) -> Later<'a> {
        Later { of, snapshot, event_bytes, note: RefCell::new(note) }
    }

    /// The states that changed since, for as long as more comes: to be asked for while nobody else writes, so that whoever
    /// takes pushes goes on from the note.
    pub fn states(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let (of, mut note) = (&self.of, self.note.borrow_mut());
        let most = spill::most_events(of.workspace, self.event_bytes);
        let mut found = BTreeMap::new();
        loop {
            let mut further = note.clone();
            let looking = caught_up(&of.workspace.history, of.view, note.horizon, self.snapshot, &mut further, most);
            match Handle::current().block_on(looking) {
                Ok(states) if further.commit > note.commit => {
                    found.extend(states);
                    *note = further;
                }
                Ok(_) => break,
                // What was made until then is whole; whoever takes pushes goes on from there.
                Err(error) => {
                    let (digest, error) = (of.digest, format!("{error:#}"));
                    tracing::warn!(%digest, error, "what was pushed meanwhile is not in yet");
                    break;
                }
            }
        }
        found
    }
}
