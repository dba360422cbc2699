//! Leaves a service alone that fails: a state and its transitions, told the time.

use std::time::{Duration, Instant};

use karat_project::spec;

#[derive(Debug)]
pub struct Breaker {
    spec: spec::Breaker,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many failed in a row.
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One is tried. If nothing is heard of it, another is from `until` on.
    HalfOpen {
        until: Instant,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

/// What a look-up says of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It works, whatever it said.
    Works,
    Failed,
    /// Nothing.
    Unknown,
}

impl Breaker {
    pub fn new(spec: spec::Breaker) -> Breaker {
        Breaker { spec, state: State::Closed { failures: 0 } }
    }

    /// Whether a look-up may be tried; else how long none will be. Whoever is let in tells what came of it.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until } | State::HalfOpen { until } if now < until => Err(until - now),
            State::Open { .. } | State::HalfOpen { .. } => {
                self.state = State::HalfOpen { until: now + self.spec.pause.duration() };
                Ok(())
            }
        }
    }

    pub fn tell(&mut self, now: Instant, outcome: Outcome) {
        let open = State::Open { until: now + self.spec.pause.duration() };
        self.state = match (outcome, self.state) {
            (Outcome::Works, _) => State::Closed { failures: 0 },
            (Outcome::Failed, State::Closed { failures }) if failures + 1 >= self.spec.failures => open,
            (Outcome::Failed, State::Closed { failures }) => State::Closed { failures: failures + 1 },
            (Outcome::Failed, State::HalfOpen { .. }) => open,
            // It began before.
            (Outcome::Failed, before @ State::Open { .. }) => before,
            // The next may try.
            (Outcome::Unknown, State::HalfOpen { .. }) => State::Open { until: now },
            (Outcome::Unknown, before) => before,
        };
    }

    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(spec::Breaker { failures, pause: "10 seconds".parse().unwrap() })
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_tries_one_after_the_pause() {
        let (mut breaker, start) = (breaker(3), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for outcome in
            [Outcome::Failed, Outcome::Failed, Outcome::Works, Outcome::Failed, Outcome::Unknown, Outcome::Failed]
        {
            assert_eq!(breaker.admit(at(0)), Ok(()));
            breaker.tell(at(0), outcome);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.tell(at(1), Outcome::Failed);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit(at(2)), Err(Duration::from_secs(9)));
        // A straggler does not prolong it.
        breaker.tell(at(5), Outcome::Failed);
        assert_eq!(breaker.admit(at(11)), Ok(()));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.admit(at(12)).is_err(), "one is tried, not two");
        breaker.tell(at(13), Outcome::Failed);
        assert_eq!(breaker.admit(at(22)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(at(23)), Ok(()));
        breaker.tell(at(23), Outcome::Unknown);
        assert_eq!(breaker.admit(at(23)), Ok(()), "nothing was learnt: the next tries");
        breaker.tell(at(24), Outcome::Works);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.admit(at(24)), Ok(()));
    }

    #[test]
    fn one_that_is_never_heard_of_does_not_shut_it_for_good() {
        let (mut breaker, start) = (breaker(1), Instant::now());
        breaker.tell(start, Outcome::Failed);
        let later = start + Duration::from_secs(10);
        assert_eq!(breaker.admit(later), Ok(()));
        assert!(breaker.admit(later + Duration::from_secs(9)).is_err());
        assert_eq!(breaker.admit(later + Duration::from_secs(10)), Ok(()));
    }

    proptest! {
        /// Against what it is said to do: open exactly from the n-th failure in a row until the pause is over.
        #[test]
        fn it_never_lets_in_during_a_pause_nor_keeps_out_otherwise(
            failures in 1_u32..4,
            steps in prop::collection::vec((0_u64..6, prop::bool::ANY), 1..60),
        ) {
            let mut breaker = breaker(failures);
            let start = Instant::now();
            let (mut now, mut row, mut shut_until) = (0_u64, 0_u32, None::<u64>);
            for (wait, works) in steps {
                now += wait;
                let at = start + Duration::from_secs(now);
                let shut = shut_until.is_some_and(|until| now < until);
                prop_assert_eq!(breaker.admit(at).is_err(), shut);
                if shut {
                    continue;
                }
                // What is let in answers at once.
                let tried_after_a_pause = shut_until.is_some();
                if works {
                    breaker.tell(at, Outcome::Works);
                    (row, shut_until) = (0, None);
                } else {
                    breaker.tell(at, Outcome::Failed);
                    row += 1;
                    if row >= failures || tried_after_a_pause {
                        shut_until = Some(now + 10);
                    }
                }
            }
        }
    }
}
