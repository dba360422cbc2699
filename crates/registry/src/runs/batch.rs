use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use karat_metadata::{MetadataError, WriteTx, query};
use tokio::sync::oneshot;

use super::log::{changed, keep_param};
use super::manage::{NAME_TAG, rename, require_active};
use super::settle::{Whose, keep, settle};
use super::{Metric, write_tags};
use crate::logged_models::{self, ModelMetric};
use crate::{Answer, Registry, RegistryError};

/// What a client logs at once: all of it, or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    pub metrics: Vec<Metric>,
    /// Of these, those that are of a model.
    pub model_metrics: Vec<ModelMetric>,
    pub params: Vec<(String, String)>,
    /// Of one key the last counts.
    pub tags: Vec<(String, String)>,
}

/// Batches that wait for their turn to be written: whoever's turn it is writes all that wait, in one transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queue(Arc<Mutex<Queued>>);

#[derive(Debug, Default)]
struct Queued {
    jobs: Vec<Job>,
    number: u64,
    /// Points of each run that were kept here and not moved since.
    kept: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Job {
    number: u64,
    run_id: String,
    batch: Batch,
    answer: oneshot::Sender<Result<(), RegistryError>>,
}

/// Batches in one transaction.
const JOBS: usize = 64;
/// Points of one run that wait to be moved, and of all.
const POINTS: usize = 5_000;
const ALL_POINTS: usize = 100_000;

impl Registry {
    /// Logs to an active run. A param keeps its value: another one is refused, and nothing of the batch is written.
    pub fn log_batch<'a>(&'a self, run_id: &'a str, batch: Batch) -> Answer<'a, ()> {
        Box::pin(async move {
            let (number, mut answered) = self.queue.push(run_id, batch);
            tokio::select! {
                biased;
                answer = &mut answered => return answer.unwrap_or_else(|_| Err(MetadataError::Ended.into())),
                turn = self.metadata.begin() => match turn {
                    Ok(tx) => self.write_jobs(tx).await?,
                    // What another took on meanwhile is that one's to answer.
                    Err(error) if self.queue.withdraw(number) => return Err(error.into()),
                    Err(_) => {}
                },
            }
            answered.await.unwrap_or_else(|_| Err(MetadataError::Ended.into()))
        })
    }

    /// Writes what waits. Where the transaction fails as a whole, nobody is answered, which says so.
    async fn write_jobs(&self, mut tx: WriteTx) -> Result<(), RegistryError> {
        let jobs = self.queue.take();
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in &jobs {
            outcomes.push(alone(&mut tx, job, jobs.len() == 1).await?);
        }
        let points = jobs.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        match self.queue.due(points.map(|(job, _)| (job.run_id.as_str(), job.batch.metrics.len()))) {
            Due::Nothing => {}
            Due::Run(run_id) => settle(&mut tx, Whose::Runs(&[&run_id])).await?,
            Due::All => settle(&mut tx, Whose::All).await?,
        }
        if outcomes.iter().any(Result::is_ok) {
            tx.commit().await?;
        }
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            // Nobody listens any more where the client went away.
            let _ = job.answer.send(outcome);
        }
        Ok(())
    }
}

enum Due {
    Nothing,
    Run(String),
    All,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, run_id: &str, batch: Batch) -> (u64, oneshot::Receiver<Result<(), RegistryError>>) {
        let (answer, answered) = oneshot::channel();
        let mut queued = self.lock();
        queued.number += 1;
        let number = queued.number;
        queued.jobs.push(Job { number, run_id: run_id.to_owned(), batch, answer });
        (number, answered)
    }

    /// Whether it was still there.
    fn withdraw(&self, number: u64) -> bool {
        let mut queued = self.lock();
        let before = queued.jobs.len();
        queued.jobs.retain(|job| job.number != number);
        queued.jobs.len() < before
    }

    /// The first that wait.
    fn take(&self) -> Vec<Job> {
        let mut queued = self.lock();
        let some = queued.jobs.len().min(JOBS);
        queued.jobs.drain(..some).collect()
    }

    /// What of the batches has become so much that it is moved.
    fn due<'j>(&self, written: impl Iterator<Item = (&'j str, usize)>) -> Due {
        let mut queued = self.lock();
        let mut due = Due::Nothing;
        for (run_id, points) in written {
            let kept = queued.kept.entry(run_id.to_owned()).or_default();
            *kept += points;
            if *kept >= POINTS {
                due = Due::Run(run_id.to_owned());
            }
        }
        if queued.kept.values().sum::<usize>() >= ALL_POINTS {
            queued.kept.clear();
            return Due::All;
        }
        if let Due::Run(run_id) = &due {
            queued.kept.remove(run_id);
        }
        due
    }
}

/// One job; what fails of it leaves the others as they are.
async fn alone(tx: &mut WriteTx, job: &Job, only: bool) -> Result<Result<(), RegistryError>, RegistryError> {
    if only {
        return Ok(write(tx, job).await);
    }
    query("SAVEPOINT job").execute(tx).await?;
    let outcome = write(tx, job).await;
    if outcome.is_err() {
        query("ROLLBACK TO SAVEPOINT job").execute(tx).await?;
    }
    query("RELEASE SAVEPOINT job").execute(tx).await?;
    Ok(outcome)
}

async fn write(tx: &mut WriteTx, job: &Job) -> Result<(), RegistryError> {
    let Job { run_id, batch, .. } = job;
    require_active(tx, run_id).await?;
    let mut others = Vec::new();
    for (key, value) in &batch.params {
        let kept = keep_param(tx, run_id, key, value).await?;
        if kept != *value {
            others.push((key, kept, value));
        }
    }
    if !others.is_empty() {
        return Err(param_changed(run_id, &others, batch.params.len()));
    }
    if !batch.params.is_empty() {
        changed(tx, run_id).await?;
    }
    keep(tx, run_id, &batch.metrics).await?;
    logged_models::write_metrics(tx, run_id, &batch.model_metrics).await?;
    let mut tags: BTreeMap<String, String> = batch.tags.iter().cloned().collect();
    if let Some(name) = tags.remove(NAME_TAG) {
        rename(tx, run_id, &name).await?;
    }
    write_tags(tx, run_id, &tags).await
}

fn param_changed(run_id: &str, changed: &[(&String, String, &String)], logged: usize) -> RegistryError {
    RegistryError::Invalid(match changed {
        [(key, kept, value)] if logged == 1 => format!(
            "Changing param values is not allowed. Param with key='{key}' was already logged with value='{kept}' \
             for run ID='{run_id}'. Attempted logging new value '{value}'."
        ),
        _ => {
            let each = changed
                .iter()
                .map(|(key, kept, value)| format!("{{'key': '{key}', 'old_value': '{kept}', 'new_value': '{value}'}}"));
            let all = each.collect::<Vec<_>>().join(", ");
            format!("Changing param values is not allowed. Params were already logged='[{all}]' for run ID='{run_id}'.")
        }
    })
}
