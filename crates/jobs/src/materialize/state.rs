//! One view's state: left as it is, brought up to date, gone on with, or made anew.

use std::time::Instant as Stopwatch;

use anyhow::Result;
use karat_core::{Digest, Name, Window};
use karat_features::CompiledView;
use karat_history::Snapshot;
use karat_serving::StateNote;

use super::filling::Begun;
use super::touched::{self, Touched};
use super::{Materialized, Resumed, divided, held};
use crate::push::{Follower, LiveView, Tools};
use crate::{Workspace, reading, spill};

/// The state that is to be there.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub workspace: &'a Workspace,
    pub name: &'a Name,
    pub view: &'a CompiledView,
    pub digest: &'a Digest,
    pub horizon: Option<Window>,
}

/// A state that was made.
pub(super) struct Built {
    pub note: StateNote,
    pub resumed: Option<Resumed>,
}

/// How a state came to be as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Found,
    /// It took in what was pushed.
    Followed,
    /// So many keys were made anew.
    Changed(u64),
    Anew(Option<Resumed>),
}

pub(super) async fn one(of: &Wanted<'_>) -> Result<Materialized> {
    let begun = Stopwatch::now();
    let (workspace, online) = (of.workspace, of.workspace.online()?);
    let told = |note: StateNote, how: How| Materialized {
        view: of.name.clone(),
        definition: of.digest.clone(),
        keys: note.keys,
        records: note.records,
        commit: note.commit,
        built: how != How::Found,
        seconds: begun.elapsed().as_secs_f64(),
        resumed: if let How::Anew(resumed) = how { resumed } else { None },
        changed: if let How::Changed(keys) = how { Some(keys) } else { None },
    };
    loop {
        let mut snapshot = reading::snapshot(workspace, &of.view.definition().source, None).await?;
        if let Some(noted) = online.note(of.digest)? {
            let note = StateNote::parse(&noted)?;
            if note.horizon == of.horizon && note.commit > snapshot.commit {
                // It follows what is pushed, and the snapshot is of a moment before.
                snapshot = reading::snapshot(workspace, &of.view.definition().source, None).await?;
            }
            if note.horizon == of.horizon && note.commit == snapshot.commit {
                return Ok(told(note, How::Found));
            }
            if note.horizon == of.horizon && follows(&note, &snapshot) {
                let live = LiveView { name: of.name.clone(), digest: of.digest.clone(), view: of.view.clone() };
                let tools = Tools::of(workspace, &snapshot.source)?;
                let (source, commit) = (&snapshot.source, snapshot.commit);
                let follower = Follower { tools: &tools, source, commit, records: &[] };
                tokio::task::block_in_place(|| follower.bring_up(&live))?;
                if let Some(note) = online.note(of.digest)? {
                    return Ok(told(StateNote::parse(&note)?, How::Followed));
                }
            }
            if note.horizon == of.horizon {
                match touched::bring_up(of, &noted, &snapshot).await? {
                    Touched::BroughtUp(note, keys) => return Ok(told(note, How::Changed(keys))),
                    Touched::Overtaken => continue,
                    Touched::TooMuch => {}
                }
            }
        }
        match anew(of, &snapshot).await? {
            // What was begun before may be of an older commit, and more have come since than its end took in.
            Some(Built { note, resumed }) if note.commit >= snapshot.commit => {
                return Ok(told(note, How::Anew(resumed)));
            }
            // Or somebody else is filling it, too.
            Some(_) | None => {}
        }
    }
}

/// Whether a state needs no more than the little that was pushed since it was made.
fn follows(note: &StateNote, snapshot: &Snapshot) -> bool {
    let since = snapshot.since(note.commit);
    note.commit >= snapshot.first && note.commit < snapshot.commit && since.is_pushed() && is_little(&since, snapshot)
}

/// Whether what came since a commit is but a little of it all.
pub(super) fn is_little(since: &Snapshot, all: &Snapshot) -> bool {
    since.rows() <= all.rows() / LITTLE
}

/// The share of a history that is little.
const LITTLE: u64 = 8;

/// Makes the state of all history, or of the rest of it where that was begun. `None` where somebody else changed what was
/// begun meanwhile.
async fn anew(of: &Wanted<'_>, snapshot: &Snapshot) -> Result<Option<Built>> {
    let event_bytes = spill::event_bytes(of.view, snapshot).await;
    let bytes = snapshot.rows().saturating_mul(event_bytes);
    let parts = |at_once| spill::parts(of.workspace, bytes, at_once);
    match Begun::look(of, snapshot, parts(1)).await? {
        Begun::GoOn(begun) => divided::go_on(of, *begun, event_bytes).await,
        Begun::Anew(_) if parts(1) == 1 => Ok(Some(held::fill(of, snapshot, event_bytes).await?)),
        Begun::Anew(before) => {
            let parts = parts(divided::at_once());
            divided::begin(of, snapshot, parts, event_bytes, before.as_ref()).await
        }
    }
}
