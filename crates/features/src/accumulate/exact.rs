//! Exact sums of floats, whatever the order of adding and taking away, rounded once.
//!
//! Not-a-number and the infinities are counted beside the sum, so that they too can be taken away again. An exact zero is
//! `+0.0`, whatever the signs summed.

use super::digits::{Digits, DigitsState};
use super::round::{Wide, round_narrow_quotient, round_quotient};

/// Bit 0 of digit 0 stands for 2^-1074; the largest float reaches into digit 65, carries into the ones after.
const DIGITS: usize = 68;
pub(crate) const LOWEST_EXPONENT: i32 = -1074;

#[derive(Debug, Clone)]
pub(crate) struct ExactSum {
    digits: Digits<DIGITS>,
    count: u64,
    not_a_number: u64,
    infinite: u64,
    negative_infinite: u64,
}

/// What a checkpoint keeps of an [`ExactSum`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExactState {
    pub(crate) count: u64,
    pub(crate) not_a_number: u64,
    pub(crate) infinite: u64,
    pub(crate) negative_infinite: u64,
    pub(crate) digits: DigitsState,
}

impl ExactSum {
    pub(crate) fn new() -> ExactSum {
        ExactSum { digits: Digits::new(), count: 0, not_a_number: 0, infinite: 0, negative_infinite: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.digits.clear();
        (self.count, self.not_a_number, self.infinite, self.negative_infinite) = (0, 0, 0, 0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing but numbers is in it.
    pub(crate) fn is_finite(&self) -> bool {
        self.not_a_number == 0 && self.infinite == 0 && self.negative_infinite == 0
    }

    /// The digits in use, signed, each of 32 bits' weight, the lowest first; and which it is, from the digit whose lowest
    /// bit is 2^-1074.
    pub(super) fn digits(&self) -> (&[i64], usize) {
        self.digits.used()
    }

    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        if value.is_finite() {
            self.shift(value);
        } else {
            *self.special(value) += 1;
        }
    }

    /// Takes away a value added before.
    #[inline]
    pub(crate) fn remove(&mut self, value: f64) {
        self.count -= 1;
        if value.is_finite() {
            self.shift(-value);
        } else {
            *self.special(value) -= 1;
        }
    }

    /// As [`ExactSum::add`], of an int, all of whose bits count.
    pub(crate) fn add_int(&mut self, value: i64) {
        self.count += 1;
        self.digits.add(value.unsigned_abs(), INT_POSITION, value < 0);
    }

    pub(crate) fn remove_int(&mut self, value: i64) {
        self.count -= 1;
        self.digits.add(value.unsigned_abs(), INT_POSITION, value >= 0);
    }

    fn special(&mut self, value: f64) -> &mut u64 {
        if value.is_nan() {
            &mut self.not_a_number
        } else if value > 0.0 {
            &mut self.infinite
        } else {
            &mut self.negative_infinite
        }
    }

    #[inline]
    fn shift(&mut self, value: f64) {
        let (mantissa, position) = parts(value);
        self.digits.add(mantissa, position, value.is_sign_negative());
    }

    /// The sum, rounded to nearest, ties to even.
    pub(crate) fn sum(&self) -> f64 {
        self.quotient(1)
    }

    /// The sum divided by the count, rounded once.
    pub(crate) fn mean(&self) -> f64 {
        self.quotient(self.count)
    }

    fn quotient(&self, divisor: u64) -> f64 {
        if self.not_a_number > 0 || (self.infinite > 0 && self.negative_infinite > 0) {
            return f64::NAN;
        }
        if self.infinite > 0 {
            return f64::INFINITY;
        }
        if self.negative_infinite > 0 {
            return f64::NEG_INFINITY;
        }
        let (digits, low) = self.digits();
        let exponent = LOWEST_EXPONENT + 32 * low as i32;
        if digits.is_empty() {
            return 0.0;
        }
        if let Some(narrow) = narrow(digits) {
            return round_narrow_quotient(narrow, exponent, divisor);
        }
        round_quotient(Wide::from_signed_digits(digits), exponent, divisor)
    }

    pub(crate) fn state(&self) -> ExactState {
        ExactState {
            count: self.count,
            not_a_number: self.not_a_number,
            infinite: self.infinite,
            negative_infinite: self.negative_infinite,
            digits: self.digits.state(),
        }
    }

    /// Carries on from a state, on what is empty; `None` when no sum has such a state.
    pub(crate) fn resume(&mut self, state: &ExactState) -> Option<()> {
        self.digits.resume(&state.digits)?;
        (self.count, self.not_a_number) = (state.count, state.not_a_number);
        (self.infinite, self.negative_infinite) = (state.infinite, state.negative_infinite);
        Some(())
    }
}

/// Where an int's lowest bit stands among the bits from 2^-1074 up.
const INT_POSITION: u32 = LOWEST_EXPONENT.unsigned_abs();

/// A finite float's magnitude as `mantissa * 2^(position - 1074)`.
#[inline]
pub(super) fn parts(value: f64) -> (u64, u32) {
    let bits = value.to_bits();
    let exponent = (bits >> 52) as u32 & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) }
}

/// The digits as one number, where they fit: numbers of like size need no more than four.
#[inline]
fn narrow(digits: &[i64]) -> Option<i128> {
    let (top, rest) = digits.split_last()?;
    // A digit weighs less than 2^62 whatever was added: three always fit, a fourth where it is small itself.
    if rest.len() > 3 || (rest.len() == 3 && top.unsigned_abs() >= 1 << 29) {
        return None;
    }
    Some(digits.iter().rev().fold(0i128, |number, digit| (number << 32) + i128::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn summed(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::new();
        values.iter().for_each(|value| sum.add(*value));
        sum
    }

    #[test]
    fn sums_are_those_of_pythons_fsum() {
        assert_eq!(summed(&[0.1; 10]).sum(), 1.0);
        assert_eq!(summed(&[1e308, 1e308, -1e308]).sum(), 1e308);
        assert_eq!(summed(&[1e308, 1e308]).sum(), f64::INFINITY);
        assert_eq!(summed(&[1e308, 1e308]).mean(), 1e308);
        assert_eq!(summed(&[1.0, 1e100, 1.0, -1e100]).sum(), 2.0);
        assert_eq!(summed(&[f64::from_bits(1), f64::from_bits(1)]).sum(), f64::from_bits(2));
        assert_eq!(summed(&[f64::from_bits(1), 0.0, 0.0]).mean(), 0.0);
        assert_eq!(summed(&[f64::MAX, f64::from_bits(1)]).sum(), f64::MAX);
        assert_eq!(summed(&[1.0, f64::EPSILON / 2.0]).sum(), 1.0);
        assert_eq!(summed(&[1.0, f64::EPSILON / 2.0, f64::from_bits(1)]).sum(), 1.0 + f64::EPSILON);
        assert_eq!(summed(&[1.0, 1.0, 0.0]).mean(), 2.0 / 3.0);
        assert_eq!(summed(&[-1.0, -1.0, 0.0]).mean(), -2.0 / 3.0);
    }

    #[test]
    fn zero_is_positive_and_specials_win() {
        assert_eq!(summed(&[-0.0, -0.0]).sum().to_bits(), 0.0f64.to_bits());
        assert_eq!(summed(&[1.5, -1.5]).sum().to_bits(), 0.0f64.to_bits());
        assert_eq!(summed(&[f64::INFINITY, 1.0]).sum(), f64::INFINITY);
        assert!(summed(&[f64::INFINITY, f64::NEG_INFINITY]).sum().is_nan());
        let mut sum = summed(&[f64::INFINITY, f64::NAN, 2.0]);
        sum.remove(f64::NAN);
        sum.remove(f64::INFINITY);
        assert_eq!(sum.sum(), 2.0);
    }

    fn any_float() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()),
            -1e6..1e6f64,
            Just(f64::MAX),
            Just(-f64::MAX),
            Just(f64::from_bits(1)),
        ]
    }

    /// An oracle by another road: integers as vectors of bits, schoolbook addition.
    fn sum_by_bits(values: &[f64]) -> f64 {
        // Two's complement with 2,300 bits, bit 0 is 2^-1074.
        let mut total = vec![0u8; 2300];
        for value in values {
            let bits = value.to_bits();
            let (exponent, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
            let (mantissa, at) =
                if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent as usize - 1) };
            let mut borrow_or_carry = 0i8;
            for (index, digit) in total.iter_mut().enumerate().skip(at) {
                let bit = if index - at < 53 { (mantissa >> (index - at) & 1) as i8 } else { 0 };
                let next = *digit as i8 + if *value < 0.0 { -bit } else { bit } + borrow_or_carry;
                *digit = next.rem_euclid(2) as u8;
                borrow_or_carry = next.div_euclid(2);
                if index - at >= 53 && borrow_or_carry == 0 {
                    break;
                }
            }
        }
        let negative = total[2299] == 1;
        if negative {
            let mut carry = 1;
            for bit in &mut total {
                let next = 1 - *bit + carry;
                *bit = next % 2;
                carry = next / 2;
            }
        }
        let Some(top) = total.iter().rposition(|bit| *bit == 1) else { return 0.0 };
        let last = top.saturating_sub(52);
        let mut mantissa = (last..=top).rev().fold(0u64, |mantissa, index| mantissa << 1 | u64::from(total[index]));
        if last > 0 && total[last - 1] == 1 && (mantissa & 1 == 1 || total[..last - 1].contains(&1)) {
            mantissa += 1;
        }
        let magnitude = (0..last).fold(mantissa as f64 * f64::from_bits(1), |value, _| value * 2.0);
        if negative { -magnitude } else { magnitude }
    }

    proptest! {
        #[test]
        fn any_order_gives_the_bits_of_schoolbook_arithmetic(values in prop::collection::vec(any_float(), 0..20)) {
            let expected = sum_by_bits(&values).to_bits();
            let reversed: Vec<f64> = values.iter().rev().copied().collect();
            prop_assert_eq!(summed(&values).sum().to_bits(), expected);
            prop_assert_eq!(summed(&reversed).sum().to_bits(), expected);
        }

        #[test]
        fn removing_is_the_inverse_of_adding(
            kept in prop::collection::vec(any_float(), 0..10),
            extra in prop::collection::vec(any_float(), 0..10),
        ) {
            let mut sum = summed(&extra);
            kept.iter().for_each(|value| sum.add(*value));
            extra.iter().for_each(|value| sum.remove(*value));
            prop_assert_eq!(sum.sum().to_bits(), summed(&kept).sum().to_bits());
            prop_assert_eq!(sum.count(), kept.len() as u64);
        }

        #[test]
        fn states_carry_on_where_they_stopped(
            before in prop::collection::vec(any_float(), 0..10),
            after in prop::collection::vec(any_float(), 0..10),
        ) {
            let mut resumed = ExactSum::new();
            resumed.resume(&summed(&before).state()).unwrap();
            after.iter().for_each(|value| resumed.add(*value));
            let all: Vec<f64> = before.iter().chain(&after).copied().collect();
            prop_assert_eq!(resumed.sum().to_bits(), summed(&all).sum().to_bits());
            if !all.is_empty() {
                prop_assert_eq!(resumed.mean().to_bits(), summed(&all).mean().to_bits());
            }
        }
    }
}
