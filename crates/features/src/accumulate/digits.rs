//! A fixed-point number kept in overlapping digits of 32 bits each held in 64, after Radford Neal's "small
//! superaccumulator" (<https://arxiv.org/abs/1505.05571>): adding is a few integer additions, and exact.

/// Each addition moves a digit by less than 2^32: this many leave it far from overflow.
const ADDITIONS_BEFORE_CARRY: u32 = 1 << 29;

/// What bit 0 of digit 0 stands for is the user's affair.
#[derive(Debug, Clone)]
pub(super) struct Digits<const N: usize> {
    digits: Box<[i64; N]>,
    /// The digits outside `low..high` are zero.
    low: usize,
    high: usize,
    additions: u32,
}

/// What a checkpoint keeps: digits from `low` on, each but the last within 32 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DigitsState {
    pub(crate) low: u8,
    pub(crate) digits: Vec<i64>,
}

impl<const N: usize> Digits<N> {
    pub(super) fn new() -> Digits<N> {
        const { assert!(N <= u8::MAX as usize, "a state tells the lowest digit in a byte") };
        Digits { digits: Box::new([0; N]), low: N, high: 0, additions: 0 }
    }

    pub(super) fn clear(&mut self) {
        if self.low < self.high {
            self.digits[self.low..self.high].fill(0);
        }
        (self.low, self.high, self.additions) = (N, 0, 0);
    }

    /// Adds `magnitude * 2^position`, or takes it away.
    #[inline]
    pub(super) fn add(&mut self, magnitude: u64, position: u32, negative: bool) {
        if magnitude == 0 {
            return;
        }
        let first = (position >> 5) as usize;
        let wide = u128::from(magnitude) << (position & 31);
        let parts = [(wide & 0xffff_ffff) as i64, (wide >> 32 & 0xffff_ffff) as i64, (wide >> 64) as i64];
        for (digit, part) in self.digits[first..first + 3].iter_mut().zip(parts) {
            *digit += if negative { -part } else { part };
        }
        self.low = self.low.min(first);
        self.high = self.high.max(first + 3);
        self.additions += 1;
        if self.additions >= ADDITIONS_BEFORE_CARRY {
            self.carry();
        }
    }

    /// Brings every digit but the topmost into `0..2^32`; the topmost carries the sign.
    fn carry(&mut self) {
        self.additions = 0;
        if self.low >= self.high {
            return;
        }
        let mut carried = 0;
        for index in self.low..N - 1 {
            if index >= self.high && (carried == 0 || carried == -1) {
                self.digits[index] = carried;
                self.high = if carried == 0 { self.high } else { index + 1 };
                return;
            }
            let total = self.digits[index] + carried;
            self.digits[index] = total & 0xffff_ffff;
            carried = total >> 32;
            self.high = self.high.max(index + 1);
        }
        self.digits[N - 1] += carried;
        self.high = N;
    }

    /// The digits in use, signed and overlapping, the lowest first, and which is the first of them.
    #[inline]
    pub(super) fn used(&self) -> (&[i64], usize) {
        if self.low < self.high { (&self.digits[self.low..self.high], self.low) } else { (&[], 0) }
    }

    pub(super) fn state(&self) -> DigitsState {
        let mut carried = self.clone();
        carried.carry();
        let digits = carried.used().0.to_vec();
        DigitsState { low: carried.low.min(carried.high) as u8, digits }
    }

    /// Carries on from a state, on what is empty; `None` when no number has such a state.
    pub(super) fn resume(&mut self, state: &DigitsState) -> Option<()> {
        let low = usize::from(state.low);
        let high = low.checked_add(state.digits.len()).filter(|high| *high <= N)?;
        // Digits of a state are small, so that adding to them cannot overflow.
        if state.digits.iter().any(|digit| digit.unsigned_abs() > 1 << 33) {
            return None;
        }
        self.digits[low..high].copy_from_slice(&state.digits);
        if low < high {
            (self.low, self.high) = (low, high);
        }
        Some(())
    }
}
