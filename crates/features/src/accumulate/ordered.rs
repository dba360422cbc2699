//! Numbers in their order, for quantiles: every one of them is kept.

use karat_core::DataType;

/// The numbers of a stretch, as words that sort as they do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ordered {
    words: Vec<i64>,
    /// How many of the first stand in their order; the rest came after.
    sorted: usize,
}

impl Ordered {
    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.sorted = 0;
    }

    pub(crate) fn add(&mut self, word: i64) {
        self.words.push(word);
    }

    /// Takes away one that was added before.
    pub(crate) fn remove(&mut self, word: i64) {
        self.sort();
        if let Ok(place) = self.words.binary_search(&word) {
            self.words.remove(place);
            self.sorted -= 1;
        }
    }

    fn sort(&mut self) {
        if self.sorted < self.words.len() {
            // A stable sort finds what is in order already and only merges the rest into it.
            self.words.sort();
            self.sorted = self.words.len();
        }
    }

    /// Between the two numbers nearest to `q * (n - 1)` linearly, in numpy's own steps (`method="linear"`); null of none,
    /// not a number where one of them is none.
    pub(crate) fn quantile(&mut self, q: f64, of: DataType) -> Option<f64> {
        self.sort();
        let last = self.words.len().checked_sub(1)?;
        let place = last as f64 * q;
        let below = (place.floor() as usize).min(last);
        let above = (below + 1).min(last);
        let share = place - below as f64;
        if of == DataType::Int {
            let (low, high) = (self.words[below], self.words[above]);
            let apart = (i128::from(high) - i128::from(low)) as f64;
            return Some(between(low as f64, high as f64, apart, share));
        }
        let number = |place: usize| f64::from_bits(sortable(self.words[place]) as u64);
        // Not-a-number stands last.
        if number(last).is_nan() {
            return Some(f64::NAN);
        }
        let (low, high) = (number(below), number(above));
        Some(between(low, high, high - low, share))
    }
}

fn between(low: f64, high: f64, apart: f64, share: f64) -> f64 {
    // The sums make a negative zero positive.
    match () {
        () if share == 0.0 || low == high => low + 0.0,
        // Where numpy gives up: infinities, and numbers further apart than a float tells.
        () if low.is_infinite() || high.is_infinite() => low + high,
        () if apart.is_infinite() => low * (1.0 - share) + high * share,
        () if share >= 0.5 => high - apart * (1.0 - share) + 0.0,
        () => low + apart * share + 0.0,
    }
}

/// A float's bits as a word that sorts in IEEE's total order; and back.
pub(super) fn sortable(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], q: f64) -> Option<f64> {
        let mut ordered = Ordered::default();
        values.iter().for_each(|value| ordered.add(sortable(value.to_bits() as i64)));
        ordered.quantile(q, DataType::Float)
    }

    #[test]
    fn ends_and_between() {
        assert_eq!(of(&[], 0.5), None);
        assert_eq!(of(&[3.0], 0.9), Some(3.0));
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
        assert_eq!(of(&[4.0, -1.0], 0.0), Some(-1.0));
        assert_eq!(of(&[4.0, -1.0], 1.0), Some(4.0));
        assert_eq!(of(&[f64::NEG_INFINITY, 1.0, f64::INFINITY, f64::INFINITY], 1.0), Some(f64::INFINITY));
        assert_eq!(of(&[f64::INFINITY, f64::INFINITY], 0.3), Some(f64::INFINITY));
        assert!(of(&[1.0, f64::NAN, 2.0], 0.0).is_some_and(f64::is_nan));
        assert_eq!(of(&[f64::NEG_INFINITY, 1.0], 0.2), Some(f64::NEG_INFINITY));
        assert_eq!(of(&[1.0, f64::INFINITY], 0.8), Some(f64::INFINITY));
        assert_eq!(of(&[-f64::MAX, f64::MAX], 0.5), Some(0.0));
        assert_eq!(of(&[-0.0, -0.0, -1.0], 0.75).map(f64::to_bits), Some(0));
        let mut ints = Ordered::default();
        [i64::MAX, i64::MIN].into_iter().for_each(|int| ints.add(int));
        assert_eq!(ints.quantile(0.5, DataType::Int), Some(0.0));
    }
}
