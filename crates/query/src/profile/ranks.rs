//! Quantiles in bounded memory, with an error that is counted as it arises (Manku, Rajagopalan and Lindsay 1998): a full
//! buffer is sorted and every other value goes one level up, where each stands for twice as many.

/// Values a level holds before it is halved.
const BUFFER: usize = 4096;

#[derive(Default)]
pub(super) struct Ranks {
    /// Level `n`: values that stand for `2^n` each.
    levels: Vec<Level>,
    values: u64,
    /// By how much a rank may be off.
    error: u64,
}

#[derive(Default)]
struct Level {
    values: Vec<i64>,
    /// Whether the next halving keeps the second of each pair: taking turns, what is lost above is won below.
    keeps_second: bool,
}

impl Ranks {
    pub(super) fn add(&mut self, value: i64) {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        self.values += 1;
        self.levels[0].values.push(value);
        let mut full = 0;
        while self.levels[full].values.len() >= BUFFER {
            if full + 1 == self.levels.len() {
                self.levels.push(Level::default());
            }
            let level = &mut self.levels[full];
            level.values.sort_unstable();
            let first = usize::from(level.keeps_second);
            level.keeps_second = !level.keeps_second;
            let kept: Vec<i64> = level.values.iter().copied().skip(first).step_by(2).collect();
            level.values.clear();
            // Under any value stands an even or an odd number of these: halved and doubled, one more or one less.
            self.error += 1 << full;
            full += 1;
            self.levels[full].values.extend(kept);
        }
    }

    /// How far off a rank may be, as a share of the values.
    pub(super) fn error(&self) -> f64 {
        if self.values == 0 { 0.0 } else { self.error as f64 / self.values as f64 }
    }

    /// The values with what each stands for, in their order.
    pub(super) fn weighted(&self) -> Vec<(i64, u64)> {
        let mut all: Vec<(i64, u64)> = Vec::new();
        for (height, level) in self.levels.iter().enumerate() {
            all.extend(level.values.iter().map(|value| (*value, 1 << height)));
        }
        all.sort_unstable();
        all
    }
}

/// For each share, ascending, the smallest of these sorted values that at least this share of all weight does not exceed.
pub(super) fn quantiles(weighted: &[(i64, u64)], shares: &[f64]) -> Vec<i64> {
    let total: u64 = weighted.iter().map(|(_, weight)| weight).sum();
    let mut found = Vec::with_capacity(shares.len());
    let mut values = weighted.iter();
    let mut so_far = 0;
    let mut last = None;
    for share in shares {
        // Rounding must not push a share past a count it just reaches.
        let wanted = ((share * total as f64) * (1.0 - 1e-12)).ceil().max(1.0) as u64;
        while so_far < wanted {
            let Some((value, weight)) = values.next() else { break };
            so_far += weight;
            last = Some(*value);
        }
        found.extend(last);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_no_further_off_than_said() {
        for rows in [1u64, 4095, 4096, 300_000, 1_000_000] {
            for order in ["rising", "falling", "mixed"] {
                let mut ranks = Ranks::default();
                for row in 0..rows {
                    ranks.add(match order {
                        "rising" => row as i64,
                        "falling" => (rows - 1 - row) as i64,
                        _ => (row * 7_919 % 1_000_003 % rows) as i64,
                    });
                }
                let mut all: Vec<i64> = (0..rows as i64).collect();
                if order == "mixed" {
                    all = (0..rows).map(|row| (row * 7_919 % 1_000_003 % rows) as i64).collect();
                    all.sort_unstable();
                }
                assert!(ranks.error() < 0.005, "{rows}: {}", ranks.error());
                let shares = [0.01, 0.25, 0.5, 0.75, 0.99];
                for (share, value) in shares.into_iter().zip(quantiles(&ranks.weighted(), &shares)) {
                    let below = all.partition_point(|other| *other < value) as f64 / rows as f64;
                    let upto = all.partition_point(|other| *other <= value) as f64 / rows as f64;
                    let slack = ranks.error() + 1.0 / rows as f64 + 1e-9;
                    assert!(below <= share + slack && upto >= share - slack, "{order} {rows} {share}: {below} {upto}");
                }
            }
        }
    }

    #[test]
    fn exact_values_give_exact_quantiles() {
        let weighted = [(10, 1), (20, 2), (30, 1)];
        assert_eq!(quantiles(&weighted, &[0.0, 0.25, 0.26, 0.75, 0.76, 1.0]), [10, 10, 20, 20, 30, 30]);
        assert!(quantiles(&[], &[0.5]).is_empty());
    }
}
