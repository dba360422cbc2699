//! A state of which only some keys have anything new: theirs are made anew of all their history, the others stay.
//!
//! What comes out is what making all of it anew would give, byte for byte. So it is not done where the newest event moves
//! a horizon: that moves in the states of keys, too, of which nothing came.

use anyhow::Result;
use futures::TryStreamExt;
use karat_core::{OnlineStore, StateOf};
use karat_features::{KeySet, Retention};
use karat_history::Snapshot;
use karat_serving::StateNote;

use super::state::{Wanted, is_little};
use crate::push::Anew;
use crate::{Unit, spill};

/// States asked for in one round trip.
const ASKED: usize = 512;

pub(super) enum Touched {
    /// The state is as of the snapshot, with so many keys made anew.
    BroughtUp(StateNote, u64),
    /// It takes all of it anew.
    TooMuch,
    /// Somebody else wrote meanwhile.
    Overtaken,
}

/// Brings the state that stands under a note up to a snapshot.
pub(super) async fn bring_up(of: &Wanted<'_>, noted: &Vec<u8>, snapshot: &Snapshot) -> Result<Touched> {
    let Wanted { workspace, view, horizon, .. } = *of;
    let note = StateNote::parse(noted)?;
    let since = snapshot.since(note.commit);
    if !(snapshot.first.max(1)..snapshot.commit).contains(&note.commit) || !is_little(&since, snapshot) {
        return Ok(Touched::TooMuch);
    }
    let mut keys = KeySet::new(view);
    let (mut newest, mut records) = (note.newest, note.records);
    let mut batches = since.stream(view.source_columns(), &view.hidden_columns(), None);
    while let Some(batch) = batches.try_next().await? {
        view.collect_keys(&mut keys, &batch)?;
        newest = view.newest_event(&batch)?.max(newest);
        records += batch.num_rows() as u64;
    }
    if newest != note.newest && view.retention(horizon)? != Retention::All {
        return Ok(Touched::TooMuch);
    }
    let states = if keys.is_empty() {
        Vec::new()
    } else {
        let stage = workspace.observer.begin(&format!("reading {}", of.name), snapshot.rows(), Unit::Rows);
        let anew = Anew { snapshot, view, horizon, newest, keys: &keys };
        let most = spill::most_events(workspace, spill::event_bytes(view, snapshot).await);
        let Some(states) = anew.states(most, stage.as_ref()).await? else {
            return Ok(Touched::TooMuch);
        };
        states
    };
    let online = workspace.online()?;
    tokio::task::block_in_place(|| {
        let changed = states.len() as u64;
        let keys = note.keys + new_keys(online.as_ref(), of, &states)?;
        let (commit, at) = (snapshot.commit, workspace.clock.now());
        let next = StateNote { commit, at, horizon, keys, records, newest };
        let mut entries = states.into_iter();
        Ok(match online.put_after(of.digest, noted, &next.to_bytes(), &mut entries)? {
            true => Touched::BroughtUp(next, changed),
            false => Touched::Overtaken,
        })
    })
}

/// How many of them have no state yet.
fn new_keys(online: &dyn OnlineStore, of: &Wanted<'_>, states: &[(Vec<u8>, Vec<u8>)]) -> Result<u64> {
    let mut new = 0;
    for some in states.chunks(ASKED) {
        let asked: Vec<StateOf<'_>> = some.iter().map(|(key, _)| StateOf { definition: of.digest, key }).collect();
        online.read_each(&asked, &mut |_, _, state| new += u64::from(state.is_none()))?;
    }
    Ok(new)
}
