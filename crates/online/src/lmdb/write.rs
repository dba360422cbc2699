//! Writing: short transactions, and a record changed last.

use std::ops::Bound;

use heed::{MdbError, PutFlags, RoTxn, RwTxn};
use karat_core::{Digest, OnlineError, StateEntries, StateNote, TellNote};

use super::layout::{Generation, NEXT_GENERATION_KEY, Record, StateKey, own_key};
use super::{LmdbStore, errors};
use crate::kept;

/// How many keys one transaction deletes.
const DELETE_KEYS: usize = 20_000;

pub(super) type Entry = (Vec<u8>, Vec<u8>);

impl LmdbStore {
    pub(super) fn put_states(
        &self,
        definition: &Digest,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<(), OnlineError> {
        let _turn = self.turn()?;
        self.put_in_turn(definition, note, entries)
    }

    /// Whether the note was the one expected. Every writer takes turns, so it stays so.
    pub(super) fn put_states_after(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        let _turn = self.turn()?;
        if self.read_note(definition)?.as_ref() != Some(expected) {
            return Ok(false);
        }
        self.put_in_turn(definition, note, entries)?;
        Ok(true)
    }

    fn put_in_turn(&self, definition: &Digest, note: &StateNote, entries: StateEntries<'_>) -> Result<(), OnlineError> {
        self.tidy()?;
        let first = self.chunk(entries)?;
        let second = self.chunk(entries)?;
        if second.is_empty() {
            return self.put_small(definition, note, &first);
        }
        let overlay = self.begin_generation()?;
        let base = {
            let txn = self.read()?;
            self.record(&txn, definition)?.map(|record| record.base)
        };
        let mut keys = self.fill_overlay(overlay, base, &first)?;
        let mut chunk = second;
        while !chunk.is_empty() {
            keys += self.fill_overlay(overlay, base, &chunk)?;
            chunk = self.chunk(entries)?;
        }
        self.change(|txn| {
            let old = self.record(txn, definition)?;
            let (record, unused) = match old {
                None => (Record { base: overlay, overlay: None, keys, note }, None),
                Some(old) => (Record { base: old.base, overlay: Some(overlay), keys: old.keys + keys, note }, None),
            };
            self.point(txn, definition, record, overlay, unused)
        })?;
        // What was asked for is done and seen by readers. Merging only saves them a look-up, so its failure is not
        // the caller's: the next writer tries again.
        if let Err(error) = self.tidy() {
            tracing::warn!(%error, "online state was written, but not yet merged");
        }
        Ok(())
    }

    pub(super) fn replace_states(
        &self,
        definition: &Digest,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<(), OnlineError> {
        let _turn = self.turn()?;
        self.tidy()?;
        let generation = self.begin_generation()?;
        let mut keys = 0;
        loop {
            let chunk = self.chunk(entries)?;
            if chunk.is_empty() {
                break;
            }
            keys += self.fill_overlay(generation, None, &chunk)?;
        }
        let note = note()?;
        self.change(|txn| {
            self.forget_filling(txn, definition)?;
            let unused = self.record(txn, definition)?.map(|old| old.base);
            let record = Record { base: generation, overlay: None, keys, note: &note };
            self.point(txn, definition, record, generation, unused)
        })?;
        self.sweep_or_warn();
        Ok(())
    }

    pub(super) fn forget(&self, definition: &Digest) -> Result<(), OnlineError> {
        let _turn = self.turn()?;
        self.tidy()?;
        self.change(|txn| {
            self.forget_filling(txn, definition)?;
            let Some(base) = self.record(txn, definition)?.map(|record| record.base) else { return Ok(()) };
            self.tables.garbage.put(txn, &base.to_be_bytes(), &[]).map_err(|error| self.error(error))?;
            let deleted = self.tables.definitions.delete(txn, definition.as_str().as_bytes());
            deleted.map(drop).map_err(|error| self.error(error))
        })?;
        self.sweep_or_warn();
        Ok(())
    }

    /// Everything in one transaction, straight into the base.
    fn put_small(&self, definition: &Digest, note: &StateNote, entries: &[Entry]) -> Result<(), OnlineError> {
        self.change(|txn| {
            let old = self.record(txn, definition)?.map(|record| (record.base, record.keys));
            let (base, keys) = match old {
                Some(old) => old,
                None => (self.next_generation(txn)?, 0),
            };
            let mut record = Record { base, overlay: None, keys, note };
            for (key, state) in entries {
                record.keys += u64::from(self.write_one(txn, base, key, state)?);
            }
            self.put_record(txn, definition, record)
        })
    }

    /// Writes a chunk into a generation nobody points at yet; how many of its keys are in neither it nor `base`.
    fn fill_overlay(
        &self,
        generation: Generation,
        base: Option<Generation>,
        entries: &[Entry],
    ) -> Result<u64, OnlineError> {
        self.change(|txn| {
            let mut new = 0;
            for (key, state) in entries {
                let first_here = self.write_one(txn, generation, key, state)?;
                let in_base = match base {
                    Some(base) if first_here => {
                        let there = self.tables.states.get(txn, StateKey::new(base, key).as_bytes());
                        there.map_err(|error| self.error(error))?.is_some()
                    }
                    _ => false,
                };
                new += u64::from(first_here && !in_base);
            }
            Ok(new)
        })
    }

    /// Whether the key is new to the generation.
    pub(super) fn write_one(
        &self,
        txn: &mut RwTxn,
        generation: Generation,
        key: &[u8],
        state: &[u8],
    ) -> Result<bool, OnlineError> {
        let key = StateKey::new(generation, key);
        match self.tables.states.put_with_flags(txn, PutFlags::NO_OVERWRITE, key.as_bytes(), state) {
            Ok(()) => Ok(true),
            Err(heed::Error::Mdb(MdbError::KeyExist)) => {
                self.tables.states.put(txn, key.as_bytes(), state).map(|()| false).map_err(|error| self.error(error))
            }
            Err(error) => Err(self.error(error)),
        }
    }

    /// The next entries, about a transaction's worth, sorted; of entries with one key the last given stays last.
    pub(super) fn chunk(&self, entries: StateEntries<'_>) -> Result<Vec<Entry>, OnlineError> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while bytes < self.options.transaction_bytes {
            let Some((key, state)) = entries.next() else { break };
            let key = kept(key);
            bytes += key.len() + state.len() + 16;
            chunk.push((key, state));
        }
        chunk.sort_by(|a: &Entry, b: &Entry| a.0.cmp(&b.0));
        Ok(chunk)
    }

    /// Merges what a large `put` left in overlays, and deletes garbage. Needs this writer's turn.
    pub(super) fn tidy(&self) -> Result<(), OnlineError> {
        for (definition, overlay, base) in self.overlays()? {
            self.merge(overlay, base)?;
            self.change(|txn| {
                let Some(record) = self.record(txn, &definition)? else { return Ok(()) };
                let note = record.note.to_vec();
                let merged = Record { base, overlay: None, keys: record.keys, note: &note };
                self.tables.garbage.put(txn, &overlay.to_be_bytes(), &[]).map_err(|error| self.error(error))?;
                self.put_record(txn, &definition, merged)
            })?;
        }
        self.sweep()
    }

    fn overlays(&self) -> Result<Vec<(Digest, Generation, Generation)>, OnlineError> {
        let txn = self.read()?;
        let mut overlays = Vec::new();
        for (definition, _) in self.list_definitions()? {
            if let Some(Record { overlay: Some(overlay), base, .. }) = self.record(&txn, &definition)? {
                overlays.push((definition, overlay, base));
            }
        }
        Ok(overlays)
    }

    /// Copies an overlay into its base, which readers do not notice: they look into the overlay first.
    fn merge(&self, overlay: Generation, base: Generation) -> Result<(), OnlineError> {
        let mut after = None;
        loop {
            let chunk = {
                let txn = self.read()?;
                let (first, end) = (StateKey::new(overlay, &[]), StateKey::new(overlay + 1, &[]));
                let start = match &after {
                    None => Bound::Included(first.as_bytes()),
                    Some(after) => Bound::Excluded(StateKey::as_bytes(after)),
                };
                let range = (start, Bound::Excluded(end.as_bytes()));
                let mut chunk: Vec<Entry> = Vec::new();
                let mut bytes = 0;
                for entry in self.tables.states.range(&txn, &range).map_err(|error| self.error(error))? {
                    let (key, state) = entry.map_err(|error| self.error(error))?;
                    bytes += key.len() + state.len() + 16;
                    chunk.push((own_key(key).to_vec(), state.to_vec()));
                    if bytes >= self.options.transaction_bytes {
                        break;
                    }
                }
                chunk
            };
            let Some((last, _)) = chunk.last() else { return Ok(()) };
            after = Some(StateKey::new(overlay, last));
            self.change(|txn| {
                chunk.iter().try_for_each(|(key, state)| self.write_one(txn, base, key, state).map(drop))
            })?;
        }
    }

    pub(super) fn sweep_or_warn(&self) {
        if let Err(error) = self.sweep() {
            tracing::warn!(%error, "online state no longer needed was not deleted; the next write tries again");
        }
    }

    fn sweep(&self) -> Result<(), OnlineError> {
        loop {
            let oldest = {
                let txn = self.read()?;
                let first = self.tables.garbage.first(&txn).map_err(|error| self.error(error))?;
                first.map(|(generation, _)| <[u8; 8]>::try_from(generation)).transpose()
            };
            let oldest = oldest.map_err(|_| errors::corrupt(&self.dir, "a generation's number is unreadable"))?;
            let Some(generation) = oldest.map(u64::from_be_bytes) else { return Ok(()) };
            self.change(|txn| {
                if self.delete_some(txn, generation)? {
                    return Ok(());
                }
                let done = self.tables.garbage.delete(txn, &generation.to_be_bytes());
                done.map(drop).map_err(|error| self.error(error))
            })?;
        }
    }

    /// Whether anything was left to delete.
    fn delete_some(&self, txn: &mut RwTxn, generation: Generation) -> Result<bool, OnlineError> {
        let prefix = StateKey::new(generation, &[]);
        let last = {
            let entries = self.tables.states.prefix_iter(txn, prefix.as_bytes()).map_err(|error| self.error(error))?;
            let last = entries.take(DELETE_KEYS).last().transpose().map_err(|error| self.error(error))?;
            last.map(|(key, _)| key.to_vec())
        };
        let Some(last) = last else { return Ok(false) };
        let range = (Bound::Included(prefix.as_bytes()), Bound::Included(last.as_slice()));
        self.tables.states.delete_range(txn, &range).map_err(|error| self.error(error))?;
        Ok(true)
    }

    /// Lets `definition` be `record`, whose `taken` generation is garbage no longer, and `unused` is from now on.
    fn point(
        &self,
        txn: &mut RwTxn,
        definition: &Digest,
        record: Record<'_>,
        taken: Generation,
        unused: Option<Generation>,
    ) -> Result<(), OnlineError> {
        self.tables.garbage.delete(txn, &taken.to_be_bytes()).map_err(|error| self.error(error))?;
        if let Some(unused) = unused {
            self.tables.garbage.put(txn, &unused.to_be_bytes(), &[]).map_err(|error| self.error(error))?;
        }
        self.put_record(txn, definition, record)
    }

    pub(super) fn put_record(
        &self,
        txn: &mut RwTxn,
        definition: &Digest,
        record: Record<'_>,
    ) -> Result<(), OnlineError> {
        let key = definition.as_str().as_bytes();
        self.tables.definitions.put(txn, key, &record.to_bytes()).map_err(|error| self.error(error))
    }

    /// A number for a generation to be filled, garbage until a record points at it.
    fn begin_generation(&self) -> Result<Generation, OnlineError> {
        self.change(|txn| {
            let generation = self.next_generation(txn)?;
            self.tables.garbage.put(txn, &generation.to_be_bytes(), &[]).map_err(|error| self.error(error))?;
            Ok(generation)
        })
    }

    pub(super) fn next_generation(&self, txn: &mut RwTxn) -> Result<Generation, OnlineError> {
        let next = self.tables.meta.get(txn, NEXT_GENERATION_KEY).map_err(|error| self.error(error))?;
        let generation = match next.map(<[u8; 8]>::try_from) {
            None => 1,
            Some(Ok(bytes)) => u64::from_le_bytes(bytes),
            Some(Err(_)) => return Err(errors::corrupt(&self.dir, "its next generation is unreadable")),
        };
        let after = (generation + 1).to_le_bytes();
        self.tables.meta.put(txn, NEXT_GENERATION_KEY, &after).map_err(|error| self.error(error))?;
        Ok(generation)
    }

    pub(super) fn read(&self) -> Result<RoTxn<'_, heed::WithoutTls>, OnlineError> {
        self.env.read_txn().map_err(|error| self.error(error))
    }

    /// One write transaction; nothing of it stays when `change` fails.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut RwTxn) -> Result<T, OnlineError>,
    ) -> Result<T, OnlineError> {
        let mut txn = self.env.write_txn().map_err(|error| self.error(error))?;
        let done = change(&mut txn)?;
        txn.commit().map_err(|error| self.error(error))?;
        Ok(done)
    }
}
