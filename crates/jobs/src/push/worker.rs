//! The thread of a source that rows are pushed to.

use anyhow::Result;
use karat_history::{CommitInfo, HistoryError};
use karat_query::{Group, Pushed, Pushing, Taken};
use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::follow::Follower;
use super::{Asked, Followed, PushError, Request, Tools};
use crate::kind_of;

/// What is taken together, unless one request brings more.
const GROUP_ROWS: usize = 8192;
const GROUP_BYTES: usize = 8 << 20;

type Answer = oneshot::Sender<Result<Taken, PushError>>;

/// Requests that are taken together.
#[derive(Default)]
struct Together {
    requests: Vec<Vec<Json>>,
    answers: Vec<Answer>,
    rows: usize,
    bytes: usize,
}

impl Together {
    fn of(request: Request) -> Together {
        let mut together = Together::default();
        together.add(request);
        together
    }

    fn add(&mut self, request: Request) {
        self.rows += request.rows.len();
        self.bytes += request.bytes;
        self.requests.push(request.rows);
        self.answers.push(request.answer);
    }

    fn takes_more(&self) -> bool {
        self.rows < GROUP_ROWS && self.bytes < GROUP_BYTES
    }
}

/// Until nobody can send any more.
pub(super) fn run(tools: Tools, mut receiver: mpsc::Receiver<Asked>) {
    let mut worker = Worker { tools, followed: None, pushing: None, sealing: None };
    while let Some(first) = receiver.blocking_recv() {
        let mut next = Some(first);
        while let Some(asked) = next.take() {
            match asked {
                Asked::Follow(followed) => worker.follow(followed),
                Asked::Check(answer) => drop(answer.send(worker.check())),
                Asked::Pause { given, over } => {
                    worker.let_go();
                    given.send(()).ok();
                    over.blocking_recv().ok();
                    worker.take_up();
                }
                Asked::Rows(request) => {
                    let mut group = Together::of(request);
                    while group.takes_more() {
                        match receiver.try_recv() {
                            Ok(Asked::Rows(request)) => group.add(request),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    worker.answer(&group.requests, group.answers);
                }
            }
        }
    }
    worker.end();
}

struct Worker {
    tools: Tools,
    followed: Option<Followed>,
    pushing: Option<Pushing>,
    sealing: Option<JoinHandle<Result<Option<CommitInfo>, HistoryError>>>,
}

impl Worker {
    fn follow(&mut self, followed: Followed) {
        let same = self.followed.as_ref().is_some_and(|before| {
            before.planned.plan.source() == followed.planned.plan.source()
                && before.planned.definition == followed.planned.definition
        });
        if !same {
            self.let_go();
        }
        self.followed = Some(followed);
        self.take_up();
    }

    fn take_up(&mut self) {
        let Some(followed) = &self.followed else { return };
        let source = followed.planned.plan.source().name.clone();
        // What came while a view's state was built elsewhere.
        let caught_up = self.open().and_then(|()| self.bring_up(None));
        if let Err(error) = caught_up {
            tracing::error!(%source, error = format!("{error:#}"), "the source takes no pushes for now");
        }
    }

    /// Takes the source's turn, unless it is taken.
    fn open(&mut self) -> Result<()> {
        let (None, Some(followed)) = (&self.pushing, &self.followed) else { return Ok(()) };
        let planned = &followed.planned;
        let opening = Pushing::open(&planned.plan, &planned.definition, &self.tools.history, planned.push.survives);
        self.pushing = Some(self.tools.runtime.block_on(opening)?);
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        let words = |error: anyhow::Error| format!("{error:#}");
        self.open().map_err(words)?;
        match &self.pushing {
            Some(pushing) => pushing.check().map_err(|error| words(error.into())),
            None => Err("it was not taken up yet".to_owned()),
        }
    }

    fn answer(&mut self, requests: &[Vec<Json>], answers: Vec<Answer>) {
        match self.take(requests) {
            Ok(group) => {
                for (answer, pushed) in answers.into_iter().zip(group.answers) {
                    let told = match pushed {
                        Pushed::Taken(taken) => Ok(taken),
                        Pushed::Refused(faults) => Err(PushError::Rows(faults)),
                    };
                    // Who went away finds out by sending again.
                    answer.send(told).ok();
                }
            }
            Err(error) => {
                let (kind, problem) = (kind_of(&error), format!("{error:#}"));
                tracing::error!(error = problem, "a push failed");
                for answer in answers {
                    answer.send(Err(PushError::Failed { kind, problem: problem.clone() })).ok();
                }
            }
        }
        self.seal_what_is_due();
    }

    fn take(&mut self, requests: &[Vec<Json>]) -> Result<Group> {
        self.open()?;
        let at = self.tools.clock.now();
        let Some(pushing) = &mut self.pushing else { anyhow::bail!("the source was not taken up yet") };
        let taking = pushing.take(&self.tools.engine, requests, at, &self.tools.quarantine);
        let group = match self.tools.runtime.block_on(taking) {
            Ok(group) => group,
            Err(error) => {
                // What history has is looked at anew.
                self.let_go();
                return Err(error.into());
            }
        };
        self.bring_up(Some(&group))?;
        Ok(group)
    }

    /// Online state up to what was pushed.
    fn bring_up(&self, group: Option<&Group>) -> Result<()> {
        let (Some(pushing), Some(followed)) = (&self.pushing, &self.followed) else { return Ok(()) };
        let records = group.map_or(&[][..], |group| &group.records);
        let follower = Follower { tools: &self.tools, source: pushing.source(), commit: pushing.commit(), records };
        followed.views.iter().try_for_each(|view| follower.bring_up(view))
    }

    fn seal_what_is_due(&mut self) {
        if let Some(sealing) = self.sealing.take_if(|sealing| sealing.is_finished()) {
            self.sealed(sealing);
        }
        let Some(pushing) = self.pushing.as_mut().filter(|pushing| pushing.is_due()) else { return };
        match self.tools.runtime.block_on(pushing.turn_over()) {
            Ok(sealing) => self.sealing = Some(self.tools.runtime.spawn(sealing.run())),
            Err(error) => tracing::error!(%error, "what was pushed is not sealed yet"),
        }
    }

    fn sealed(&mut self, sealing: JoinHandle<Result<Option<CommitInfo>, HistoryError>>) {
        let commit = match self.tools.runtime.block_on(sealing) {
            Ok(Ok(commit)) => commit,
            Ok(Err(error)) => {
                tracing::error!(%error, "what was pushed is not sealed yet");
                None
            }
            Err(error) => {
                tracing::error!(%error, "what was pushed is not sealed yet");
                None
            }
        };
        if let Some(pushing) = &mut self.pushing
            && let Err(error) = self.tools.runtime.block_on(pushing.sealed(commit))
        {
            tracing::error!(%error, "the history could not be read");
            self.pushing = None;
        }
    }

    /// Gives the source back, with all of it sealed by whoever takes it next.
    fn let_go(&mut self) {
        if let Some(sealing) = self.sealing.take() {
            self.sealed(sealing);
        }
        self.pushing = None;
    }

    fn end(&mut self) {
        if let Some(sealing) = self.sealing.take() {
            self.sealed(sealing);
        }
        let Some(mut pushing) = self.pushing.take() else { return };
        let sealed = self.tools.runtime.block_on(async { pushing.turn_over().await?.run().await });
        if let Err(error) = sealed {
            tracing::warn!(%error, "what was pushed is sealed the next time");
        }
    }
}
