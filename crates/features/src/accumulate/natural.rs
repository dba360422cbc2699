//! Whole numbers of any size, as far as variances need them. Nothing here fails, whatever the numbers: forged states may
//! hold sums that no values have.

use std::cmp::Ordering;

/// Digits of 32 bits, the lowest first, the topmost not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Natural {
    digits: Vec<u32>,
}

impl Natural {
    /// The magnitude of a number whose digits are signed and overlap.
    pub(super) fn of_signed_digits(source: &[i64]) -> Natural {
        let mut digits = Vec::with_capacity(source.len() + 2);
        let mut carried = 0i64;
        for digit in source {
            let total = digit + carried;
            digits.push(total as u32);
            carried = total >> 32;
        }
        digits.push(carried as u32);
        digits.push((carried >> 32) as u32);
        if carried < 0 {
            let mut carry = true;
            for digit in &mut digits {
                let (flipped, overflowed) = (!*digit).overflowing_add(u32::from(carry));
                *digit = flipped;
                carry = overflowed;
            }
        }
        let mut natural = Natural { digits };
        natural.trim();
        natural
    }

    fn trim(&mut self) {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// How many bits it has, from the highest that is set.
    pub(super) fn bits(&self) -> usize {
        self.digits.last().map_or(0, |top| 32 * self.digits.len() - top.leading_zeros() as usize)
    }

    /// Multiplies by 2^32 so many times.
    pub(super) fn shift_digits(&mut self, digits: usize) {
        if !self.is_zero() {
            self.digits.splice(0..0, std::iter::repeat_n(0, digits));
        }
    }

    pub(super) fn multiply(&mut self, factor: u64) {
        let mut carried = 0u128;
        for digit in &mut self.digits {
            let total = u128::from(*digit) * u128::from(factor) + carried;
            *digit = total as u32;
            carried = total >> 32;
        }
        while carried > 0 {
            self.digits.push(carried as u32);
            carried >>= 32;
        }
        self.trim();
    }

    pub(super) fn squared(&self) -> Natural {
        let mut digits = vec![0u32; 2 * self.digits.len()];
        for (place, one) in self.digits.iter().enumerate() {
            let mut carried = 0u64;
            for (digit, other) in digits[place..].iter_mut().zip(&self.digits) {
                let total = u64::from(*one) * u64::from(*other) + u64::from(*digit) + carried;
                *digit = total as u32;
                carried = total >> 32;
            }
            digits[place + self.digits.len()] = carried as u32;
        }
        let mut natural = Natural { digits };
        natural.trim();
        natural
    }

    /// Down to zero at most.
    pub(super) fn subtract(&mut self, other: &Natural) {
        if self.compare(other) != Ordering::Greater {
            self.digits.clear();
            return;
        }
        let mut borrowed = false;
        for (place, digit) in self.digits.iter_mut().enumerate() {
            let (less, first) = digit.overflowing_sub(other.digits.get(place).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(u32::from(borrowed));
            *digit = less;
            borrowed = first || second;
        }
        self.trim();
    }

    fn compare(&self, other: &Natural) -> Ordering {
        let lengths = self.digits.len().cmp(&other.digits.len());
        lengths.then_with(|| self.digits.iter().rev().cmp(other.digits.iter().rev()))
    }

    /// Divides by a number that is not zero; says whether anything remains.
    pub(super) fn divide(&mut self, divisor: u64) -> bool {
        let mut remainder = 0u64;
        for digit in self.digits.iter_mut().rev() {
            if divisor <= u64::from(u32::MAX) {
                let dividend = remainder << 32 | u64::from(*digit);
                *digit = (dividend / divisor) as u32;
                remainder = dividend % divisor;
            } else {
                let dividend = u128::from(remainder) << 32 | u128::from(*digit);
                *digit = (dividend / u128::from(divisor)) as u32;
                remainder = (dividend % u128::from(divisor)) as u64;
            }
        }
        self.trim();
        remainder != 0
    }

    /// Its highest `count` bits (at most 127; all of them where it has fewer), how many bits are below, and whether any of
    /// those is set.
    pub(super) fn highest(&self, count: usize) -> (u128, i32, bool) {
        let below = self.bits().saturating_sub(count);
        let (first, offset) = (below / 32, below % 32);
        let digit = |place: usize| u128::from(self.digits.get(first + place).copied().unwrap_or(0));
        // Five digits hold 127 bits wherever they begin; of the fifth, what is shifted out at the top is zero.
        let low = digit(0) | digit(1) << 32 | digit(2) << 64 | digit(3) << 96;
        let high = if offset == 0 { 0 } else { digit(4) << (128 - offset) };
        let any_below = self.digits[..first.min(self.digits.len())].iter().any(|digit| *digit != 0)
            || digit(0) & ((1 << offset) - 1) != 0;
        (low >> offset | high, below as i32, any_below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn natural(value: u128) -> Natural {
        let digits: Vec<i64> = (0..4).map(|place| (value >> (32 * place) & 0xffff_ffff) as i64).collect();
        Natural::of_signed_digits(&digits)
    }

    fn value(natural: &Natural) -> u128 {
        assert!(natural.bits() <= 128);
        natural.digits.iter().rev().fold(0, |value, digit| value << 32 | u128::from(*digit))
    }

    fn any_size() -> impl Strategy<Value = u128> {
        (any::<u128>(), 0..128u32).prop_map(|(value, shift)| value >> shift)
    }

    proptest! {
        #[test]
        fn it_computes_as_machine_words_do(a in any_size(), b in any_size(), factor in 1..u64::MAX, count in 1usize..128) {
            prop_assert_eq!(value(&natural(a)), a);
            let mut less = natural(a);
            less.subtract(&natural(b));
            prop_assert_eq!(value(&less), a.saturating_sub(b));
            let mut quotient = natural(a);
            let remains = quotient.divide(factor);
            prop_assert_eq!((value(&quotient), remains), (a / u128::from(factor), a % u128::from(factor) != 0));
            let small = a >> 64;
            let mut product = natural(small);
            product.multiply(factor);
            prop_assert_eq!(value(&product), small * u128::from(factor));
            prop_assert_eq!(value(&natural(small).squared()), small * small);
            let below = (128 - a.leading_zeros() as usize).saturating_sub(count);
            let expected = (a >> below, below as i32, a & ((1 << below) - 1) != 0);
            prop_assert_eq!(natural(a).highest(count), expected);
            if a >> (count - 1) > 0 {
                let mut shifted = natural(a);
                shifted.shift_digits(3);
                prop_assert_eq!(shifted.highest(count), (expected.0, expected.1 + 96, expected.2));
            }
        }
    }
}
