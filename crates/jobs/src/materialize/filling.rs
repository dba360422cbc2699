//! What stands beside a state that is filled in parts, until the last of them is there.

use std::collections::BTreeSet;

use anyhow::Result;
use karat_core::{Instant, Window};
use karat_history::Snapshot;
use serde::{Deserialize, Serialize};

use super::state::{Wanted, is_little};
use crate::reading;

/// Another way to tell which part a key is in is another format.
const FORMAT_VERSION: u32 = 1;

/// What a state is filled from, and how far that has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FillingNote {
    pub format_version: u32,
    /// The commit that all of it is read at.
    pub commit: u64,
    pub horizon: Option<Window>,
    /// The newest event, from which the horizon is counted.
    pub newest: Option<Instant>,
    pub records: u64,
    /// How many parts the keys are in.
    pub parts: u64,
    /// The parts that are there.
    pub done: BTreeSet<usize>,
    /// Keys of these.
    pub keys: u64,
}

impl FillingNote {
    pub fn new(commit: u64, horizon: Option<Window>, parts: u64, newest: Option<Instant>, records: u64) -> FillingNote {
        let (done, keys) = (BTreeSet::new(), 0);
        FillingNote { format_version: FORMAT_VERSION, commit, horizon, newest, records, parts, done, keys }
    }

    /// `None` of one that this Karat does not know.
    pub fn parse(bytes: &[u8]) -> Option<FillingNote> {
        serde_json::from_slice(bytes).ok().filter(|note: &FillingNote| note.format_version == FORMAT_VERSION)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note serialises to JSON")
    }

    /// With one part more, which has so many keys.
    pub fn with(&self, part: usize, keys: u64) -> FillingNote {
        let mut note = self.clone();
        note.keys += if note.done.insert(part) { keys } else { 0 };
        note
    }

    pub fn is_complete(&self) -> bool {
        self.done.len() as u64 == self.parts
    }

    /// Whether both come to the same in the end.
    pub fn is_of_one_filling(&self, other: &FillingNote) -> bool {
        let begun = |note: &FillingNote| FillingNote { done: BTreeSet::new(), keys: 0, ..note.clone() };
        begun(self) == begun(other)
    }
}

/// What was begun of a state.
pub(super) enum Begun {
    /// Nothing, or what is of no use any more; its note, if it has one.
    Anew(Option<Vec<u8>>),
    GoOn(Box<Unfinished>),
}

/// A state that is gone on with, and the history it is of.
pub(super) struct Unfinished {
    pub note: FillingNote,
    pub snapshot: Snapshot,
}

impl Begun {
    /// What there is, where memory asks for at least so many parts.
    pub async fn look(of: &Wanted<'_>, snapshot: &Snapshot, parts: u64) -> Result<Begun> {
        let Some(bytes) = of.workspace.online()?.filling(of.digest)? else { return Ok(Begun::Anew(None)) };
        let Some(note) = FillingNote::parse(&bytes).filter(|note| goes_on(note, snapshot, of.horizon, parts)) else {
            return Ok(Begun::Anew(Some(bytes)));
        };
        if note.commit == snapshot.commit {
            return Ok(Begun::GoOn(Box::new(Unfinished { note, snapshot: snapshot.clone() })));
        }
        // What came since is brought in at its end, which needs rows of one definition up to the newest.
        let source = &of.view.definition().source;
        let newest = of.workspace.snapshot(&source.name, None).await?;
        let then = reading::snapshot(of.workspace, source, Some(note.commit)).await?;
        if newest.first == then.first && newest.definition == then.definition && then.commit == note.commit {
            return Ok(Begun::GoOn(Box::new(Unfinished { note, snapshot: then })));
        }
        Ok(Begun::Anew(Some(bytes)))
    }
}

/// Whether the rest of it is less work than all of it anew, and fits into memory as this does.
fn goes_on(note: &FillingNote, snapshot: &Snapshot, horizon: Option<Window>, parts: u64) -> bool {
    let is_of_this_history = (snapshot.first.max(1)..=snapshot.commit).contains(&note.commit);
    is_of_this_history
        && note.horizon == horizon
        && note.parts >= parts
        && is_little(&snapshot.since(note.commit), snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As written by format version 1. It must load for ever.
    const FIRST: &str = r#"{"format_version":1,"commit":7,"horizon":null,"newest":"1970-01-01T00:00:00.000005Z","records":90,"parts":3,"done":[0,2],"keys":40}"#;

    #[test]
    fn the_first_version_still_loads_and_a_newer_one_is_begun_anew() {
        let note = FillingNote::parse(FIRST.as_bytes()).unwrap();
        let begun = FillingNote::new(7, None, 3, Some(Instant::from_micros(5)), 90);
        assert_eq!(note, begun.with(2, 30).with(0, 10));
        assert_eq!(FillingNote::parse(&note.to_bytes()), Some(note));
        let newer = FIRST.replace("\"format_version\":1", "\"format_version\":2");
        assert_eq!(FillingNote::parse(newer.as_bytes()), None);
        assert_eq!(FillingNote::parse(b"{"), None);
    }

    #[test]
    fn a_part_filled_twice_is_one() {
        let begun = FillingNote::new(7, None, 2, None, 90);
        let half = begun.with(1, 20);
        assert_eq!(half.with(1, 20), half);
        assert!(!half.is_complete() && half.with(0, 5).is_complete());
        assert!(half.is_of_one_filling(&begun) && !half.is_of_one_filling(&FillingNote { commit: 8, ..begun }));
    }
}
