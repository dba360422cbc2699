//! States filled in parts: under a generation that a record of their own points at, which readers never look up. The record
//! counts keys in the transaction that writes them, so that a part begun twice is counted once.

use heed::{RoTxn, RwTxn};
use karat_core::{Digest, OnlineError, StateEntries, StateNote, TellNote};

use super::layout::Record;
use super::write::Entry;
use super::{LmdbStore, errors};

impl LmdbStore {
    pub(super) fn note_of_filling(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        let txn = self.read()?;
        Ok(self.filling_record(&txn, definition)?.map(|record| record.note.to_vec()))
    }

    pub(super) fn begin_filling_states(
        &self,
        definition: &Digest,
        expected: Option<&StateNote>,
        note: &StateNote,
    ) -> Result<bool, OnlineError> {
        let _turn = self.turn()?;
        if self.note_of_filling(definition)?.as_ref() != expected {
            return Ok(false);
        }
        self.change(|txn| {
            self.forget_filling(txn, definition)?;
            let base = self.next_generation(txn)?;
            self.put_filling(txn, definition, Record { base, overlay: None, keys: 0, note })
        })?;
        self.sweep_or_warn();
        Ok(true)
    }

    pub(super) fn fill_states(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        let _turn = self.turn()?;
        if self.note_of_filling(definition)?.as_ref() != Some(expected) {
            return Ok(false);
        }
        self.tidy()?;
        self.fill_all(definition, entries)?;
        self.change(|txn| {
            let (base, keys) = self.filled(txn, definition)?;
            self.put_filling(txn, definition, Record { base, overlay: None, keys, note })
        })?;
        Ok(true)
    }

    pub(super) fn finish_filling_states(
        &self,
        definition: &Digest,
        expected: &StateNote,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<bool, OnlineError> {
        let _turn = self.turn()?;
        if self.note_of_filling(definition)?.as_ref() != Some(expected) {
            return Ok(false);
        }
        self.tidy()?;
        self.fill_all(definition, entries)?;
        let note = note()?;
        self.change(|txn| {
            let (base, keys) = self.filled(txn, definition)?;
            if let Some(old) = self.record(txn, definition)?.map(|record| record.base) {
                self.tables.garbage.put(txn, &old.to_be_bytes(), &[]).map_err(|error| self.error(error))?;
            }
            let deleted = self.tables.fillings.delete(txn, definition.as_str().as_bytes());
            deleted.map_err(|error| self.error(error))?;
            self.put_record(txn, definition, Record { base, overlay: None, keys, note: &note })
        })?;
        self.sweep_or_warn();
        Ok(true)
    }

    /// Makes what was filled garbage.
    pub(super) fn forget_filling(&self, txn: &mut RwTxn, definition: &Digest) -> Result<(), OnlineError> {
        let Some(base) = self.filling_record(txn, definition)?.map(|record| record.base) else { return Ok(()) };
        self.tables.garbage.put(txn, &base.to_be_bytes(), &[]).map_err(|error| self.error(error))?;
        let deleted = self.tables.fillings.delete(txn, definition.as_str().as_bytes());
        deleted.map(drop).map_err(|error| self.error(error))
    }

    fn fill_all(&self, definition: &Digest, entries: StateEntries<'_>) -> Result<(), OnlineError> {
        loop {
            let chunk = self.chunk(entries)?;
            if chunk.is_empty() {
                return Ok(());
            }
            self.change(|txn| self.fill_chunk(txn, definition, &chunk))?;
        }
    }

    fn fill_chunk(&self, txn: &mut RwTxn, definition: &Digest, chunk: &[Entry]) -> Result<(), OnlineError> {
        let (base, mut keys) = self.filled(txn, definition)?;
        for (key, state) in chunk {
            keys += u64::from(self.write_one(txn, base, key, state)?);
        }
        let note = self.filling_record(txn, definition)?.map(|record| record.note.to_vec()).unwrap_or_default();
        self.put_filling(txn, definition, Record { base, overlay: None, keys, note: &note })
    }

    /// Generation and keys of what is filled. It is there: every writer takes turns.
    fn filled(&self, txn: &RoTxn, definition: &Digest) -> Result<(u64, u64), OnlineError> {
        let record = self.filling_record(txn, definition)?;
        let record = record.ok_or_else(|| errors::corrupt(&self.dir, "a state that was being filled has gone"))?;
        Ok((record.base, record.keys))
    }

    fn filling_record<'t>(&self, txn: &'t RoTxn, definition: &Digest) -> Result<Option<Record<'t>>, OnlineError> {
        let bytes = self.tables.fillings.get(txn, definition.as_str().as_bytes()).map_err(|error| self.error(error))?;
        bytes.map(|bytes| Record::from_bytes(&self.dir, bytes)).transpose()
    }

    fn put_filling(&self, txn: &mut RwTxn, definition: &Digest, record: Record<'_>) -> Result<(), OnlineError> {
        let key = definition.as_str().as_bytes();
        self.tables.fillings.put(txn, key, &record.to_bytes()).map_err(|error| self.error(error))
    }
}
