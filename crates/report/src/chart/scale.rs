/// From values to places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

/// A value named on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub value: f64,
    pub text: String,
}

impl Scale {
    /// `low` stands at `start`, `high` at `end`.
    pub(crate) fn new((low, high): (f64, f64), (start, end): (f64, f64)) -> Scale {
        let high = if high > low { high } else { low + 1.0 };
        Scale { low, high, start, end }
    }

    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.start + share.clamp(-0.05, 1.05) * (self.end - self.start)
    }
}

/// About `wanted` round values from `low` to `high`, both included where they are round.
pub(crate) fn round_values(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return vec![low];
    }
    let step = round_step(span / wanted.max(1) as f64);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last.min(first + 50)).map(|number| number as f64 * step).collect()
}

/// The nearest of 1, 2, 5, 10…
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let round = match step / power {
        digits if digits <= 1.5 => 1.0,
        digits if digits <= 3.0 => 2.0,
        digits if digits <= 7.0 => 5.0,
        _ => 10.0,
    };
    round * power
}

/// The end of an axis from 0 that holds `value`.
pub(crate) fn round_end(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let step = round_step(value / 4.0);
    (value / step - 1e-9).ceil() * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_values() {
        assert_eq!(round_values(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(round_values(-3.2, 7.0, 5), [-2.0, 0.0, 2.0, 4.0, 6.0]);
        assert_eq!(round_values(2.0, 2.0, 5), [2.0]);
        assert_eq!([0.9, 0.37, 1234.0, 0.0].map(round_end), [1.0, 0.4, 1500.0, 1.0]);
    }

    #[test]
    fn a_scale_of_one_value_places_it() {
        let scale = Scale::new((3.0, 3.0), (0.0, 100.0));
        assert_eq!(scale.at(3.0), 0.0);
        assert_eq!(Scale::new((0.0, 4.0), (100.0, 0.0)).at(1.0), 75.0);
    }
}
