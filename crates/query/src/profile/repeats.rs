//! How many rows repeat an earlier one, by 64-bit hashes: in memory as long as they fit, else by partitions on disk.

use std::path::{Path, PathBuf};

use hashbrown::HashSet;

use crate::Result;
use crate::stage::unique::{Marked, Partitions};

pub(super) struct Repeats {
    budget: usize,
    temp_dir: PathBuf,
    seen: HashSet<u64>,
    repeated: u64,
    spilled: Option<(Partitions, u64)>,
}

impl Repeats {
    pub(super) fn new(temp_dir: &Path, budget: usize) -> Repeats {
        Repeats { budget, temp_dir: temp_dir.to_owned(), seen: HashSet::new(), repeated: 0, spilled: None }
    }

    pub(super) fn add(&mut self, hashes: &[u64]) -> Result<()> {
        for hash in hashes {
            match &mut self.spilled {
                None => self.repeated += u64::from(!self.seen.insert(*hash)),
                Some((partitions, rows)) => {
                    partitions.push(*rows, &hash.to_le_bytes())?;
                    *rows += 1;
                }
            }
        }
        // A set's place takes its hash and a byte, and may be half empty.
        if self.spilled.is_none() && self.seen.capacity() * 9 > self.budget {
            let mut partitions = Partitions::new(&self.temp_dir, 1)?;
            for hash in std::mem::take(&mut self.seen) {
                partitions.push_seen(&hash.to_le_bytes())?;
            }
            self.spilled = Some((partitions, 0));
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<u64> {
        let Some((partitions, rows)) = self.spilled else { return Ok(self.repeated) };
        let mut repeated = Marked::new(rows);
        partitions.find_repeated(&self.temp_dir, self.budget, &mut repeated)?;
        Ok(self.repeated + repeated.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_alike_in_memory_and_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let hashes: Vec<u64> =
            (0..50_000u64).map(|row| (row * 7 % 40_000).wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        for budget in [64 << 20, 100_000, 1_000] {
            let mut repeats = Repeats::new(folder.path(), budget);
            hashes.chunks(1000).for_each(|chunk| repeats.add(chunk).unwrap());
            assert_eq!(repeats.finish().unwrap(), 10_000, "budget {budget}");
        }
    }
}
