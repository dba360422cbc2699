//! Variances and their roots by brute force: the float that lies nearest, found by looking at its neighbours in whole
//! numbers. And distinct counts by a sketch written down from the paper.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use karat_core::Value;

/// A whole number in digits of 16 bits, the lowest first.
#[derive(Debug, Clone)]
struct Whole(Vec<u64>);

impl Whole {
    fn of(mut value: u128) -> Whole {
        let mut digits = Vec::new();
        while value > 0 {
            digits.push((value & 0xffff) as u64);
            value >>= 16;
        }
        Whole(digits)
    }

    fn times(&self, other: &Whole) -> Whole {
        let mut digits = vec![0; self.0.len() + other.0.len() + 1];
        for (i, a) in self.0.iter().enumerate() {
            for (j, b) in other.0.iter().enumerate() {
                let mut place = i + j;
                let mut carried = a * b;
                while carried > 0 {
                    carried += digits[place];
                    digits[place] = carried & 0xffff;
                    carried >>= 16;
                    place += 1;
                }
            }
        }
        Whole(digits)
    }

    fn doubled(&self, times: usize) -> Whole {
        let zeros = std::iter::repeat_n(0, times / 16);
        Whole(zeros.chain(self.0.iter().copied()).collect()).times(&Whole::of(1 << (times % 16)))
    }

    fn plus(&self, other: &Whole) -> Whole {
        let mut carried = 0;
        let digits = (0..=self.0.len().max(other.0.len())).map(|place| {
            carried += self.0.get(place).unwrap_or(&0) + other.0.get(place).unwrap_or(&0);
            let digit = carried & 0xffff;
            carried >>= 16;
            digit
        });
        Whole(digits.collect())
    }

    /// The other is not greater.
    fn minus(&self, other: &Whole) -> Whole {
        let mut borrowed = 0i64;
        let digits = self.0.iter().enumerate().map(|(place, digit)| {
            let less = *digit as i64 - *other.0.get(place).unwrap_or(&0) as i64 - borrowed;
            borrowed = i64::from(less < 0);
            less.rem_euclid(1 << 16) as u64
        });
        Whole(digits.collect())
    }

    fn compare(&self, other: &Whole) -> Ordering {
        let digit = |whole: &Whole, place: usize| whole.0.get(place).copied().unwrap_or(0);
        let places = (0..self.0.len().max(other.0.len())).rev();
        places
            .map(|place| digit(self, place).cmp(&digit(other, place)))
            .find(|one| one.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn roughly(&self) -> f64 {
        self.0.iter().rev().fold(0.0, |value, digit| value * 65536.0 + *digit as f64)
    }
}

/// Variance (`power` 1) or standard deviation (`power` 2) of numbers in units of 2^`unit`; null under two.
pub fn spread(numbers: &[i128], unit: i32, power: u32) -> Value {
    if numbers.len() < 2 {
        return Value::Null;
    }
    let count = Whole::of(numbers.len() as u128);
    let squares = numbers.iter().fold(Whole::of(0), |sum, number| {
        let magnitude = Whole::of(number.unsigned_abs());
        sum.plus(&magnitude.times(&magnitude))
    });
    let sum = Whole::of(numbers.iter().sum::<i128>().unsigned_abs());
    let numerator = squares.times(&count).minus(&sum.times(&sum));
    let denominator = count.times(&Whole::of(numbers.len() as u128 - 1));
    // Whether the exact value is below, at, or above the middle between a float and the one after it.
    let against_middle_after = |bits: u64| {
        let (mantissa, exponent) = match bits >> 52 {
            0 => (bits, -1074),
            biased => (bits & ((1 << 52) - 1) | 1 << 52, biased as i32 - 1075),
        };
        let middle = Whole::of(2 * u128::from(mantissa) + 1);
        let middle = if power == 2 { middle.times(&middle) } else { middle };
        let shift = power as i32 * (exponent - 1) - 2 * unit;
        let ours = numerator.doubled(-shift.min(0) as usize);
        ours.compare(&middle.times(&denominator).doubled(shift.max(0) as usize))
    };
    let rough = numerator.roughly() / denominator.roughly() * 2f64.powi(2 * unit);
    let mut bits = (if power == 2 { rough.sqrt() } else { rough }).to_bits();
    while against_middle_after(bits) == Ordering::Greater {
        bits += 1;
    }
    while bits > 0 && against_middle_after(bits - 1) == Ordering::Less {
        bits -= 1;
    }
    // In the middle the even one is taken.
    if against_middle_after(bits) == Ordering::Equal && bits % 2 == 1 {
        bits += 1;
    } else if bits > 0 && against_middle_after(bits - 1) == Ordering::Equal && bits % 2 == 1 {
        bits -= 1;
    }
    Value::Float(f64::from_bits(bits))
}

/// By 4,096 registers, of few values: none of the registers is full.
pub fn sketched(values: &[Value]) -> i64 {
    let mut registers: BTreeMap<u64, i32> = BTreeMap::new();
    for value in values {
        let bits = format!("{:064b}", hash(value));
        let (choice, rest) = bits.split_at(12);
        let rank = rest.find('1').unwrap_or(52) as i32 + 1;
        let register = registers.entry(u64::from_str_radix(choice, 2).unwrap()).or_insert(0);
        *register = rank.max(*register);
    }
    let m = 4096.0;
    let empty = (m - registers.len() as f64) / m;
    if empty == 1.0 {
        return 0;
    }
    let sigma: f64 = empty + (1..30).map(|k| empty.powf(2f64.powi(k)) * 2f64.powi(k - 1)).sum::<f64>();
    let raised: f64 = registers.values().map(|rank| 2f64.powi(-rank)).sum();
    (m * m / (2.0 * 2f64.ln() * (m * sigma + raised))).round() as i64
}

fn hash(value: &Value) -> u64 {
    let mixed = |word: u64| {
        let mut hash = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    };
    match value {
        Value::Int(int) => mixed(*int as u64),
        Value::Float(float) if float.is_nan() => mixed(f64::NAN.to_bits()),
        Value::Float(float) => mixed((float + 0.0).to_bits()),
        Value::Text(text) => {
            let bytes = text.bytes();
            mixed(
                bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
            )
        }
        other => panic!("{other:?}"),
    }
}
