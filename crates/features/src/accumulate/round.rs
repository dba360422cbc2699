//! Rounding an exact quotient to the nearest float, ties to even, once.

/// The most digits a number here can have: an exact sum's, and room to divide.
const CAPACITY: usize = 76;
/// Digits of zeros below the dividend: the quotient by any 64-bit count keeps at least 64 significant bits.
const EXTRA: usize = 4;

/// A sign and a magnitude in digits of 32 bits, the lowest first.
pub(crate) struct Wide {
    negative: bool,
    digits: [u32; CAPACITY],
    len: usize,
}

impl Wide {
    /// From digits of 32 bits' weight each, signed and overlapping, the lowest first. At most [`CAPACITY`] - 6 of them.
    pub(crate) fn from_signed_digits(source: &[i64]) -> Wide {
        let mut wide = Wide { negative: false, digits: [0; CAPACITY], len: EXTRA };
        let mut carried = 0i64;
        for digit in source {
            let total = digit + carried;
            wide.push(total as u32);
            carried = total >> 32;
        }
        wide.push(carried as u32);
        wide.push((carried >> 32) as u32);
        if carried < 0 {
            wide.negative = true;
            let mut carry = true;
            for digit in &mut wide.digits[EXTRA..wide.len] {
                let (flipped, overflowed) = (!*digit).overflowing_add(u32::from(carry));
                *digit = flipped;
                carry = overflowed;
            }
        }
        wide.trim();
        wide
    }

    pub(crate) fn from_int(value: i128) -> Wide {
        let mut wide = Wide { negative: value < 0, digits: [0; CAPACITY], len: EXTRA };
        let mut rest = value.unsigned_abs();
        while rest > 0 {
            wide.push(rest as u32);
            rest >>= 32;
        }
        wide
    }

    fn push(&mut self, digit: u32) {
        self.digits[self.len] = digit;
        self.len += 1;
    }

    fn trim(&mut self) {
        while self.len > EXTRA && self.digits[self.len - 1] == 0 {
            self.len -= 1;
        }
    }

    /// Divides in place; says whether anything remains.
    fn divide(&mut self, divisor: u64) -> bool {
        let mut remainder: u64 = 0;
        for digit in self.digits[..self.len].iter_mut().rev() {
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
        while self.len > 0 && self.digits[self.len - 1] == 0 {
            self.len -= 1;
        }
        remainder != 0
    }
}

/// `number * 2^exponent / divisor`, rounded to nearest, ties to even; zero is `+0.0`.
pub(crate) fn round_narrow_quotient(number: i128, exponent: i32, divisor: u64) -> f64 {
    normal_quotient(number, exponent, divisor)
        .unwrap_or_else(|| round_quotient(Wide::from_int(number), exponent, divisor))
}

/// In two divisions by a machine word, where the result is zero or a normal float.
fn normal_quotient(number: i128, exponent: i32, divisor: u64) -> Option<f64> {
    let magnitude = number.unsigned_abs();
    if magnitude == 0 {
        return Some(0.0);
    }
    // With its highest bit at the top, the dividend leaves at least 64 significant bits of quotient: the lowest can
    // stand for the remainder without being mistaken for a half.
    let shift = magnitude.leading_zeros();
    let dividend = magnitude << shift;
    let (quotient, remainder) = match divisor {
        1 => (dividend, 0),
        divisor => (dividend / u128::from(divisor), dividend % u128::from(divisor)),
    };
    let rounded = (quotient | u128::from(remainder != 0)) as f64;
    let scale = exponent - shift as i32;
    let biased = (rounded.to_bits() >> 52) as i32 + scale;
    if !(1..0x7ff).contains(&biased) {
        return None;
    }
    let magnitude = f64::from_bits(rounded.to_bits().wrapping_add_signed(i64::from(scale) << 52));
    Some(if number < 0 { -magnitude } else { magnitude })
}

/// As [`round_narrow_quotient`], of a number of any size.
pub(crate) fn round_quotient(mut number: Wide, exponent: i32, divisor: u64) -> f64 {
    if number.len == EXTRA {
        return 0.0;
    }
    let mut inexact = if divisor == 1 { false } else { number.divide(divisor) };
    let lowest = exponent - 32 * EXTRA as i32;
    let top_digit = number.digits[number.len - 1];
    // Position of the highest bit, counted from the lowest.
    let top = 32 * number.len as i32 - 1 - top_digit.leading_zeros() as i32;
    // Position of the result's last bit: 53 bits, fewer where the result is subnormal.
    let last = (top - 52).max(-1074 - lowest);
    debug_assert!(last > 0, "the zeros below leave something to round");
    let last = last as usize;
    let mut mantissa = number.bits(last);
    let half = number.bits(last - 1) & 1 == 1;
    inexact |= number.any_below(last - 1);
    if half && (inexact || mantissa & 1 == 1) {
        mantissa += 1;
    }
    let magnitude = assemble(mantissa, last as i32 + lowest);
    if number.negative && magnitude != 0.0 { -magnitude } else { magnitude }
}

impl Wide {
    /// The 64 bits from `position` up.
    fn bits(&self, position: usize) -> u64 {
        let (index, offset) = (position / 32, position % 32);
        let digit = |index: usize| if index < self.len { u128::from(self.digits[index]) } else { 0 };
        let window = digit(index) | digit(index + 1) << 32 | digit(index + 2) << 64;
        (window >> offset) as u64
    }

    fn any_below(&self, position: usize) -> bool {
        let (index, offset) = (position / 32, position % 32);
        let whole = self.digits[..index.min(self.len)].iter().any(|digit| *digit != 0);
        whole || (index < self.len && self.digits[index] & ((1u32 << offset) - 1) != 0)
    }
}

/// `mantissa * 2^exponent`, exactly; infinity where it is too large. `mantissa` is at most 2^53, and below 2^52 only
/// where `exponent` is the lowest.
fn assemble(mantissa: u64, exponent: i32) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let (mantissa, exponent) = if mantissa == 1 << 53 { (1 << 52, exponent + 1) } else { (mantissa, exponent) };
    if mantissa < 1 << 52 {
        return f64::from_bits(mantissa);
    }
    let biased = exponent + 1075;
    if biased >= 0x7ff {
        return f64::INFINITY;
    }
    f64::from_bits((biased as u64) << 52 | (mantissa & ((1 << 52) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn small_ints_divide_as_floats_do(value in -(1i64 << 53)..(1i64 << 53), divisor in 1u64..1 << 53) {
            // Both sides are exact floats, so IEEE division is the correctly rounded quotient.
            let expected = value as f64 / divisor as f64;
            prop_assert_eq!(round_quotient(Wide::from_int(value.into()), 0, divisor), expected);
        }

        #[test]
        fn large_ints_round_as_casts_do(value in any::<i128>()) {
            prop_assert_eq!(round_quotient(Wide::from_int(value), 0, 1), value as f64);
        }
    }

    proptest! {
        #[test]
        fn the_short_way_gives_the_bits_of_the_long_one(
            value in prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from), -100..100i128],
            exponent in prop_oneof![-1200..1200i32, -60..60i32],
            divisor in prop_oneof![1..100u64, any::<u64>().prop_map(|divisor| divisor.max(1))],
        ) {
            // The long way starts at the lowest float's exponent, below which no sum has digits.
            let exponent = exponent.max(-1074);
            let long = round_quotient(Wide::from_int(value), exponent, divisor);
            prop_assert_eq!(round_narrow_quotient(value, exponent, divisor).to_bits(), long.to_bits());
        }
    }

    #[test]
    fn huge_divisors_are_exact() {
        assert_eq!(round_quotient(Wide::from_int(1), 0, u64::MAX), 1.0 / u64::MAX as f64);
        assert_eq!(round_quotient(Wide::from_int(0), 0, 7).to_bits(), 0);
    }
}
