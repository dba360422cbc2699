//! The state of a history that does not fit in memory: filled part by part of its keys, each part there for good once it is
//! filled, and nothing of it seen before the last. Parts are folded side by side and written one by one; between two others
//! may write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::Result;
use futures::TryStreamExt;
use karat_features::{Retention, StateBuilder};
use karat_history::Snapshot;
use karat_serving::StateNote;

use super::Resumed;
use super::filling::{FillingNote, Unfinished};
use super::later::Later;
use super::state::{Built, Wanted};
use crate::spill::{self, Spilled, Spilling};
use crate::{Stage, Unit};

/// How long others have to take their turn to write, before the next part is written: whoever waits looks again within it.
const GAP: Duration = Duration::from_millis(50);
/// Events told of at once.
const EVENTS: u64 = 8192;

type Entry = (Vec<u8>, Vec<u8>);

/// How many parts are folded side by side, where memory lets them.
pub(super) fn at_once() -> u64 {
    std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64)
}

/// Fills a state of which nothing is there; `before` is the note of what was begun and is of no use. `None` where somebody
/// else began, too.
pub(super) async fn begin(
    of: &Wanted<'_>,
    snapshot: &Snapshot,
    parts: u64,
    event_bytes: u64,
    before: Option<&Vec<u8>>,
) -> Result<Option<Built>> {
    let (spilled, records) = read(of, snapshot, Spilling::new(of.workspace, of.view, parts, 1)?).await?;
    let note = FillingNote::new(snapshot.commit, of.horizon, parts, spilled.newest, records);
    tokio::task::block_in_place(|| match of.workspace.online()?.begin_filling(of.digest, before, &note.to_bytes())? {
        true => Filling { of: *of, note, event_bytes }.finish(snapshot, Some(&spilled)),
        false => Ok(None),
    })
}

/// Fills the rest of a state; what is there of it is not even read.
pub(super) async fn go_on(of: &Wanted<'_>, begun: Unfinished, event_bytes: u64) -> Result<Option<Built>> {
    let Unfinished { note, snapshot } = begun;
    let resumed = Resumed { parts: note.parts, filled_before: note.done.len() as u64 };
    let Resumed { parts, filled_before } = resumed;
    of.workspace.observer.say(&format!(
        "{}: going on with the state of commit {}, of which {filled_before} of {parts} parts were filled already",
        of.name, note.commit
    ));
    let spilled = match note.is_complete() {
        true => None,
        false => {
            let spilling = Spilling::new(of.workspace, of.view, note.parts, 1)?.without(note.done.clone());
            Some(read(of, &snapshot, spilling).await?.0)
        }
    };
    let filling = Filling { of: *of, note, event_bytes };
    let built = tokio::task::block_in_place(|| filling.finish(&snapshot, spilled.as_ref()))?;
    Ok(built.map(|built| Built { resumed: Some(resumed), ..built }))
}

async fn read<'v>(of: &Wanted<'v>, snapshot: &Snapshot, mut spilling: Spilling<'v>) -> Result<(Spilled<'v>, u64)> {
    let view = of.view;
    let stage = of.workspace.observer.begin(&format!("reading {}", of.name), snapshot.rows(), Unit::Rows);
    let mut batches = snapshot.stream(view.source_columns(), &view.hidden_columns(), None);
    let mut records = 0;
    while let Some(batch) = batches.try_next().await? {
        records += batch.num_rows() as u64;
        stage.advance(batch.num_rows() as u64);
        spilling.push(&batch)?;
    }
    Ok((spilling.finish()?, records))
}

/// A state as it is filled.
struct Filling<'a> {
    of: Wanted<'a>,
    note: FillingNote,
    /// About what an event takes.
    event_bytes: u64,
}

/// How a part was written.
#[derive(PartialEq, Eq)]
enum Written {
    Here,
    /// What was begun is there no more.
    Nowhere,
}

impl Filling<'_> {
    /// Fills the parts that are missing, and lets readers have the state.
    fn finish(mut self, snapshot: &Snapshot, spilled: Option<&Spilled<'_>>) -> Result<Option<Built>> {
        if let Some(spilled) = spilled
            && self.fill_parts(spilled)? == Written::Nowhere
        {
            return Ok(None);
        }
        if !self.note.is_complete() {
            return Ok(None);
        }
        let FillingNote { commit, horizon, newest, records, keys, .. } = self.note;
        let at = self.of.workspace.clock.now();
        let note = StateNote { commit, at, horizon, keys, records, newest };
        let later = Later::new(self.of, snapshot, self.event_bytes, note);
        let mut entries = std::iter::once_with(|| later.states()).flatten();
        let told = &mut || Ok(later.note.borrow().to_bytes());
        let online = self.of.workspace.online()?;
        if !online.finish_filling(self.of.digest, &self.note.to_bytes(), &mut entries, told)? {
            return Ok(None);
        }
        drop(entries);
        Ok(Some(Built { note: later.note.into_inner(), resumed: None }))
    }

    fn fill_parts(&mut self, spilled: &Spilled<'_>) -> Result<Written> {
        let Wanted { workspace, view, name, .. } = self.of;
        let left: Vec<usize> = (0..self.note.parts as usize).filter(|part| !self.note.done.contains(part)).collect();
        let events = |part: &usize| spilled.events(*part) as u64;
        let largest = left.iter().map(events).max().unwrap_or(0) * self.event_bytes;
        // What is made of a part takes room, too.
        let threads = (spill::held(workspace) / (2 * largest).max(1)).clamp(1, at_once()).min(left.len() as u64);
        let retention = view.retention(self.note.horizon)?;
        let stage = workspace.observer.begin(&format!("filling {name}"), left.iter().map(events).sum(), Unit::Rows);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            // Who has folded a part waits until it is taken.
            let (sender, folded) = sync_channel(0);
            for _ in 0..threads {
                let (sender, next, left) = (sender.clone(), &next, &left);
                scope.spawn(move || {
                    while let Some(part) = left.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                        // Nobody takes more once one has failed.
                        if sender.send((part, of_part(spilled, retention, part))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            for (place, (part, states)) in folded.into_iter().enumerate() {
                if place > 0 {
                    std::thread::sleep(GAP);
                }
                if self.write(part, states?, events(&part), stage.as_ref())? == Written::Nowhere {
                    return Ok(Written::Nowhere);
                }
            }
            Ok(Written::Here)
        })
    }

    /// Writes a part, unless somebody else who goes on with the same state has.
    fn write(&mut self, part: usize, states: Vec<Entry>, events: u64, stage: &dyn Stage) -> Result<Written> {
        let online = self.of.workspace.online()?;
        let keys = states.len() as u64;
        let mut told = 0;
        let mut entries = (1..).zip(states).map(|(place, entry)| {
            let so_far = place * events / keys;
            if so_far - told >= EVENTS || place == keys {
                stage.advance(so_far - told);
                told = so_far;
            }
            entry
        });
        while !self.note.done.contains(&part) {
            let with = self.note.with(part, keys);
            if online.fill(self.of.digest, &self.note.to_bytes(), &with.to_bytes(), &mut entries)? {
                self.note = with;
                break;
            }
            match online.filling(self.of.digest)?.as_deref().and_then(FillingNote::parse) {
                Some(found) if found.is_of_one_filling(&self.note) => self.note = found,
                Some(_) | None => return Ok(Written::Nowhere),
            }
        }
        Ok(Written::Here)
    }
}

fn of_part(spilled: &Spilled<'_>, retention: Retention, part: usize) -> Result<Vec<Entry>> {
    let mut builder = StateBuilder::new(spilled.view, retention).after(spilled.newest);
    for events in spilled.read(part) {
        builder.push(&events?)?;
    }
    Ok(builder.finish().iter().collect())
}
