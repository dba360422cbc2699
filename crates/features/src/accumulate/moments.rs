//! Variance and standard deviation of a sample: exact sums of x and x², and of what follows from them one rounding.
//!
//! With n values, the variance is (n·Σx² - (Σx)²) / (n·(n - 1)). Both sums are kept exactly, so the numerator is an exact
//! whole number of 2^-2148ths; the quotient, or its root, is rounded to the nearest float, ties to even.

use super::digits::{Digits, DigitsState};
use super::exact::{ExactState, ExactSum, LOWEST_EXPONENT, parts};
use super::natural::Natural;
use super::round::round_narrow_quotient;

/// Bit 0 of digit 0 stands for 2^-2148; the largest square reaches into digit 131, carries into the ones after.
const DIGITS: usize = 136;
const LOWEST_SQUARE: i32 = 2 * LOWEST_EXPONENT;
/// Digits of zeros put below the numerator: the quotient by two 64-bit counts keeps at least 128 significant bits.
const EXTRA: usize = 8;

#[derive(Debug, Clone)]
pub(crate) struct Moments {
    /// It counts, too, and keeps what is no number.
    sum: ExactSum,
    squares: Digits<DIGITS>,
}

impl Moments {
    pub(crate) fn new() -> Moments {
        Moments { sum: ExactSum::new(), squares: Digits::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.sum.clear();
        self.squares.clear();
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.sum.add(value);
        self.square(value, false);
    }

    pub(crate) fn remove(&mut self, value: f64) {
        self.sum.remove(value);
        self.square(value, true);
    }

    pub(crate) fn add_int(&mut self, value: i64) {
        self.sum.add_int(value);
        self.square_magnitude(value.unsigned_abs(), LOWEST_EXPONENT.unsigned_abs(), false);
    }

    pub(crate) fn remove_int(&mut self, value: i64) {
        self.sum.remove_int(value);
        self.square_magnitude(value.unsigned_abs(), LOWEST_EXPONENT.unsigned_abs(), true);
    }

    fn square(&mut self, value: f64, away: bool) {
        if value.is_finite() {
            let (mantissa, position) = parts(value);
            self.square_magnitude(mantissa, position, away);
        }
    }

    fn square_magnitude(&mut self, mantissa: u64, position: u32, away: bool) {
        let square = u128::from(mantissa) * u128::from(mantissa);
        self.squares.add(square as u64, 2 * position, away);
        self.squares.add((square >> 64) as u64, 2 * position + 64, away);
    }

    /// Rounded once; null under two values, not a number where one of them is none or is infinite.
    pub(crate) fn variance(&self) -> Option<f64> {
        self.rounded(|quotient, exponent, inexact| {
            let (window, shift, below) = quotient.highest(125);
            round_narrow_quotient((window << 1 | u128::from(below || inexact)) as i128, exponent + shift - 1, 1)
        })
    }

    /// The root of the exact variance, rounded once; where there is no variance, there is none.
    pub(crate) fn stddev(&self) -> Option<f64> {
        self.rounded(|quotient, exponent, inexact| {
            // An even exponent, so that its half is the root's.
            let bits = if (exponent + quotient.bits() as i32) % 2 == 0 { 126 } else { 125 };
            let (window, shift, below) = quotient.highest(bits);
            let root = window.isqrt();
            let inexact = inexact || below || root * root != window;
            round_narrow_quotient((root << 1 | u128::from(inexact)) as i128, (exponent + shift) / 2 - 1, 1)
        })
    }

    /// Hands the quotient's whole part in units of 2^exponent, and whether anything remains, to who rounds it.
    fn rounded(&self, round: impl Fn(&Natural, i32, bool) -> f64) -> Option<f64> {
        let count = self.sum.count();
        if count < 2 {
            return None;
        }
        if !self.sum.is_finite() {
            return Some(f64::NAN);
        }
        let (mut quotient, exponent) = self.numerator(count);
        if quotient.is_zero() {
            return Some(0.0);
        }
        quotient.shift_digits(EXTRA);
        // A quotient of a quotient has the whole part of one by the product, and a remainder where that has one.
        let remains = quotient.divide(count);
        let inexact = quotient.divide(count - 1) || remains;
        Some(round(&quotient, exponent - 32 * EXTRA as i32, inexact))
    }

    /// n·Σx² - (Σx)², and the exponent of its lowest bit. Never negative (Cauchy and Schwarz).
    fn numerator(&self, count: u64) -> (Natural, i32) {
        let (squares, squares_low) = self.squares.used();
        let (sum, sum_low) = self.sum.digits();
        let common = squares_low.min(2 * sum_low);
        let mut numerator = Natural::of_signed_digits(squares);
        numerator.shift_digits(squares_low - common);
        numerator.multiply(count);
        let mut square = Natural::of_signed_digits(sum).squared();
        square.shift_digits(2 * sum_low - common);
        numerator.subtract(&square);
        (numerator, LOWEST_SQUARE + 32 * common as i32)
    }

    pub(crate) fn state(&self) -> (ExactState, DigitsState) {
        (self.sum.state(), self.squares.state())
    }

    /// Carries on from a state, on what is empty; `None` when no moments have such a state.
    pub(crate) fn resume(&mut self, sum: &ExactState, squares: &DigitsState) -> Option<()> {
        self.sum.resume(sum)?;
        self.squares.resume(squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::new();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    #[test]
    fn the_least_the_greatest_and_what_cancels() {
        assert_eq!(of(&[]).variance(), None);
        assert_eq!(of(&[f64::NAN]).stddev(), None);
        assert_eq!(of(&[0.1; 7]).variance(), Some(0.0));
        assert_eq!(of(&[1.0, 2.0]).variance(), Some(0.5));
        assert_eq!(of(&[1.0, 2.0]).stddev(), Some(0.5f64.sqrt()));
        // Far from zero nothing is lost: sums of squares in floats would answer 0 here.
        assert_eq!(of(&[1e15 + 1.0, 1e15 + 2.0, 1e15 + 3.0]).variance(), Some(1.0));
        // The square of a large spread is no float, and its root is one.
        assert_eq!(of(&[-1e300, 0.0, 1e300]).variance(), Some(f64::INFINITY));
        assert_eq!(of(&[-1e300, 0.0, 1e300]).stddev(), Some(1e300));
        // 2^-1074 and zero: half a square of it is nothing, the root of that is the least float once more.
        assert_eq!(of(&[f64::from_bits(1), 0.0]).variance(), Some(0.0));
        assert_eq!(of(&[f64::from_bits(1), 0.0]).stddev(), Some(f64::from_bits(1)));
        assert!(of(&[f64::INFINITY, 1.0]).variance().is_some_and(f64::is_nan));
        let mut moments = of(&[f64::INFINITY, 1.0, 2.0]);
        moments.remove(f64::INFINITY);
        assert_eq!(moments.variance(), Some(0.5));
        let mut ints = Moments::new();
        [i64::MIN, i64::MAX].into_iter().for_each(|int| ints.add_int(int));
        // (2^64 - 1)² / 2, to the nearest float.
        assert_eq!(ints.variance(), Some(2f64.powi(127)));
    }

    /// Whether no float is nearer to `exact` = `numerator / denominator` than `found`.
    fn is_nearest(found: f64, numerator: u128, denominator: u128) -> bool {
        let up = f64::from_bits(found.to_bits() + 1);
        let down = f64::from_bits(found.to_bits().saturating_sub(1));
        // Halves of neighbours are exact here: in units of 2^-60, of numbers below 2^20.
        let scaled = |float: f64| (float * 2f64.powi(60)) as u128;
        let (low, high) = (scaled(down) + scaled(found), scaled(up) + scaled(found));
        let twice = numerator << 61;
        low * denominator <= twice && twice <= high * denominator
    }

    proptest! {
        #[test]
        fn variances_of_small_ints_are_the_nearest_floats(values in prop::collection::vec(-200..200i64, 2..12)) {
            let mut moments = Moments::new();
            values.iter().for_each(|value| moments.add_int(*value));
            let count = values.len() as i64;
            let sum: i64 = values.iter().sum();
            let numerator = (count * values.iter().map(|value| value * value).sum::<i64>() - sum * sum) as u128;
            let found = moments.variance().unwrap();
            prop_assert!(found == 0.0 || is_nearest(found, numerator, (count * (count - 1)) as u128), "{found}");
            let floats: Vec<f64> = values.iter().map(|value| *value as f64).collect();
            prop_assert_eq!(of(&floats).variance(), Some(found));
            // A root found by float arithmetic is at most one float away; exact squares are met.
            let root = moments.stddev().unwrap();
            prop_assert!(root.to_bits().abs_diff(found.sqrt().to_bits()) <= 1, "{root}");
            prop_assert!(found.sqrt().fract() != 0.0 || found.fract() != 0.0 || root == found.sqrt());
        }

        /// The root of a square is that number, whatever its size.
        #[test]
        fn spreads_of_two_are_exact(value in any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite())) {
            // Of (x, 0, -x) the variance is x².
            let root = of(&[value, 0.0, -value]).stddev();
            prop_assert_eq!(root, Some(value.abs()));
        }

        #[test]
        fn states_carry_on(
            before in prop::collection::vec(-1e9..1e9f64, 0..6),
            after in prop::collection::vec(-1e-9..1e-9f64, 0..6),
        ) {
            let (sum, squares) = of(&before).state();
            let mut resumed = Moments::new();
            resumed.resume(&sum, &squares).unwrap();
            after.iter().for_each(|value| resumed.add(*value));
            let whole: Vec<f64> = before.iter().chain(&after).copied().collect();
            prop_assert_eq!(resumed.variance(), of(&whole).variance());
            prop_assert_eq!(resumed.stddev(), of(&whole).stddev());
        }
    }
}
