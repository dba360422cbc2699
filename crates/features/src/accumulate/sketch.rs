//! About how many different values, in a fixed room, whatever their order and however often each comes: HyperLogLog
//! with 2^12 registers (Flajolet et al., 2007), estimated as in Ertl, "New cardinality estimation algorithms for
//! HyperLogLog sketches" (<https://arxiv.org/abs/1702.01284>), algorithm 6, which needs no tables of corrections.
//!
//! The standard error is 1.04 / sqrt(2^12) = 1.6 %. The hash is of values, never of codes, and must not change: states
//! hold what it made.

/// How many bits of a hash choose the register.
const CHOICE: u32 = 12;
pub(crate) const REGISTERS: usize = 1 << CHOICE;
/// The most a register holds: leading zeros among the bits that do not choose, and one.
pub(crate) const HIGHEST: u8 = (64 - CHOICE + 1) as u8;

#[derive(Debug, Clone, Default)]
pub(crate) struct Sketch {
    /// Empty before the first value.
    registers: Vec<u8>,
}

impl Sketch {
    pub(crate) fn clear(&mut self) {
        self.registers.fill(0);
    }

    pub(crate) fn add(&mut self, hash: u64) {
        let rank = ((hash << CHOICE).leading_zeros() as u8 + 1).min(HIGHEST);
        self.raise((hash >> (64 - CHOICE)) as usize, rank);
    }

    fn raise(&mut self, register: usize, rank: u8) {
        self.registers.resize(REGISTERS, 0);
        self.registers[register] = self.registers[register].max(rank);
    }

    /// The registers that are not zero, with what they hold.
    pub(crate) fn raised(&self) -> impl Iterator<Item = (usize, u8)> + '_ {
        self.registers.iter().copied().enumerate().filter(|(_, rank)| *rank > 0)
    }

    /// `None` where no values make such registers.
    pub(crate) fn of_raised(raised: &[(usize, u8)]) -> Option<Sketch> {
        let mut sketch = Sketch::default();
        for (register, rank) in raised {
            if *register >= REGISTERS || !(1..=HIGHEST).contains(rank) {
                return None;
            }
            sketch.raise(*register, *rank);
        }
        Some(sketch)
    }

    /// To the nearest whole number. Sums, products and square roots of floats alone, in one order: the same everywhere.
    pub(crate) fn estimate(&self) -> i64 {
        let mut counts = [0u32; HIGHEST as usize + 1];
        self.registers.iter().for_each(|rank| counts[usize::from(*rank)] += 1);
        counts[0] += (REGISTERS - self.registers.len()) as u32;
        let m = REGISTERS as f64;
        let full = f64::from(counts[usize::from(HIGHEST)]);
        let mut sum = m * tau(1.0 - full / m);
        for count in counts[1..usize::from(HIGHEST)].iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += m * sigma(f64::from(counts[0]) / m);
        // A float too large for an int becomes the largest.
        (m * m / (2.0 * std::f64::consts::LN_2 * sum)).round() as i64
    }
}

/// x + Σ x^(2^k) 2^(k-1), of the share of registers that are zero; infinite at 1.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut x, mut y, mut z) = (share, 1.0, share);
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

/// (1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3, of the share of registers that are not full.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut x, mut y, mut z) = (share, 1.0, 1.0 - share);
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

/// Of a value that is one word: a mixture that no two words share (the last step of SplitMix64).
pub(crate) fn hash_word(word: i64) -> u64 {
    let mut hash = (word as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

/// Of a text: FNV-1a of its bytes, mixed.
pub(crate) fn hash_text(text: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    hash_word(text.iter().fold(0xcbf2_9ce4_8422_2325, fold) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u64>) -> i64 {
        let mut sketch = Sketch::default();
        values.for_each(|hash| sketch.add(hash));
        sketch.estimate()
    }

    /// What was written by one Karat must be read by every later one.
    #[test]
    fn hashes_are_pinned() {
        assert_eq!(hash_word(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(hash_word(-1), 0xe4d9_7177_1b65_2c20);
        assert_eq!(hash_text(b""), hash_word(0xcbf2_9ce4_8422_2325_u64 as i64));
        assert_eq!(hash_text(b"a"), hash_word(0xaf63_dc4c_8601_ec8c_u64 as i64));
    }

    #[test]
    fn the_error_is_the_one_stated() {
        assert_eq!(of(std::iter::empty()), 0);
        for count in 1..=10 {
            assert_eq!(of((0..count).map(hash_word)), count);
        }
        let mut within_two = 0;
        let sizes = [100i64, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000];
        for (round, size) in sizes.into_iter().cycle().take(80).enumerate() {
            let first = round as i64 * 10_000_000;
            let error = (of((first..first + size).map(hash_word)) - size) as f64 / size as f64;
            assert!(error.abs() < 4.5 * 0.01625, "{size}: {error}");
            within_two += usize::from(error.abs() <= 2.0 * 0.01625);
        }
        // Nineteen of twenty lie within two standard errors.
        assert!(within_two >= 72, "{within_two} of 80");
        let cities = of((0..5_000).map(|city| hash_text(format!("city {city}").as_bytes())));
        assert!((cities - 5_000).abs() < 250, "{cities}");
    }

    #[test]
    fn order_and_repetition_do_not_matter_and_states_come_back() {
        let mut sketch = Sketch::default();
        (0..500).for_each(|value| sketch.add(hash_word(value)));
        let mut other = Sketch::default();
        (0..500).rev().chain(100..200).for_each(|value| other.add(hash_word(value)));
        assert_eq!(sketch.registers, other.registers);
        let raised: Vec<(usize, u8)> = sketch.raised().collect();
        assert_eq!(Sketch::of_raised(&raised).unwrap().registers, sketch.registers);
        assert!(Sketch::of_raised(&[(REGISTERS, 1)]).is_none());
        assert!(Sketch::of_raised(&[(0, HIGHEST + 1)]).is_none());
        other.clear();
        assert_eq!(other.estimate(), 0);
    }

    #[test]
    fn a_sketch_beyond_measure_has_an_estimate() {
        let full: Vec<(usize, u8)> = (0..REGISTERS).map(|register| (register, HIGHEST)).collect();
        assert_eq!(Sketch::of_raised(&full).unwrap().estimate(), i64::MAX);
    }
}
