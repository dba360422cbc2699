//! Sets of encoded keys: bytes in one arena, places in a table.

use hashbrown::HashTable;

use crate::hash::stable_hash;

/// Differs from the seeds that spread keys over partitions, so that a partition's keys still spread over the table.
const SEED: u64 = 0x6b61_7261_7400_0001;

#[derive(Default)]
pub(crate) struct KeySet {
    arena: Vec<u8>,
    places: HashTable<(usize, usize)>,
}

impl KeySet {
    /// Whether the key is new.
    pub(crate) fn insert(&mut self, key: &[u8]) -> bool {
        let KeySet { arena, places } = self;
        let hash = stable_hash(key, SEED);
        if places.find(hash, |(start, end)| &arena[*start..*end] == key).is_some() {
            return false;
        }
        let start = arena.len();
        arena.extend_from_slice(key);
        places.insert_unique(hash, (start, arena.len()), |(start, end)| stable_hash(&arena[*start..*end], SEED));
        true
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let found = self.places.find(stable_hash(key, SEED), |(start, end)| &self.arena[*start..*end] == key);
        found.is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|(start, end)| &self.arena[*start..*end])
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.arena.capacity() + self.places.capacity() * (size_of::<(usize, usize)>() + 2)
    }
}
