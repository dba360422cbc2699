//! Records that are written together: everything that is appended while somebody gets ready to write.
//!
//! The first to come leads: it lets the tasks that are ready on its thread go first, so that theirs join, and then
//! writes for all. Where one of them asks for a wait for the disk the keeper's thread writes instead, and meanwhile the
//! next group gathers.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Waker};

use super::Durability;
use super::append::Shared;
use super::keeper::Keeper;
use crate::HistoryError;

/// One group, shared by those whose records are in it.
#[derive(Default)]
pub(super) struct Group {
    outcome: OnceLock<Result<(), Failure>>,
    waiting: Mutex<Vec<Waker>>,
}

/// The group that gathers now.
#[derive(Default)]
pub(super) struct Open {
    pub(super) records: Vec<u8>,
    pub(super) group: Arc<Group>,
    /// The most that was asked for by any of its parts.
    pub(super) durability: Durability,
}

impl Open {
    /// What has gathered, if anything has; the next group gathers in the memory of `spare`.
    pub(super) fn take(&mut self, spare: &mut Vec<u8>) -> Option<Open> {
        if self.records.is_empty() {
            return None;
        }
        Some(std::mem::replace(self, Open { records: std::mem::take(spare), ..Open::default() }))
    }
}

/// An error that everyone in the group gets a copy of.
struct Failure {
    path: String,
    kind: std::io::ErrorKind,
    problem: String,
}

impl Group {
    /// Nothing was to be written, and that is done.
    pub(super) fn of_nothing() -> Arc<Group> {
        let group = Group::default();
        group.finish(Ok(()));
        Arc::new(group)
    }

    /// `None` until it was written, or could not be.
    pub(super) fn outcome(&self) -> Option<Result<(), HistoryError>> {
        self.outcome.get().map(|outcome| outcome.as_ref().copied().map_err(Failure::error))
    }

    /// As [`Group::outcome`], once it is told.
    pub(super) fn wait_for_outcome(&self) -> Result<(), HistoryError> {
        self.outcome.wait().as_ref().copied().map_err(Failure::error)
    }

    /// Tells the outcome, and wakes whoever waits for it.
    pub(super) fn finish(&self, outcome: Result<(), HistoryError>) {
        let outcome = outcome.map_err(Failure::from);
        if self.outcome.set(outcome).is_err() {
            unreachable!("a group is taken from the open one once, and written by who took it");
        }
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether there is something to wait for. The outcome is told before anyone is woken, so looking under the lock
    /// misses none.
    fn wait(&self, waker: &Waker) -> bool {
        let mut waiting = self.waiting();
        if self.outcome.get().is_some() {
            return false;
        }
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        true
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Failure {
        match error {
            HistoryError::Io { path, source } => Failure { path, kind: source.kind(), problem: source.to_string() },
            HistoryError::LogFailed { path, problem } => {
                Failure { path, kind: std::io::ErrorKind::ReadOnlyFilesystem, problem }
            }
            other => Failure { path: String::new(), kind: std::io::ErrorKind::Other, problem: other.to_string() },
        }
    }
}

impl Failure {
    fn error(&self) -> HistoryError {
        let path = self.path.clone();
        match self.kind {
            std::io::ErrorKind::ReadOnlyFilesystem => HistoryError::LogFailed { path, problem: self.problem.clone() },
            kind => HistoryError::Io { path, source: std::io::Error::new(kind, self.problem.clone()) },
        }
    }
}

/// Records on their way into the log: resolves once they are as durable as was asked for. Dropped before, they
/// are written all the same.
#[must_use = "the records are not in the log before this resolves"]
pub struct Appending<'l> {
    pub(super) shared: &'l Shared,
    pub(super) keeper: &'l Keeper,
    pub(super) group: Arc<Group>,
    pub(super) part: Part,
    pub(super) durability: Durability,
}

/// What one of a group does for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The group is this one's to write, once those who are ready had their turn.
    Leads,
    Writes,
    /// Somebody else writes.
    Follows,
}

impl Future for Appending<'_> {
    type Output = Result<(), HistoryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.group.outcome() {
            return Poll::Ready(outcome);
        }
        match self.part {
            Part::Leads if self.durability == Durability::Crash => {
                self.part = Part::Writes;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Part::Leads | Part::Writes => self.write(),
            Part::Follows => {}
        }
        if self.group.wait(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(self.group.outcome().expect("there is nothing to wait for once the outcome is told"))
    }
}

impl Appending<'_> {
    fn write(&mut self) {
        self.part = Part::Follows;
        match self.shared.commit_at_once() {
            Some(true) => self.keeper.seal(),
            Some(false) => {}
            None => self.keeper.commit(),
        }
    }
}

impl Drop for Appending<'_> {
    fn drop(&mut self) {
        if self.part != Part::Follows && self.group.outcome().is_none() {
            self.write();
        }
    }
}

impl std::fmt::Debug for Appending<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appending").field("part", &self.part).finish_non_exhaustive()
    }
}
