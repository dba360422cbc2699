//! Accumulators: exact, blind to order, and able to take away what they added, so that windows slide.
//!
//! Nulls are skipped before they get here. Floats: a sum or mean is exact and rounded once, `+0.0` where it is zero;
//! for `min` and `max` not-a-number is the greatest value and `-0.0` is less than `0.0`; for `distinct` every
//! not-a-number is one value and so are the zeros. A sum of ints beyond 64 bits is null. A sketch cannot take away: it
//! begins afresh where a window slides.

mod digits;
mod exact;
mod moments;
mod natural;
mod ordered;
mod round;
mod sketch;

use std::cmp::Ordering;
use std::collections::VecDeque;

use hashbrown::HashMap;
use karat_core::DataType;

use crate::events::{Texts, compare};
use crate::view::SlotKind;
pub(crate) use digits::DigitsState;
pub(crate) use exact::{ExactState, ExactSum};
pub(crate) use moments::Moments;
use ordered::{Ordered, sortable};
use round::round_narrow_quotient;
pub(crate) use sketch::{REGISTERS, Sketch, hash_text, hash_word};

#[derive(Debug, Clone)]
pub(crate) enum Accumulator {
    Count(u64),
    Ints {
        sum: i128,
        count: u64,
    },
    Floats(ExactSum),
    Moments(Moments),
    /// The least or greatest of a stretch that only grows.
    Best(Option<i64>),
    /// The least or greatest of a stretch that slides: candidates with their places, the best first.
    Candidates(VecDeque<(u32, i64)>),
    /// How often each value occurs.
    Distinct(HashMap<i64, u32>),
    Sketch(Sketch),
    /// Every value.
    Ordered(Ordered),
    Share {
        yes: u64,
        count: u64,
    },
    /// The value is read off the stretch itself, or off what another slot accumulates.
    Nothing,
}

/// What an accumulator needs to know of its slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meaning<'a> {
    pub(crate) kind: SlotKind,
    /// The type of what is accumulated; of whole rows, any.
    pub(crate) of: DataType,
    pub(crate) texts: &'a Texts,
}

impl Accumulator {
    pub(crate) fn new(kind: SlotKind, of: DataType, slides: bool) -> Accumulator {
        match kind {
            SlotKind::Count => Accumulator::Count(0),
            SlotKind::Sum | SlotKind::Mean if of == DataType::Float => Accumulator::Floats(ExactSum::new()),
            SlotKind::Sum | SlotKind::Mean => Accumulator::Ints { sum: 0, count: 0 },
            SlotKind::Variance | SlotKind::Stddev => Accumulator::Moments(Moments::new()),
            SlotKind::Min | SlotKind::Max if slides => Accumulator::Candidates(VecDeque::new()),
            SlotKind::Min | SlotKind::Max => Accumulator::Best(None),
            SlotKind::Quantile(_) => Accumulator::Ordered(Ordered::default()),
            SlotKind::Distinct => Accumulator::Distinct(HashMap::new()),
            SlotKind::ApproxDistinct => Accumulator::Sketch(Sketch::default()),
            SlotKind::Share => Accumulator::Share { yes: 0, count: 0 },
            SlotKind::First | SlotKind::Last | SlotKind::TimeSince | SlotKind::List | SlotKind::Unread => {
                Accumulator::Nothing
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Accumulator::Count(count) => *count = 0,
            Accumulator::Ints { sum, count } => (*sum, *count) = (0, 0),
            Accumulator::Floats(sum) => sum.clear(),
            Accumulator::Moments(moments) => moments.clear(),
            Accumulator::Best(best) => *best = None,
            Accumulator::Candidates(candidates) => candidates.clear(),
            Accumulator::Distinct(counts) => counts.clear(),
            Accumulator::Sketch(sketch) => sketch.clear(),
            Accumulator::Ordered(ordered) => ordered.clear(),
            Accumulator::Share { yes, count } => (*yes, *count) = (0, 0),
            Accumulator::Nothing => {}
        }
    }

    /// Adds a cell that is not null; `place` grows from call to call.
    #[inline]
    pub(crate) fn add(&mut self, word: i64, place: u32, meaning: Meaning<'_>) {
        match self {
            Accumulator::Count(count) => *count += 1,
            Accumulator::Ints { sum, count } => {
                *sum += i128::from(word);
                *count += 1;
            }
            Accumulator::Floats(sum) => sum.add(f64::from_bits(word as u64)),
            Accumulator::Moments(moments) if meaning.of == DataType::Int => moments.add_int(word),
            Accumulator::Moments(moments) => moments.add(f64::from_bits(word as u64)),
            Accumulator::Best(best) => {
                let word = canonical(word, meaning.of);
                if best.is_none_or(|best| meaning.prefers(word, best)) {
                    *best = Some(word);
                }
            }
            Accumulator::Candidates(candidates) => {
                let word = canonical(word, meaning.of);
                while candidates.back().is_some_and(|(_, other)| !meaning.prefers(*other, word)) {
                    candidates.pop_back();
                }
                candidates.push_back((place, word));
            }
            Accumulator::Distinct(counts) => *counts.entry(equal_form(word, meaning.of)).or_insert(0) += 1,
            Accumulator::Sketch(sketch) => sketch.add(match meaning.of {
                DataType::Text => hash_text(meaning.texts.get(word as u32)),
                of => hash_word(equal_form(word, of)),
            }),
            Accumulator::Ordered(ordered) => ordered.add(order_form(word, meaning.of)),
            Accumulator::Share { yes, count } => {
                *yes += u64::from(word == 1);
                *count += 1;
            }
            Accumulator::Nothing => {}
        }
    }

    /// Takes away the cell added first of those still here.
    #[inline]
    pub(crate) fn remove(&mut self, word: i64, place: u32, meaning: Meaning<'_>) {
        match self {
            Accumulator::Count(count) => *count -= 1,
            Accumulator::Ints { sum, count } => {
                *sum -= i128::from(word);
                *count -= 1;
            }
            Accumulator::Floats(sum) => sum.remove(f64::from_bits(word as u64)),
            Accumulator::Moments(moments) if meaning.of == DataType::Int => moments.remove_int(word),
            Accumulator::Moments(moments) => moments.remove(f64::from_bits(word as u64)),
            Accumulator::Best(_) => unreachable!("a stretch that slides keeps candidates"),
            Accumulator::Sketch(_) => unreachable!("a sketch begins afresh where its stretch slides"),
            Accumulator::Ordered(ordered) => ordered.remove(order_form(word, meaning.of)),
            Accumulator::Candidates(candidates) => {
                if candidates.front().is_some_and(|(first, _)| *first <= place) {
                    candidates.pop_front();
                }
            }
            Accumulator::Distinct(counts) => {
                let word = equal_form(word, meaning.of);
                match counts.get_mut(&word) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => {
                        counts.remove(&word);
                    }
                }
            }
            Accumulator::Share { yes, count } => {
                *yes -= u64::from(word == 1);
                *count -= 1;
            }
            Accumulator::Nothing => {}
        }
    }

    /// Whether what was added can be taken away again.
    pub(crate) fn takes_away(&self) -> bool {
        !matches!(self, Accumulator::Sketch(_))
    }

    /// Renames the words it holds: texts have other codes in another table.
    pub(crate) fn rename(&mut self, mut name: impl FnMut(i64) -> i64) {
        match self {
            Accumulator::Best(Some(best)) => *best = name(*best),
            Accumulator::Candidates(candidates) => candidates.iter_mut().for_each(|(_, word)| *word = name(*word)),
            Accumulator::Distinct(counts) => {
                *counts = std::mem::take(counts).into_iter().map(|(word, count)| (name(word), count)).collect();
            }
            _ => {}
        }
    }

    /// The value, as a cell of the slot's type.
    #[inline]
    pub(crate) fn value(&mut self, meaning: Meaning<'_>) -> Option<i64> {
        let kind = meaning.kind;
        let float = |value: f64| Some(value.to_bits() as i64);
        match self {
            Accumulator::Count(count) => Some(*count as i64),
            Accumulator::Ints { count: 0, .. } => None,
            Accumulator::Ints { sum, count } if kind == SlotKind::Mean => float(round_narrow_quotient(*sum, 0, *count)),
            Accumulator::Ints { sum, .. } => i64::try_from(*sum).ok(),
            Accumulator::Floats(sum) if sum.count() == 0 => None,
            Accumulator::Floats(sum) if kind == SlotKind::Mean => float(sum.mean()),
            Accumulator::Floats(sum) => float(sum.sum()),
            Accumulator::Moments(moments) if kind == SlotKind::Variance => moments.variance().and_then(float),
            Accumulator::Moments(moments) => moments.stddev().and_then(float),
            Accumulator::Best(best) => *best,
            Accumulator::Candidates(candidates) => candidates.front().map(|(_, word)| *word),
            Accumulator::Distinct(counts) => Some(counts.len() as i64),
            Accumulator::Sketch(sketch) => Some(sketch.estimate()),
            Accumulator::Ordered(ordered) => match kind {
                SlotKind::Quantile(q) => ordered.quantile(q.get(), meaning.of).and_then(float),
                _ => None,
            },
            Accumulator::Share { count: 0, .. } => None,
            // Both are exact up to 2^53 rows, so the division rounds once.
            Accumulator::Share { yes, count } => float(*yes as f64 / *count as f64),
            Accumulator::Nothing => None,
        }
    }
}

impl Meaning<'_> {
    /// Whether `a` is strictly better than `b`.
    #[inline]
    fn prefers(self, a: i64, b: i64) -> bool {
        let better = if self.kind == SlotKind::Min { Ordering::Less } else { Ordering::Greater };
        compare(self.of, Some(a), Some(b), self.texts) == better
    }
}

/// One not-a-number for all of them; positive, so that IEEE's total order puts it last.
fn canonical(word: i64, of: DataType) -> i64 {
    if of == DataType::Float && f64::from_bits(word as u64).is_nan() { f64::NAN.to_bits() as i64 } else { word }
}

/// Equal words for values that SQL calls equal.
fn equal_form(word: i64, of: DataType) -> i64 {
    if of == DataType::Float && f64::from_bits(word as u64) == 0.0 { 0 } else { canonical(word, of) }
}

/// Words that sort as the numbers they stand for.
fn order_form(word: i64, of: DataType) -> i64 {
    if of == DataType::Float { sortable(equal_form(word, of)) } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use karat_project::spec::Fraction;
    use proptest::prelude::*;

    fn cell(of: DataType) -> BoxedStrategy<i64> {
        match of {
            DataType::Bool => (0..2i64).boxed(),
            DataType::Float => prop_oneof![
                prop::sample::select(vec![
                    0.0,
                    -0.0,
                    f64::NAN,
                    -f64::NAN,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    1.5,
                    1e300
                ]),
                -3.0..3.0f64,
            ]
            .prop_map(|value| value.to_bits() as i64)
            .boxed(),
            _ => prop_oneof![-3..3i64, Just(i64::MAX), Just(i64::MIN)].boxed(),
        }
    }

    fn cases() -> impl Strategy<Value = (SlotKind, DataType, Vec<i64>)> {
        use SlotKind::{Count, Distinct, Max, Mean, Min, Quantile, Share, Stddev, Sum, Variance};
        let q = |q| Quantile(Fraction::new(q).unwrap());
        let kinds = prop::sample::select(vec![
            (Count, DataType::Int),
            (Sum, DataType::Int),
            (Sum, DataType::Float),
            (Mean, DataType::Int),
            (Mean, DataType::Float),
            (Variance, DataType::Int),
            (Variance, DataType::Float),
            (Stddev, DataType::Int),
            (Stddev, DataType::Float),
            (q(0.0), DataType::Float),
            (q(0.3), DataType::Float),
            (q(0.5), DataType::Int),
            (Min, DataType::Float),
            (Max, DataType::Float),
            (Min, DataType::Int),
            (Max, DataType::Timestamp),
            (Distinct, DataType::Float),
            (Distinct, DataType::Int),
            (Share, DataType::Bool),
        ]);
        kinds.prop_flat_map(|(kind, of)| (Just(kind), Just(of), prop::collection::vec(cell(of), 0..30)))
    }

    proptest! {
        /// A window slid over the cells has, wherever it stands, the bits of one filled afresh.
        #[test]
        fn removing_undoes_adding((kind, of, words) in cases(), width in 1usize..6) {
            let texts = Texts::default();
            let meaning = Meaning { kind, of, texts: &texts };
            let mut slid = Accumulator::new(kind, of, true);
            for (end, word) in words.iter().enumerate() {
                slid.add(*word, end as u32, meaning);
                if end >= width {
                    slid.remove(words[end - width], (end - width) as u32, meaning);
                }
                let mut fresh = Accumulator::new(kind, of, false);
                let start = (end + 1).saturating_sub(width);
                // In the opposite order too: the order must not matter.
                for (place, word) in words[start..=end].iter().rev().enumerate() {
                    fresh.add(*word, place as u32, meaning);
                }
                prop_assert_eq!(slid.value(meaning), fresh.value(meaning));
            }
        }
    }

    #[test]
    fn int_sums_beyond_64_bits_are_null_and_their_means_are_not() {
        let texts = Texts::default();
        let meaning = Meaning { kind: SlotKind::Sum, of: DataType::Int, texts: &texts };
        let mut sum = Accumulator::new(SlotKind::Sum, DataType::Int, false);
        sum.add(i64::MAX, 0, meaning);
        sum.add(i64::MAX, 1, meaning);
        assert_eq!(sum.value(meaning), None);
        let mean = Meaning { kind: SlotKind::Mean, ..meaning };
        assert_eq!(sum.value(mean), Some((i64::MAX as f64).to_bits() as i64));
        sum.add(-i64::MAX, 2, meaning);
        assert_eq!(sum.value(meaning), Some(i64::MAX));
    }
}
