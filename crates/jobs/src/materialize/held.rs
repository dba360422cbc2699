//! The state of a history that fits in memory: made at once, and written at once.

use anyhow::Result;
use futures::TryStreamExt;
use karat_features::StateBuilder;
use karat_history::Snapshot;
use karat_serving::StateNote;

use super::later::Later;
use super::state::{Built, Wanted};
use crate::Unit;

/// Keys told of at once.
const KEYS: u64 = 1024;

/// Writes the states of a snapshot, and over them those of what was pushed since: nobody else writes meanwhile, so what is
/// pushed from then on follows.
pub(super) async fn fill(of: &Wanted<'_>, snapshot: &Snapshot, event_bytes: u64) -> Result<Built> {
    let Wanted { workspace, view, horizon, .. } = *of;
    let stage = workspace.observer.begin(&format!("reading {}", of.name), snapshot.rows(), Unit::Rows);
    let mut builder = StateBuilder::new(view, view.retention(horizon)?);
    let mut batches = snapshot.stream(view.source_columns(), &view.hidden_columns(), None);
    let mut records = 0;
    while let Some(batch) = batches.try_next().await? {
        records += batch.num_rows() as u64;
        stage.advance(batch.num_rows() as u64);
        builder.push(&batch)?;
    }
    drop(stage);
    tokio::task::block_in_place(|| {
        let states = builder.finish();
        let (commit, at, newest) = (snapshot.commit, workspace.clock.now(), states.newest_event());
        let note = StateNote { commit, at, horizon, keys: 0, records, newest };
        let later = Later::new(*of, snapshot, event_bytes, note);
        let all = states.len() as u64;
        let stage = workspace.observer.begin(&format!("filling {}", of.name), all, Unit::Keys);
        let count = |_: &(Vec<u8>, Vec<u8>)| {
            let keys = &mut later.note.borrow_mut().keys;
            *keys += 1;
            if keys.is_multiple_of(KEYS) {
                stage.advance(KEYS);
            }
        };
        let mut entries = states.iter().inspect(count).chain(std::iter::once_with(|| later.states()).flatten());
        let told = &mut || Ok(later.note.borrow().to_bytes());
        workspace.online()?.replace_with(of.digest, &mut entries, told)?;
        drop(entries);
        Ok(Built { note: later.note.into_inner(), resumed: None })
    })
}
