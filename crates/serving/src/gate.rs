//! How many requests an endpoint takes on at once: those that are worked on, and a queue. What is beyond is refused at
//! once, so that who was let in is answered in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use karat_project::spec::Limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::ServingError;

#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    /// Let in and not done yet, waiting or worked on.
    inside: AtomicU32,
    turns: Arc<Semaphore>,
}

/// Held while a request is worked on, wherever that is: it goes along with the work, whether or not somebody still
/// waits for the answer.
#[derive(Debug)]
pub struct Turn {
    inside: Inside,
    _turn: OwnedSemaphorePermit,
    until: Until,
}

/// Held until a request is answered: it counts among those that were let in.
#[derive(Debug)]
pub struct Inside(Arc<Gate>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a request is worked on: until its deadline, and no longer than somebody waits for the answer.
#[derive(Debug, Clone)]
pub struct Until {
    deadline: std::time::Instant,
    abandoned: Arc<AtomicBool>,
}

/// Held by whoever waits for an answer: once it is dropped, the work on it ends.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Until {
    /// A time in which anything is done.
    pub(crate) fn done() -> Until {
        Until { deadline: std::time::Instant::now() + Duration::from_secs(86_400), abandoned: Arc::default() }
    }

    pub fn waiting(&self) -> Waiting {
        Waiting(self.abandoned.clone())
    }

    pub(crate) fn deadline(&self) -> std::time::Instant {
        self.deadline
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    pub(crate) fn is_over(&self) -> bool {
        std::time::Instant::now() > self.deadline
    }
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Gate {
        let turns = (limits.concurrency as usize).min(Semaphore::MAX_PERMITS);
        Gate { limits, inside: AtomicU32::new(0), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// Waits for a turn, in the order of coming.
    pub(crate) async fn enter(self: &Arc<Gate>) -> Result<Turn, ServingError> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        let inside = Inside(self.clone());
        let Limits { concurrency, queue, deadline, .. } = self.limits;
        if before >= concurrency.saturating_add(queue) {
            let problem = format!(
                "{before} requests are before this one, as many as the endpoint takes (`limits.concurrency` {concurrency} \
                 and `limits.queue` {queue})"
            );
            return Err(ServingError::Busy { problem, retry_after: Duration::from_secs(1) });
        }
        let end = Instant::now() + deadline.duration();
        let until = Until { deadline: end.into_std(), abandoned: Arc::default() };
        if let Ok(turn) = self.turns.clone().try_acquire_owned() {
            return Ok(Turn { inside, _turn: turn, until });
        }
        match timeout_at(end, self.turns.clone().acquire_owned()).await {
            Ok(turn) => {
                let turn = turn.expect("the semaphore is never closed");
                Ok(Turn { inside, _turn: turn, until })
            }
            Err(_) => {
                let problem = format!("no turn came within {deadline} (`limits.deadline`)");
                Err(ServingError::Busy { problem, retry_after: Duration::from_secs(1) })
            }
        }
    }
}

impl Turn {
    /// The work is done, and the turn the next one's.
    pub fn worked(self) -> Inside {
        self.inside
    }

    pub fn until(&self) -> &Until {
        &self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(concurrency: u32, queue: u32) -> Limits {
        Limits { concurrency, queue, deadline: "100 milliseconds".parse().unwrap(), ..Limits::default() }
    }

    #[tokio::test]
    async fn what_is_beyond_the_queue_is_refused_at_once() {
        let gate = Arc::new(Gate::new(limits(1, 1)));
        let first = gate.enter().await.unwrap();
        let mut second = std::pin::pin!(gate.enter());
        assert!(tokio::time::timeout(Duration::from_millis(10), &mut second).await.is_err(), "it waits");
        let third = gate.enter().await.unwrap_err();
        assert_eq!(
            third.to_string(),
            "2 requests are before this one, as many as the endpoint takes (`limits.concurrency` 1 and `limits.queue` 1): \
             try again in 1 s"
        );
        drop(first);
        second.await.unwrap();
        gate.enter().await.unwrap();
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_is_refused_at_the_deadline() {
        let gate = Arc::new(Gate::new(limits(1, 5)));
        let _first = gate.enter().await.unwrap();
        let error = gate.enter().await.unwrap_err();
        assert!(error.to_string().starts_with("no turn came within 100 milliseconds"), "{error}");
        assert_eq!(gate.inside.load(Ordering::Relaxed), 1);
    }
}
