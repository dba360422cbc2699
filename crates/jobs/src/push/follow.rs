//! Online state that follows history: into the states of the keys that new records touch, all at once with the number
//! they are known up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use futures::TryStreamExt;
use karat_core::{Instant, Name, OnlineError};
use karat_features::{CompiledView, FeatureError, KeySet, StateBuilder};
use karat_history::{History, Snapshot};
use karat_query::{Group, Pushing};
use karat_serving::StateNote;
use serde_json::Value as Json;

use super::{Horizon, LiveView, Tools};
use crate::{Silent, Stage};

/// Takes a group of requests into history, and brings the state of these views up to it.
pub(crate) async fn take(
    tools: &Tools,
    pushing: &mut Pushing,
    views: &[Arc<LiveView>],
    requests: &[Vec<Json>],
) -> Result<Group> {
    let at = tools.clock.now();
    let group = pushing.take(&tools.engine, requests, at, &tools.quarantine).await?;
    tokio::task::block_in_place(|| {
        let follower = Follower { tools, source: pushing.source(), commit: group.commit, records: &group.records };
        views.iter().try_for_each(|view| follower.bring_up(view))
    })?;
    Ok(group)
}

/// Brings states up to a number of their source.
pub(crate) struct Follower<'a> {
    pub tools: &'a Tools,
    pub source: &'a Name,
    pub commit: u64,
    /// The newest records, one batch a number, the last of which is `commit`.
    pub records: &'a [RecordBatch],
}

impl Follower<'_> {
    /// A view that has no state is left to whoever makes it. Another writer's states are not overwritten: they are read
    /// again, and followed from there.
    pub fn bring_up(&self, live: &LiveView) -> Result<()> {
        let online = &self.tools.online;
        loop {
            let Some(noted) = self.note(live)? else { return Ok(()) };
            let note = StateNote::parse(&noted)?;
            if note.commit >= self.commit {
                return Ok(());
            }
            let Some(batches) = self.since(live, &note)? else { return Ok(()) };
            let made = self.made(live, &note, &batches).with_context(|| format!("view {}", live.name))?;
            let mut entries = made.states.into_iter();
            if online.put_after(&live.digest, &noted, &made.note.to_bytes(), &mut entries)? {
                return Ok(());
            }
        }
    }

    /// The note beside a view's state; `None` where there is no state, and nobody was about to make one of a history without
    /// these records.
    fn note(&self, live: &LiveView) -> Result<Option<Vec<u8>>> {
        let online = &self.tools.online;
        if let Some(noted) = online.note(&live.digest)? {
            return Ok(Some(noted));
        }
        // Writes nothing, and has to wait for whoever writes.
        online.put_after(&live.digest, &Vec::new(), &Vec::new(), &mut std::iter::empty())?;
        Ok(online.note(&live.digest)?)
    }

    /// The records that a state has not; `None` where the history was begun anew since.
    fn since(&self, live: &LiveView, note: &StateNote) -> Result<Option<Vec<RecordBatch>>> {
        let missing = (self.commit - note.commit) as usize;
        if missing <= self.records.len() {
            return Ok(Some(self.records[self.records.len() - missing..].to_vec()));
        }
        self.tools.runtime.block_on(async {
            let Some(snapshot) = self.snapshot().await? else { return Ok(None) };
            if note.commit + 1 < snapshot.first {
                return Ok(None);
            }
            let batches = snapshot.since(note.commit);
            let batches = batches.stream(live.view.source_columns(), &live.view.hidden_columns(), None);
            Ok(Some(batches.try_collect().await?))
        })
    }

    async fn snapshot(&self) -> Result<Option<Snapshot>> {
        Ok(self.tools.history.snapshot(self.source, Some(self.commit)).await?)
    }

    fn made(&self, live: &LiveView, note: &StateNote, batches: &[RecordBatch]) -> Result<Made> {
        let (online, view) = (self.tools.online.as_ref(), &live.view);
        let retention = view.retention(note.horizon)?;
        let mut builder = StateBuilder::new(view, retention).after(note.newest);
        for batch in batches {
            builder.push(batch)?;
        }
        let new = builder.finish();
        let (mut states, mut before_horizon, mut fresh) = (Vec::with_capacity(new.len()), KeySet::new(view), 0);
        {
            let old = |key: &[u8]| {
                let mut found = None;
                online.read(&live.digest, key, &mut |state| found = Some(state.to_vec()))?;
                fresh += u64::from(found.is_none());
                Ok::<_, UpdateError>(found)
            };
            for (key, state) in new.updates(old) {
                match state {
                    Ok(state) => states.push((key, state)),
                    Err(UpdateError::Feature(FeatureError::BeforeHorizon { .. })) => before_horizon.insert(&key)?,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let newest = new.newest_event();
        if !before_horizon.is_empty() {
            let anew = self.tools.runtime.block_on(async {
                let snapshot = self.snapshot().await?.context("what was pushed has a history")?;
                let of = Anew { snapshot: &snapshot, view, horizon: note.horizon, newest, keys: &before_horizon };
                of.states(u64::MAX, &Silent).await
            })?;
            states.extend(anew.into_iter().flatten());
        }
        let records: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let note = StateNote {
            commit: self.commit,
            at: self.tools.clock.now(),
            horizon: note.horizon,
            keys: note.keys + fresh,
            records: note.records + records,
            newest,
        };
        Ok(Made { note, states })
    }
}

struct Made {
    note: StateNote,
    states: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, thiserror::Error)]
enum UpdateError {
    #[error(transparent)]
    Feature(#[from] FeatureError),
    #[error(transparent)]
    Online(#[from] OnlineError),
}

/// Keys whose states are made of their whole history.
pub(crate) struct Anew<'a> {
    pub snapshot: &'a Snapshot,
    pub view: &'a CompiledView,
    pub horizon: Horizon,
    /// From which the horizon is counted.
    pub newest: Option<Instant>,
    pub keys: &'a KeySet,
}

impl Anew<'_> {
    /// Each key with its state; `None` where they have more events than `most`. `stage` is told of rows read.
    pub async fn states(&self, most: u64, stage: &dyn Stage) -> Result<Option<Vec<(Vec<u8>, Vec<u8>)>>> {
        let view = self.view;
        let mut builder = StateBuilder::new(view, view.retention(self.horizon)?).after(self.newest);
        let mut batches = self.snapshot.stream(view.source_columns(), &view.hidden_columns(), None);
        let mut found = 0;
        while let Some(batch) = batches.try_next().await? {
            stage.advance(batch.num_rows() as u64);
            let events = view.events_of(self.keys, &batch)?;
            found += events.num_rows() as u64;
            if found > most {
                return Ok(None);
            }
            if events.num_rows() > 0 {
                builder.push(&events)?;
            }
        }
        Ok(Some(builder.finish().iter().collect()))
    }
}

/// The states that changed after `from`, up to the newest number, each made of its whole history; and that number. Nothing
/// where the rows were made otherwise since; an error where it is of more events than `most`.
pub(crate) async fn caught_up(
    history: &History,
    view: &CompiledView,
    horizon: Horizon,
    from: &Snapshot,
    note: &mut StateNote,
    most: u64,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let nothing = Ok(BTreeMap::new());
    let Some(newest) = history.snapshot(&from.source, None).await? else { return nothing };
    // One without rows begins with the first that comes.
    let begun_anew = newest.first != from.first.max(1);
    if newest.commit <= note.commit || begun_anew || newest.definition != from.definition {
        return nothing;
    }
    let mut batches = newest.since(note.commit).stream(view.source_columns(), &view.hidden_columns(), None);
    let mut keys = KeySet::new(view);
    while let Some(batch) = batches.try_next().await? {
        view.collect_keys(&mut keys, &batch)?;
        note.newest = view.newest_event(&batch)?.max(note.newest);
        note.records += batch.num_rows() as u64;
    }
    note.commit = newest.commit;
    let of = Anew { snapshot: &newest, view, horizon, newest: note.newest, keys: &keys };
    match of.states(most, &Silent).await? {
        Some(states) => Ok(states.into_iter().collect()),
        None => bail!("the keys that it touches have more than {most} events, which do not fit in memory"),
    }
}
