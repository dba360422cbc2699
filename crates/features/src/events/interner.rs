//! Byte strings as codes: each different one is kept once.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    /// Where each code's bytes end.
    ends: Vec<usize>,
    codes: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, code: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, code)
    }

    /// Of codes that stand for text.
    pub(crate) fn text(&self, code: u32) -> &str {
        std::str::from_utf8(self.get(code)).expect("texts come from strings, or were checked when a state was decoded")
    }

    pub(crate) fn find(&self, bytes: &[u8]) -> Option<u32> {
        let same = |code: &u32| slice(&self.bytes, &self.ends, *code) == bytes;
        self.codes.find(hash(&self.hasher, bytes), same).copied()
    }

    pub(crate) fn intern(&mut self, bytes: &[u8]) -> u32 {
        let hashed = hash(&self.hasher, bytes);
        let (all, ends, hasher) = (&mut self.bytes, &mut self.ends, &self.hasher);
        let entry = self.codes.entry(
            hashed,
            |code| slice(all, ends, *code) == bytes,
            |code| hash(hasher, slice(all, ends, *code)),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(known) => *known.get(),
            hashbrown::hash_table::Entry::Vacant(free) => {
                let code = u32::try_from(ends.len()).expect("fewer than 2^32 different texts fit in memory");
                free.insert(code);
                all.extend_from_slice(bytes);
                ends.push(all.len());
                code
            }
        }
    }

    /// Appends a text that is known to be new and is not looked up again: for decoding, where codes are given.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], code: u32) -> &'a [u8] {
    let code = code as usize;
    let start = if code == 0 { 0 } else { ends[code - 1] };
    &bytes[start..ends[code]]
}

fn hash(hasher: &DefaultHashBuilder, bytes: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(bytes);
    state.finish()
}
