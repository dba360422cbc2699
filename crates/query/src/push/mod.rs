//! Rows pushed to a source: typed, prepared and checked as a file's are, and taken into history as the records that a
//! delivery of them would have made.
//!
//! Requests that wait together are one group. Each request is taken or refused as a whole. A group takes the source's
//! next number, or several where it says something of one row twice: then no number has two rows of one identity, and it
//! makes no difference which requests happened to come together.

mod known;
mod records;

use std::path::Path;

use arrow::array::RecordBatch;
use futures::future::BoxFuture;
use karat_core::{Instant, Name, hidden};
use karat_history::log::Durability;
use karat_history::{CommitInfo, History, HistoryError, PushHead, PushWriter, PushedRows, Sealing};
use karat_project::spec::Survives;
use serde::Serialize;
use serde_json::Value as Json;

use crate::engine::Engine;
use crate::plan::SourcePlan;
use crate::rows::RowsDefinition;
use crate::stage::{PushContract, RowFault};
use crate::{QueryError, Result};

use known::Known;

/// A source that rows are pushed to. It is this process's until dropped.
pub struct Pushing {
    plan: SourcePlan,
    contract: PushContract,
    history: History,
    writer: PushWriter,
    known: Known,
}

/// One group, taken.
#[derive(Debug)]
pub struct Group {
    /// By request.
    pub answers: Vec<Pushed>,
    /// What history has now that it had not before, the oldest number first.
    pub records: Vec<RecordBatch>,
    /// The newest number; what it held before and holds now is readable up to it.
    pub commit: u64,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Pushed {
    Taken(Taken),
    /// Nothing of it was taken, because of these rows.
    Refused(Vec<RowFault>),
}

/// `accepted + duplicates + quarantined` are the rows of the request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Taken {
    /// Rows that are in history now and were not before.
    pub accepted: u64,
    /// Rows that history had already.
    pub duplicates: u64,
    /// Rows kept apart, as the contract says.
    pub quarantined: Vec<RowFault>,
    /// The source's newest number once these rows were in.
    pub commit: u64,
}

impl Pushing {
    /// Takes the source's turn, seals what an earlier process left, and learns which rows there are. Fails with
    /// [`HistoryError::Locked`] while another process has the source, and with [`QueryError::Redefined`] where its rows
    /// were made by another definition.
    pub fn open<'a>(
        plan: &'a SourcePlan,
        definition: &'a RowsDefinition,
        history: &'a History,
        survives: Survives,
    ) -> BoxFuture<'a, Result<Pushing>> {
        Box::pin(async move {
            let source = plan.source();
            let identity = plan.shape().identity_columns();
            let sorted_by = identity.iter().copied().chain([hidden::KNOWN_TIME, hidden::COMMIT, hidden::ROW]);
            let head = PushHead {
                columns: plan.schema().clone(),
                sorted_by: sorted_by.map(str::to_owned).collect(),
                definition: Some(serde_json::to_value(definition).expect("definitions serialise")),
            };
            check_definition(&source.name, definition, history).await?;
            let durability = match survives {
                Survives::Crash => Durability::Crash,
                Survives::PowerLoss => Durability::PowerLoss,
            };
            let writer = history.pusher(&source.name, head, durability).await?;
            let kept = history.snapshot(&source.name, None).await?;
            let known = Known::of(plan.shape(), kept).await?;
            let contract = PushContract::new(plan);
            Ok(Pushing { plan: plan.clone(), contract, history: history.clone(), writer, known })
        })
    }

    pub fn source(&self) -> &Name {
        &self.plan.source().name
    }

    /// The newest number.
    pub fn commit(&self) -> u64 {
        self.writer.next() - 1
    }

    /// Whether rows can be taken, as far as can be told without any.
    pub fn check(&self) -> Result<()> {
        Ok(self.writer.check()?)
    }

    /// Takes a group: the rows of each request, as JSON objects. Once it returns they are as durable as was asked for.
    /// Rows that the contract keeps apart are in a file in `quarantine` before. After an error nothing was taken.
    pub fn take<'a>(
        &'a mut self,
        engine: &'a Engine,
        requests: &'a [Vec<Json>],
        at: Instant,
        quarantine: &'a Path,
    ) -> BoxFuture<'a, Result<Group>> {
        Box::pin(self.run(engine, requests, at, quarantine))
    }

    async fn run(&mut self, engine: &Engine, requests: &[Vec<Json>], at: Instant, quarantine: &Path) -> Result<Group> {
        let checked = self.contract.check(requests, at)?;
        let mut answers: Vec<Pushed> = checked.answers(self.commit());
        let rows = checked.accepted(&answers)?;
        checked.keep_apart(&answers, engine, quarantine)?;
        let mut made = Vec::new();
        if rows.num_rows() > 0 {
            let shape = self.plan.shape();
            let rows = records::identified(shape, &rows)?;
            let hashes = records::hashes(shape, &rows);
            let mut there = self.known.find(shape, &hashes).await?;
            let mut number = self.writer.next();
            for wave in records::waves(&hashes) {
                let wave = records::take(&rows, &hashes, &wave)?;
                let found = records::find(&self.plan, &wave, &there, at, number)?;
                for row in found.repeated {
                    if let Pushed::Taken(taken) = &mut answers[checked.request(&wave.rows, row)] {
                        taken.accepted -= 1;
                        taken.duplicates += 1;
                    }
                }
                if found.records.is_empty() {
                    continue;
                }
                let batch = records::one(&found.records)?;
                let hashes = records::hashes(shape, &batch);
                there.add(&batch, &hashes);
                made.push(records::Made { counts: found.counts, batch, hashes });
                number += 1;
            }
            self.append(&made, at)?;
        }
        let commit = self.commit();
        for answer in &mut answers {
            if let Pushed::Taken(taken) = answer {
                taken.commit = commit;
            }
        }
        Ok(Group { answers, records: made.into_iter().map(|made| made.batch).collect(), commit })
    }

    fn append(&mut self, made: &[records::Made], at: Instant) -> Result<()> {
        if made.is_empty() {
            return Ok(());
        }
        let counts: Vec<Json> =
            made.iter().map(|made| serde_json::to_value(made.counts).expect("counts serialise")).collect();
        let partitions: Vec<Vec<u32>> =
            made.iter().map(|made| records::partitions(&made.hashes, self.writer.partitions())).collect();
        let groups: Vec<PushedRows<'_>> = made
            .iter()
            .zip(counts.iter().zip(&partitions))
            .map(|(made, (counts, partitions))| PushedRows { at, counts, rows: &made.batch, partitions })
            .collect();
        self.writer.append(&groups)?;
        made.iter().for_each(|made| self.known.add(&made.batch, &made.hashes));
        Ok(())
    }

    /// Whether so much was pushed that it should be sealed.
    pub fn is_due(&self) -> bool {
        self.writer.is_due() && !self.known.is_sealing()
    }

    /// What it takes to make a commit of all that was pushed so far, while more is; [`Pushing::sealed`] is called once that is done.
    pub fn turn_over(&mut self) -> BoxFuture<'_, std::result::Result<Sealing, HistoryError>> {
        Box::pin(async move {
            let sealing = self.writer.turn_over().await?;
            self.known.begin_sealing();
            Ok(sealing)
        })
    }

    /// What was turned over is in this commit.
    pub fn sealed(&mut self, commit: Option<CommitInfo>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let Some(commit) = commit else {
                self.known.end_sealing(None);
                return Ok(());
            };
            let kept = self.history.snapshot(&self.plan.source().name, Some(commit.number)).await?;
            self.known.end_sealing(kept);
            Ok(())
        })
    }
}

impl std::fmt::Debug for Pushing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pushing").field("writer", &self.writer).finish_non_exhaustive()
    }
}

/// Rows by another definition may not stand beside those that are there.
async fn check_definition(source: &Name, definition: &RowsDefinition, history: &History) -> Result<()> {
    let Some(newest) = history.snapshot(source, None).await?.filter(|newest| newest.commit > 0) else { return Ok(()) };
    let Some(earlier) = RowsDefinition::of_commit(&newest)? else { return Ok(()) };
    let changes = definition.changes_since(&earlier);
    match changes.is_empty() {
        true => Ok(()),
        false => {
            Err(QueryError::Redefined { name: source.clone(), commit: newest.commit, changes: changes.join("; ") })
        }
    }
}
