//! Reading: one short transaction a call; a read of a definition is two look-ups, three while a large `put` is being merged.

use std::cmp::Ordering;

use heed::RoTxn;
use karat_core::{Digest, OnlineError, StateNote, StateOf, WithEach, by_definition, kept_key};

use super::layout::{Record, StateKey, own_key};
use super::{LmdbStore, errors};

impl LmdbStore {
    pub(super) fn record<'t>(&self, txn: &'t RoTxn, definition: &Digest) -> Result<Option<Record<'t>>, OnlineError> {
        let bytes =
            self.tables.definitions.get(txn, definition.as_str().as_bytes()).map_err(|error| self.error(error))?;
        bytes.map(|bytes| Record::from_bytes(&self.dir, bytes)).transpose()
    }

    pub(super) fn read_state(
        &self,
        definition: &Digest,
        key: &[u8],
        with: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, OnlineError> {
        let txn = self.env.read_txn().map_err(|error| self.error(error))?;
        let Some(record) = self.record(&txn, definition)? else { return Ok(false) };
        let state = self.state(&txn, &record, key)?;
        state.map(with);
        Ok(state.is_some())
    }

    pub(super) fn read_states_noted(&self, asked: &[StateOf<'_>], with: WithEach<'_>) -> Result<(), OnlineError> {
        let txn = self.env.read_txn().map_err(|error| self.error(error))?;
        let mut next = 0;
        for states in by_definition(asked) {
            let first = next;
            next += states.len();
            let Some(record) = self.record(&txn, states[0].definition)? else { continue };
            for (place, StateOf { key, .. }) in (first..).zip(states) {
                with(place, record.note, self.state(&txn, &record, key)?);
            }
        }
        Ok(())
    }

    fn state<'t>(&self, txn: &'t RoTxn, record: &Record<'_>, key: &[u8]) -> Result<Option<&'t [u8]>, OnlineError> {
        for generation in record.overlay.into_iter().chain([record.base]) {
            let key = StateKey::new(generation, &kept_key(key));
            let found = self.tables.states.get(txn, key.as_bytes()).map_err(|error| self.error(error))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    pub(super) fn read_note(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        let txn = self.env.read_txn().map_err(|error| self.error(error))?;
        Ok(self.record(&txn, definition)?.map(|record| record.note.to_vec()))
    }

    /// One transaction for the whole scan, so that it is of one moment.
    pub(super) fn scan_states(
        &self,
        definition: &Digest,
        with: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), OnlineError> {
        let txn = self.env.read_txn().map_err(|error| self.error(error))?;
        let Some(record) = self.record(&txn, definition)? else { return Ok(()) };
        let entries = |generation: u64| {
            let prefix = StateKey::new(generation, &[]);
            let entries = self.tables.states.prefix_iter(&txn, prefix.as_bytes()).map_err(|error| self.error(error))?;
            Ok(entries.map(|entry| entry.map(|(key, state)| (own_key(key), state)).map_err(|error| self.error(error))))
        };
        let mut base = entries(record.base)?.peekable();
        let Some(overlay) = record.overlay else {
            for entry in base {
                let (key, state) = entry?;
                with(key, state);
            }
            return Ok(());
        };
        let mut overlay = entries(overlay)?.peekable();
        loop {
            let order = match (overlay.peek(), base.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) | (Some(Err(_)), _) => Ordering::Less,
                (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
                (Some(Ok((new, _))), Some(Ok((old, _)))) => new.cmp(old),
            };
            if order == Ordering::Equal {
                base.next();
            }
            let next = if order == Ordering::Greater { base.next() } else { overlay.next() };
            let (key, state) = next.expect("the side that was peeked at has an entry")?;
            with(key, state);
        }
    }

    pub(super) fn list_definitions(&self) -> Result<Vec<(Digest, u64)>, OnlineError> {
        let txn = self.env.read_txn().map_err(|error| self.error(error))?;
        let mut definitions = Vec::new();
        for entry in self.tables.definitions.iter(&txn).map_err(|error| self.error(error))? {
            let (digest, record) = entry.map_err(|error| self.error(error))?;
            let digest = std::str::from_utf8(digest).ok().and_then(Digest::parse);
            let digest = digest.ok_or_else(|| errors::corrupt(&self.dir, "a definition is not under a digest"))?;
            definitions.push((digest, Record::from_bytes(&self.dir, record)?.keys));
        }
        Ok(definitions)
    }
}
