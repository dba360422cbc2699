//! What the databases' bytes are. Old versions must stay readable; a newer one is refused.

use std::path::Path;

use karat_core::{ErrorKind, LONGEST_KEY, OnlineError};

use super::errors;

pub(super) const FORMAT_VERSION: u32 = 1;
pub(super) const FORMAT_KEY: &[u8] = b"format";
pub(super) const NEXT_GENERATION_KEY: &[u8] = b"next_generation";

pub(super) fn accept_format(dir: &Path, version: u32) -> Result<(), OnlineError> {
    if version <= FORMAT_VERSION {
        return Ok(());
    }
    let message = format!(
        "{} has format version {version}, this Karat knows {FORMAT_VERSION}: use a newer Karat, or delete the \
         directory and materialize again",
        dir.display()
    );
    Err(OnlineError { kind: ErrorKind::Refused, message })
}

/// Numbers the fillings of the store, from 1 on.
pub(super) type Generation = u64;

/// What a definition's state consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub base: Generation,
    /// Looked into before the base.
    pub overlay: Option<Generation>,
    /// Keys in base and overlay together.
    pub keys: u64,
    pub note: &'a [u8],
}

const RECORD_HEAD: usize = 24;

impl<'a> Record<'a> {
    /// `base | overlay or 0 | keys`, eight little-endian bytes each, then the note.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_HEAD + self.note.len());
        bytes.extend(self.base.to_le_bytes());
        bytes.extend(self.overlay.unwrap_or(0).to_le_bytes());
        bytes.extend(self.keys.to_le_bytes());
        bytes.extend(self.note);
        bytes
    }

    pub fn from_bytes(dir: &Path, bytes: &'a [u8]) -> Result<Record<'a>, OnlineError> {
        let number = |at: usize| {
            let eight = bytes.get(at..at + 8).and_then(|slice| slice.try_into().ok()).map(u64::from_le_bytes);
            eight.ok_or_else(|| errors::corrupt(dir, "a definition's record is too short"))
        };
        let overlay = Some(number(8)?).filter(|generation| *generation != 0);
        Ok(Record { base: number(0)?, overlay, keys: number(16)?, note: &bytes[RECORD_HEAD..] })
    }
}

/// A key of the `states` database, built without allocation.
pub(super) struct StateKey {
    bytes: [u8; 8 + LONGEST_KEY + 1],
    length: usize,
}

impl StateKey {
    /// `key` as it is [kept](karat_core::kept_key).
    pub fn new(generation: Generation, key: &[u8]) -> StateKey {
        let mut bytes = [0; 8 + LONGEST_KEY + 1];
        bytes[..8].copy_from_slice(&generation.to_be_bytes());
        bytes[8..8 + key.len()].copy_from_slice(key);
        StateKey { bytes, length: 8 + key.len() }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The caller's key in a key of the `states` database.
pub(super) fn own_key(state_key: &[u8]) -> &[u8] {
    &state_key[8..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_and_short_ones_are_corrupt() {
        let dir = Path::new("somewhere");
        for overlay in [None, Some(9)] {
            let record = Record { base: 7, overlay, keys: 3, note: b"note" };
            let bytes = record.to_bytes();
            assert_eq!(Record::from_bytes(dir, &bytes).unwrap(), record);
            for length in 0..RECORD_HEAD {
                assert_eq!(Record::from_bytes(dir, &bytes[..length]).unwrap_err().kind, ErrorKind::Corrupt);
            }
        }
    }

    #[test]
    fn a_newer_format_is_refused() {
        assert!(accept_format(Path::new("x"), FORMAT_VERSION).is_ok());
        assert_eq!(accept_format(Path::new("x"), FORMAT_VERSION + 1).unwrap_err().kind, ErrorKind::Refused);
    }
}
