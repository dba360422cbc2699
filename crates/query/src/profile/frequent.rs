//! How often each value stands: exactly while there are few, else the most frequent with an error that is known
//! (Misra and Gries 1982, emptied by the median as in Anderson et al. 2017, arXiv 1705.07001).

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

use super::distinct::HyperLogLog;

/// Different values that are counted exactly, and how many counters there are after.
pub(super) const MOST_VALUES: usize = 1 << 16;
/// Bytes of text that counted values may take.
pub(super) const MOST_BYTES: usize = 4 << 20;

pub(super) struct Frequent<K> {
    counts: HashMap<K, u64>,
    bytes: usize,
    /// By how much a count may be too small; 0 while everything is exact.
    error: u64,
    distinct: Option<HyperLogLog>,
}

/// What a value costs to keep, and its hash in every version and on every machine.
pub(super) trait Counted {
    fn bytes(&self) -> usize;
    fn stable_hash(&self) -> u64;
}

/// Whether everything so far is counted exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Exact,
    /// This very value was one too many.
    Overflowed,
    Estimated,
}

impl<K: Hash + Eq + Counted> Frequent<K> {
    pub(super) fn new() -> Frequent<K> {
        Frequent { counts: HashMap::new(), bytes: 0, error: 0, distinct: None }
    }

    pub(super) fn add<Q>(&mut self, value: &Q) -> State
    where
        Q: Hash + Equivalent<K> + Counted + ?Sized,
        K: for<'a> From<&'a Q>,
    {
        if let Some(distinct) = &mut self.distinct {
            distinct.add(value.stable_hash());
        }
        if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
            return self.state();
        }
        self.bytes += value.bytes();
        self.counts.insert(K::from(value), 1);
        if self.counts.len() <= MOST_VALUES && self.bytes <= MOST_BYTES {
            return self.state();
        }
        let before = self.state();
        if self.distinct.is_none() {
            let mut distinct = HyperLogLog::new();
            self.counts.keys().for_each(|value| distinct.add(value.stable_hash()));
            self.distinct = Some(distinct);
        }
        if before == State::Estimated {
            self.make_room();
            return State::Estimated;
        }
        State::Overflowed
    }

    fn state(&self) -> State {
        if self.distinct.is_some() { State::Estimated } else { State::Exact }
    }

    /// Takes the median off every count and drops what is left with nothing.
    pub(super) fn make_room(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let taken = *median;
        self.error += taken;
        let bytes = &mut self.bytes;
        self.counts.retain(|value, count| {
            let stays = *count > taken;
            *count = count.saturating_sub(taken);
            if !stays {
                *bytes -= value.bytes();
            }
            stays
        });
    }

    /// Different values: counted, or estimated.
    pub(super) fn distinct(&self) -> u64 {
        self.distinct.as_ref().map_or(self.counts.len() as u64, HyperLogLog::estimate)
    }

    pub(super) fn is_exact(&self) -> bool {
        self.distinct.is_none()
    }

    pub(super) fn error(&self) -> u64 {
        self.error
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&K, u64)> {
        self.counts.iter().map(|(value, count)| (value, *count))
    }

    /// The `most` values with the greatest counts that are certain to be more frequent than any that is not counted; equal
    /// ones in their order.
    pub(super) fn top(&self, most: usize) -> Vec<(&K, u64)>
    where
        K: Ord,
    {
        let mut top: Vec<(&K, u64)> = self.counts().filter(|(_, count)| *count > self.error).collect();
        top.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        top.truncate(most);
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::column::Code;

    #[test]
    fn frequent_values_are_found_among_many() {
        let mut frequent: Frequent<Code> = Frequent::new();
        let mut overflowed = 0;
        let rows = 400_000;
        for row in 0..rows {
            // One row in ten is 1, one in fifty is 2, the rest never repeat.
            let value = match row % 50 {
                0 | 10 | 20 | 30 | 40 => 1,
                25 => 2,
                _ => 1_000 + row,
            };
            if frequent.add(&Code(value)) == State::Overflowed {
                overflowed += 1;
                frequent.make_room();
            }
        }
        assert_eq!(overflowed, 1);
        assert!(!frequent.is_exact());
        let top: Vec<(i64, u64)> = frequent.top(5).into_iter().map(|(code, count)| (code.0, count)).collect();
        assert_eq!(top.iter().map(|(value, _)| *value).collect::<Vec<_>>(), [1, 2]);
        for ((_, count), wanted) in top.into_iter().zip([40_000, 8_000]) {
            assert!(count <= wanted && wanted <= count + frequent.error(), "{count} {wanted} {}", frequent.error());
        }
        let distinct = frequent.distinct() as f64;
        assert!((distinct / 352_002.0 - 1.0).abs() < 0.03, "{distinct}");
    }
}
