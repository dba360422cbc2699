//! Whether a request is repeated, and after how long.

use std::time::Duration;

use crate::Failure;

/// Before the first repetition, doubled before each that follows.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// One request that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub failure: Failure,
    pub fate: Fate,
    /// How long the service asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The service did not take it on.
    NotTaken,
    /// It may have been worked on; again it may turn out otherwise.
    Unknown,
    /// It was answered, and would be the same way.
    Answered,
}

impl Failed {
    pub fn new(failure: Failure, fate: Fate) -> Failed {
        Failed { failure, fate, retry_after: None }
    }

    pub fn of_status(status: u16, retry_after: Option<Duration>) -> Failed {
        let fate = match status {
            429 | 503 => Fate::NotTaken,
            408 | 500 | 502 | 504 => Fate::Unknown,
            _ => Fate::Answered,
        };
        Failed { failure: Failure::Status(status), fate, retry_after }
    }

    pub fn may_be_repeated(&self, idempotent: bool) -> bool {
        match self.fate {
            Fate::NotTaken => true,
            Fate::Unknown => idempotent,
            Fate::Answered => false,
        }
    }

    /// How long to wait before the repetition of this number, 0 first: half of it for sure, the rest by `jitter` (0 to 1),
    /// so that those who failed together do not come together; at least as long as the service asks.
    pub fn pause(&self, repetition: u32, jitter: f64) -> Duration {
        let whole = FIRST.saturating_mul(1 << repetition.min(10)).min(LONGEST);
        let pause = whole / 2 + whole.mul_f64(jitter.clamp(0.0, 1.0) / 2.0);
        self.retry_after.map_or(pause, |asked| pause.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_may_be_repeated_is() {
        let status = |status| Failed::of_status(status, None);
        for (status, idempotent, not) in [
            (429, true, true),
            (503, true, true),
            (500, true, false),
            (502, true, false),
            (404, false, false),
            (302, false, false),
        ]
        .map(|(code, idempotent, not)| (status(code), idempotent, not))
        {
            assert_eq!(status.may_be_repeated(true), idempotent, "{status:?}");
            assert_eq!(status.may_be_repeated(false), not, "{status:?}");
        }
        let timeout = Failed::new(Failure::Deadline, Fate::Unknown);
        assert!(timeout.may_be_repeated(true) && !timeout.may_be_repeated(false));
    }

    proptest! {
        #[test]
        fn pauses_grow_within_bounds(repetition in 0_u32..64, jitter in 0.0..=1.0_f64, asked in prop::option::of(0_u64..5)) {
            let asked = asked.map(Duration::from_secs);
            let pause = Failed::of_status(503, asked).pause(repetition, jitter);
            let whole = Duration::from_millis(50 * (1 << repetition.min(10))).min(Duration::from_secs(2));
            prop_assert!(pause >= whole / 2);
            prop_assert!(pause <= whole.max(asked.unwrap_or_default()));
            prop_assert!(asked.is_none_or(|asked| pause >= asked));
        }
    }
}
