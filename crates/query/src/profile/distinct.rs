//! HyperLogLog with the estimator of Ertl 2017 (arXiv 1702.01284, algorithm 6), which needs no corrections by range.

const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;
/// Bits of a hash that are ranked.
const RANKED: u32 = 64 - PRECISION;

/// The estimate's standard error, a share: 1.04 over the root of the registers.
pub(super) const STANDARD_ERROR: f64 = 0.008_125;

pub(super) struct HyperLogLog(Vec<u8>);

impl HyperLogLog {
    pub(super) fn new() -> HyperLogLog {
        HyperLogLog(vec![0; REGISTERS])
    }

    pub(super) fn add(&mut self, hash: u64) {
        let register = (hash >> RANKED) as usize;
        let rank = ((hash << PRECISION).leading_zeros().min(RANKED) + 1) as u8;
        self.0[register] = self.0[register].max(rank);
    }

    pub(super) fn estimate(&self) -> u64 {
        let mut counts = [0u32; RANKED as usize + 2];
        for rank in &self.0 {
            counts[*rank as usize] += 1;
        }
        let registers = REGISTERS as f64;
        let mut sum = registers * tau(1.0 - f64::from(counts[RANKED as usize + 1]) / registers);
        for rank in (1..=RANKED as usize).rev() {
            sum = 0.5 * (sum + f64::from(counts[rank]));
        }
        sum += registers * sigma(f64::from(counts[0]) / registers);
        let limit = 0.5 / std::f64::consts::LN_2;
        (limit * registers * registers / sum).round() as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::stable_hash;

    #[test]
    fn estimates_lie_within_four_standard_errors() {
        for wanted in [0u64, 1, 100, 30_000, 70_000, 200_000, 1_000_000] {
            let mut sketch = HyperLogLog::new();
            for number in 0..wanted {
                sketch.add(stable_hash(&number.to_le_bytes(), 7));
                // Seen again, it changes nothing.
                sketch.add(stable_hash(&(number / 2).to_le_bytes(), 7));
            }
            let off = sketch.estimate().abs_diff(wanted) as f64;
            assert!(off <= 4.0 * STANDARD_ERROR * wanted as f64, "{wanted}: {}", sketch.estimate());
        }
    }
}
