//! A split's test in sixteen bytes, decided without a branch where nothing unusual is asked.

use std::sync::Arc;

use super::{Missing, Split, Test, ZERO, in_set};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Decision {
    /// Moved out of the band that is read as zero, so that `value <= threshold` alone decides; the index of a category set.
    threshold: f64,
    pub feature: u32,
    flags: u32,
}

const NAN_LEFT: u32 = 1;
const ZERO_MISSING: u32 = 2;
const CATEGORIES: u32 = 4;

impl Decision {
    /// A category set is put at the end of `sets`, which every later question needs.
    pub(crate) fn new(split: &Split, sets: &mut Vec<Arc<[u32]>>) -> Decision {
        let (threshold, flags) = match &split.test {
            Test::Categories(words) => {
                sets.push(words.clone());
                ((sets.len() - 1) as f64, CATEGORIES)
            }
            Test::Numeric { threshold, missing, default_left } => {
                let nan_left = match missing {
                    Missing::Never => 0.0 <= *threshold,
                    Missing::Zero | Missing::Nan => *default_left,
                };
                let zero_missing = if *missing == Missing::Zero { ZERO_MISSING } else { 0 };
                (outside_zero(*threshold), (u32::from(nan_left) * NAN_LEFT) | zero_missing)
            }
        };
        Decision { threshold, feature: split.feature, flags }
    }

    /// Neither categories nor zero as missing: the `PLAIN` question gives the right answer.
    pub(crate) fn is_plain(&self) -> bool {
        self.flags & (ZERO_MISSING | CATEGORIES) == 0
    }

    #[inline(always)]
    pub(crate) fn goes_left<const PLAIN: bool>(&self, row: &[f64], sets: &[Arc<[u32]>]) -> bool {
        let value = row[self.feature as usize];
        let nan_left = value.is_nan() & (self.flags & NAN_LEFT != 0);
        if !PLAIN {
            if self.flags & CATEGORIES != 0 {
                return in_set(&sets[self.threshold as usize], value);
            }
            if self.flags & ZERO_MISSING != 0 && value.abs() <= ZERO {
                return self.flags & NAN_LEFT != 0;
            }
        }
        (value <= self.threshold) | nan_left
    }
}

/// The threshold that splits raw values as `threshold` splits values whose zero band has been set to 0.
fn outside_zero(threshold: f64) -> f64 {
    if threshold.abs() > ZERO {
        threshold
    } else if threshold >= 0.0 {
        ZERO
    } else {
        (-ZERO).next_down()
    }
}
