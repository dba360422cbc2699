//! States filled in parts: each part is a turn of its own, so that others write between them.

use karat_core::{Digest, OnlineError, StateEntries, StateNote, TellNote};

use super::RedisStore;
use super::scripts::Script;
use super::turn::{Then, Turn};

impl RedisStore {
    pub(super) fn note_of_filling(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        let mut command = self.server.script(Script::Filling);
        command.arg(definition.as_str());
        let answer = self.pool.call(&command)?;
        self.bytes(answer)
    }

    pub(super) fn begin_filling_states(
        &self,
        definition: &Digest,
        expected: Option<&StateNote>,
        note: &StateNote,
    ) -> Result<bool, OnlineError> {
        let mut turn = Turn::take(&self.server)?;
        if self.note_of_filling(definition)?.as_ref() != expected {
            return Ok(false);
        }
        turn.begin_filling(definition, note)?;
        Ok(true)
    }

    pub(super) fn fill_states(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        let mut turn = Turn::take(&self.server)?;
        if self.note_of_filling(definition)?.as_ref() != Some(expected) {
            return Ok(false);
        }
        self.fill_all(&mut turn, definition, entries)?;
        turn.note_filling(definition, note, Then::GoOn)?;
        Ok(true)
    }

    pub(super) fn finish_filling_states(
        &self,
        definition: &Digest,
        expected: &StateNote,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<bool, OnlineError> {
        let mut turn = Turn::take(&self.server)?;
        if self.note_of_filling(definition)?.as_ref() != Some(expected) {
            return Ok(false);
        }
        self.fill_all(&mut turn, definition, entries)?;
        turn.note_filling(definition, &note()?, Then::Finish)?;
        Ok(true)
    }

    fn fill_all(&self, turn: &mut Turn, definition: &Digest, entries: StateEntries<'_>) -> Result<(), OnlineError> {
        loop {
            let chunk = self.chunk(entries)?;
            if chunk.is_empty() {
                return Ok(());
            }
            turn.fill_more(definition, &chunk)?;
        }
    }
}
