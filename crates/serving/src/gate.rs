//! How many requests an endpoint takes on at once: those that are worked on, and a queue. What is beyond is refused at
//! once, so that who was let in is answered in time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use karat_project::spec::Limits;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::ServingError;

#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    /// Let in and not done yet, waiting or worked on.
    inside: AtomicU32,
    turns: Semaphore,
}

/// Held while a request is worked on.
#[derive(Debug)]
pub struct Turn<'g> {
    inside: Inside<'g>,
    _turn: SemaphorePermit<'g>,
    until: Instant,
}

/// Held until a request is answered: it counts among those that were let in.
#[derive(Debug)]
pub struct Inside<'g>(&'g AtomicU32);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Gate {
        let turns = (limits.concurrency as usize).min(Semaphore::MAX_PERMITS);
        Gate { limits, inside: AtomicU32::new(0), turns: Semaphore::new(turns) }
    }

    /// Waits for a turn, in the order of coming.
    pub(crate) async fn enter(&self) -> Result<Turn<'_>, ServingError> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        let inside = Inside(&self.inside);
        let Limits { concurrency, queue, deadline, .. } = self.limits;
        if before >= concurrency.saturating_add(queue) {
            let problem = format!(
                "{before} requests are before this one, as many as the endpoint takes (`limits.concurrency` {concurrency} \
                 and `limits.queue` {queue})"
            );
            return Err(ServingError::Busy { problem, retry_after: Duration::from_secs(1) });
        }
        let until = Instant::now() + deadline.duration();
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(Turn { inside, _turn: turn, until });
        }
        match timeout_at(until, self.turns.acquire()).await {
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

impl<'g> Turn<'g> {
    /// The work is done, and the turn the next one's.
    pub fn worked(self) -> Inside<'g> {
        self.inside
    }

    /// When the request is to be answered at the latest.
    pub fn until(&self) -> std::time::Instant {
        self.until.into_std()
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
        let gate = Gate::new(limits(1, 1));
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
        let gate = Gate::new(limits(1, 5));
        let _first = gate.enter().await.unwrap();
        let error = gate.enter().await.unwrap_err();
        assert!(error.to_string().starts_with("no turn came within 100 milliseconds"), "{error}");
        assert_eq!(gate.inside.load(Ordering::Relaxed), 1);
    }
}
