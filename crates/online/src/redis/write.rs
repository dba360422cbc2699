//! Writing. What fits one chunk is one step inside the server; more is filled chunk by chunk under a generation nobody
//! points at, and appears by one change of the record.

use ::redis::{Cmd, Value};
use karat_core::{Digest, OnlineError, StateEntries, StateNote, TellNote};

use super::RedisStore;
use super::scripts::Script;
use super::turn::{Place, Turn, Waiting, allowed};
use crate::kept;

/// When a put is to be done.
#[derive(Clone, Copy)]
enum Where<'n> {
    Anyway,
    NoteIs(&'n StateNote),
}

/// What a put answers that found another note.
const NOT_AS_EXPECTED: i64 = 0;

pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// The most entries of a chunk: readers wait while one is written.
const CHUNK_ENTRIES: usize = 2000;

impl RedisStore {
    pub(super) fn put_states(
        &self,
        definition: &Digest,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<(), OnlineError> {
        self.put_where(definition, Where::Anyway, note, entries).map(drop)
    }

    pub(super) fn put_states_after(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        self.put_where(definition, Where::NoteIs(expected), note, entries)
    }

    /// Whether it was written.
    fn put_where(
        &self,
        definition: &Digest,
        when: Where<'_>,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        let first = self.chunk(entries)?;
        let second = self.chunk(entries)?;
        if second.is_empty() {
            let mut command = self.server.writing(Script::Put);
            command.arg(definition.as_str()).arg(note);
            match when {
                Where::Anyway => command.arg("anyway").arg(""),
                Where::NoteIs(expected) => command.arg("after").arg(expected),
            };
            for (key, state) in &first {
                command.arg(key).arg(state);
            }
            let written = self.at_once(&command)?;
            return Ok(written != NOT_AS_EXPECTED);
        }
        let mut turn = Turn::take(&self.server)?;
        // Who writes in one step waits while it is this writer's turn.
        if let Where::NoteIs(expected) = when
            && self.read_note(definition)?.as_ref() != Some(expected)
        {
            return Ok(false);
        }
        // Left by a writer that was killed while it merged.
        turn.merge(definition)?;
        let base = self.generations(definition)?.and_then(|generations| generations.base);
        turn.fill(base.as_deref(), &first)?;
        let mut chunk = second;
        while !chunk.is_empty() {
            turn.fill(base.as_deref(), &chunk)?;
            chunk = self.chunk(entries)?;
        }
        turn.point(definition, note, Place::Over)?;
        // What was asked for is done and seen by readers. Merging only saves them a look-up, so its failure is not
        // the caller's: the next large write tries again.
        if let Err(error) = turn.merge(definition) {
            tracing::warn!(%error, "online state was written, but not yet merged");
        }
        Ok(true)
    }

    pub(super) fn replace_states(
        &self,
        definition: &Digest,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<(), OnlineError> {
        let mut turn = Turn::take(&self.server)?;
        loop {
            let chunk = self.chunk(entries)?;
            if chunk.is_empty() {
                break;
            }
            turn.fill(None, &chunk)?;
        }
        turn.point(definition, &note()?, Place::Instead)
    }

    pub(super) fn forget(&self, definition: &Digest) -> Result<(), OnlineError> {
        let mut command = self.server.writing(Script::Drop);
        command.arg(definition.as_str());
        self.at_once(&command).map(drop)
    }

    /// A write of one step, which needs no turn and only waits until nobody has it; what it answered.
    fn at_once(&self, command: &Cmd) -> Result<i64, OnlineError> {
        let mut waiting = Waiting::default();
        loop {
            let answer = self.pool.call(command)?;
            match allowed(&self.server, &answer)? {
                Some(answer) => return Ok(answer),
                None => waiting.wait(&self.server),
            }
        }
    }

    /// The next entries, about [`super::RedisOptions::chunk_bytes`] of them.
    pub(super) fn chunk(&self, entries: StateEntries<'_>) -> Result<Vec<Entry>, OnlineError> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while bytes < self.server.options.chunk_bytes && chunk.len() < CHUNK_ENTRIES {
            let Some((key, state)) = entries.next() else { break };
            let key = kept(key);
            bytes += key.len() + state.len() + 16;
            chunk.push((key, state));
        }
        Ok(chunk)
    }
}

pub(super) fn number(answer: &Value) -> Option<i64> {
    match answer {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}
