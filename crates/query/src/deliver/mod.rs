//! A staged delivery into history: what differs from the current rows becomes one commit, or none.

pub(crate) mod differences;
mod known;
mod partition;
mod records;
mod slices;
mod timeline;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema as ArrowSchema};
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use karat_core::{Digest, Instant, hidden};
use karat_history::{CommitInfo, CommitNote, CommitWriter, History, Snapshot};
use karat_project::spec::{Delivery, Source};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::plan::{Identity, Shape, SourcePlan};
use crate::rows::RowsDefinition;
use crate::spool::Spool;
use crate::stage::{ContractReport, Staged, counts_news, judge_news};
use crate::{QueryError, Result};

use differences::{Arriving, Differences, Lacking, Rules};
use known::KnownRows;
use slices::{Division, Slices};

/// What became of every row of a delivery: `read = accepted + unchanged + quarantined`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCounts {
    pub read: u64,
    /// Rows that changed the history: new, revised, under `changes` removing, and superseded ones.
    pub accepted: u64,
    pub quarantined: u64,
    /// Identities that had no row.
    pub new: u64,
    pub revised: u64,
    /// Identities that lost their row: missing from a full delivery, or removed by a row under `changes`.
    pub removed: u64,
    /// Rows that say what history says already.
    pub unchanged: u64,
    /// Identities whose row was quarantined this time, or may have been: what they had stays.
    #[serde(default)]
    pub kept: u64,
    /// Rows followed, in the same delivery, by another of the same identity and known time.
    pub superseded: u64,
}

/// What a delivery did.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    pub counts: DeliveryCounts,
    /// None when nothing differed from what was there: the history is untouched.
    pub commit: Option<CommitInfo>,
    /// Why the commit holds all rows anew, where it does.
    pub anew: Option<String>,
    /// What the contract found, what it could only tell beside the history included.
    pub report: ContractReport,
}

/// Rows a partition should have at the first delivery, about.
const PARTITION_ROWS: u64 = 150_000;
const MAX_PARTITIONS: u64 = 64;

/// How a delivery is taken into history.
#[derive(Debug, Clone)]
pub struct Taking {
    /// The ingest instant.
    pub at: Instant,
    /// What makes the rows what they are.
    pub definition: RowsDefinition,
    pub redefined: Redefined,
    /// Whether what `volume` checks find refuses nothing.
    pub any_volume: bool,
    /// The file of the rows kept apart, noted with the commit.
    pub quarantine: Option<String>,
}

/// What to do where the rows of the history were made by another definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redefined {
    /// Begin anew only if the history has nothing that the delivery has not: it is one delivery, and this is it again.
    Settled,
    /// As `Settled`, for a delivery that is known to bring the same again although its digest differs.
    Again,
    /// Begin anew, changed or not.
    Rebuild,
}

/// Writes the differences between `staged` and the source's current rows as one commit.
///
/// All or nothing; delivering the same again makes no commit, and a first delivery always makes one. A delivery that its contract refuses is
/// [`QueryError::Refused`]; a key that comes twice in a full delivery is [`QueryError::DuplicateKey`]; rows by another
/// definition than the newest commit's are [`QueryError::Redefined`], unless the history may begin anew with them: then
/// the commit holds all rows, as if nothing had been delivered before.
pub fn deliver<'a>(
    engine: &'a Engine,
    plan: &'a SourcePlan,
    staged: &'a Staged,
    history: &'a History,
    taking: Taking,
) -> BoxFuture<'a, Result<Delivered>> {
    run(engine, plan, staged, history, taking).boxed()
}

async fn run(
    engine: &Engine,
    plan: &SourcePlan,
    staged: &Staged,
    history: &History,
    taking: Taking,
) -> Result<Delivered> {
    let source = plan.source();
    let mut report = staged.report.clone();
    unless_refused(source, &report)?;
    // The writer holds the source's lock, so what is read from here on stays the newest.
    let mut writer = history.writer(&source.name, plan.schema()).await?;
    let found = history.snapshot(&source.name, None).await?;
    let is_first = found.is_none();
    let newest = found.filter(|newest| newest.commit > 0);
    let anew = match &newest {
        Some(newest) => begins_anew(newest, staged, &taking)?,
        None => None,
    };
    let snapshot = newest.filter(|_| anew.is_none());
    let partitions = match &snapshot {
        Some(snapshot) => snapshot.partitions,
        None => partitions_for(staged.accepted.rows()),
    };

    let mut counts = DeliveryCounts {
        read: staged.report.read,
        quarantined: staged.report.quarantined,
        ..DeliveryCounts::default()
    };
    let known = match (&plan.shape().identity, &snapshot) {
        (Identity::FileRow, Some(snapshot)) => KnownRows::of(snapshot, &digests(staged).into_iter().collect()).await?,
        _ => KnownRows::default(),
    };
    let (split, skipped) = split(engine, plan, staged, known, partitions).await?;
    counts.unchanged += skipped;

    let rules = rules(plan, staged, taking.at, writer.number());
    let aside = match &staged.aside {
        Some(aside) => {
            let (keys, engine, identity) =
                (aside.keys.clone(), engine.clone(), rules.shape.identity_columns().join("\0"));
            let division = Division { below: 1, parts: partitions };
            blocking(move || divided(&keys, &identity.split('\0').collect::<Vec<_>>(), division, &engine)).await?
        }
        None => Vec::new(),
    };
    let mut aside = aside.into_iter();
    let mut wrote = false;
    for (partition, delivered) in (0..partitions).zip(split) {
        let aside = aside.next();
        // Rows of files are only ever added: what is there cannot differ.
        let snapshot = snapshot.as_ref().filter(|_| rules.shape.identity != Identity::FileRow);
        let partition = Place { partition, partitions };
        for slice in partition.slices(engine, &rules.shape, snapshot, delivered, aside).await? {
            if slice.delivered.rows() == 0 && (slice.there.rows() == 0 || rules.shape.delivery != Delivery::Full) {
                continue;
            }
            let rules = rules.clone();
            let Differences { records, counts: more, .. } = blocking(move || compare(&rules, &slice)).await?;
            counts.add(&more);
            wrote |= write(&mut writer, partition.partition, &records).await?;
        }
    }
    // A first delivery begins the history even if nothing in it is accepted: who reads it has no rows, not no source.
    if !wrote && !is_first && anew.as_ref().is_none_or(|anew| anew.had_nothing) {
        return Ok(Delivered { counts, commit: None, anew: None, report });
    }
    if snapshot.is_some() && counts_news(rules.shape.delivery) {
        judge_news(&mut report, &plan.0.rules, counts.accepted, &staged.occasion);
        if taking.any_volume {
            report.bear_volume();
        }
        if let Err(refused) = unless_refused(source, &report) {
            writer.abandon().await?;
            return Err(refused);
        }
    }
    let note = CommitNote {
        at: taking.at,
        delivery: staged.delivery.clone(),
        counts: serde_json::to_value(counts).expect("counts serialise"),
        partitions,
        definition: Some(serde_json::to_value(&taking.definition).expect("definitions serialise")),
        anew: anew.is_some(),
        quarantine: taking.quarantine,
    };
    Ok(Delivered { counts, commit: Some(writer.commit(note).await?), anew: anew.map(|anew| anew.why), report })
}

fn unless_refused(source: &Source, report: &ContractReport) -> Result<()> {
    let Some(reason) = report.refusal() else { return Ok(()) };
    let mut detail = report.mostly().map(|mostly| format!("; {mostly}")).unwrap_or_default();
    if report.rules.iter().filter(|rule| rule.fired).all(|rule| rule.check == "volume") {
        let name = &source.name;
        detail.push_str(&format!("; if that many are right, `karat sources ingest {name} --any-volume` takes them"));
    }
    Err(QueryError::Refused { name: source.name.clone(), reason, detail })
}

/// What a delivery that is all there is must have: each key once. Fails as [`deliver`] would.
pub fn check_keys<'a>(engine: &'a Engine, plan: &'a SourcePlan, staged: &'a Staged) -> BoxFuture<'a, Result<()>> {
    async move {
        if plan.shape().delivery != Delivery::Full {
            return Ok(());
        }
        let partitions = partitions_for(staged.accepted.rows());
        let (split, _) = split(engine, plan, staged, KnownRows::default(), partitions).await?;
        let rules = rules(plan, staged, staged.occasion.at, 1);
        for (partition, delivered) in (0..partitions).zip(split) {
            let place = Place { partition, partitions };
            for slice in place.slices(engine, &rules.shape, None, delivered, None).await? {
                let rules = rules.clone();
                blocking(move || compare(&rules, &slice)).await?;
            }
        }
        Ok(())
    }
    .boxed()
}

/// The accepted rows by partition, and how many of them are known already.
async fn split(
    engine: &Engine,
    plan: &SourcePlan,
    staged: &Staged,
    known: KnownRows,
    partitions: u32,
) -> Result<(Vec<Spool>, u64)> {
    let splitting = partition::Splitting {
        shape: plan.shape().clone(),
        accepted: staged.accepted.clone(),
        digests: digests(staged),
        known,
        partitions,
        temp_dir: engine.temp_dir().to_owned(),
        budget: engine.memory_bytes() / 4,
    };
    blocking(move || splitting.run()).await
}

/// Of the delivery's files, by their number.
fn digests(staged: &Staged) -> Vec<Digest> {
    staged.report.files.iter().map(|file| file.digest.clone()).collect()
}

fn rules(plan: &SourcePlan, staged: &Staged, at: Instant, commit: u64) -> Rules {
    Rules {
        source: plan.source().name.clone(),
        shape: plan.shape().clone(),
        at: at.micros(),
        commit: commit as i64,
        labels: staged.labels.clone(),
        arriving: Arriving::Together,
        lacking: if staged.unknown_keys() == 0 { Lacking::Removed } else { Lacking::Kept },
    }
}

/// A history begins anew with a delivery.
struct Anew {
    why: String,
    /// There were no rows, by whatever definition: where there are none now, nothing has changed.
    had_nothing: bool,
}

/// Whether the history begins anew with this delivery.
fn begins_anew(newest: &Snapshot, staged: &Staged, taking: &Taking) -> Result<Option<Anew>> {
    // What made the rows of a commit by an older Karat is not known, and taken for what it is now.
    let earlier = RowsDefinition::of_commit(newest)?;
    let changes = earlier.map(|earlier| taking.definition.changes_since(&earlier)).unwrap_or_default();
    let changed = (!changes.is_empty())
        .then(|| format!("its definition changed since commit {} ({})", newest.commit, changes.join("; ")));
    let because = |why: String| Ok(Some(Anew { why, had_nothing: false }));
    if taking.redefined == Redefined::Rebuild {
        return because(changed.unwrap_or_else(|| "a rebuild was asked for".to_owned()));
    }
    let one_delivery = newest.first == newest.commit;
    let comes_again = staged.delivery == newest.delivery || taking.redefined == Redefined::Again;
    match changed {
        Some(why) if one_delivery && comes_again || newest.rows() == 0 => because(why),
        Some(_) => Err(QueryError::Redefined {
            name: newest.source.clone(),
            commit: newest.commit,
            changes: changes.join("; "),
        }),
        None if newest.rows() == 0 => Ok(Some(Anew { why: "it had no rows".to_owned(), had_nothing: true })),
        None => Ok(None),
    }
}

fn partitions_for(rows: u64) -> u32 {
    rows.div_ceil(PARTITION_ROWS).next_power_of_two().clamp(1, MAX_PARTITIONS) as u32
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| QueryError::Internal(error.to_string()))?
}

/// A partition of so many.
#[derive(Clone, Copy)]
struct Place {
    partition: u32,
    partitions: u32,
}

/// Rows of a delivery with those of the history that have the same identities.
struct Slice {
    delivered: Spool,
    there: Spool,
    aside: Option<Spool>,
}

impl Place {
    /// The partition in slices that fit memory, however few partitions the first delivery made.
    async fn slices(
        self,
        engine: &Engine,
        shape: &Shape,
        snapshot: Option<&Snapshot>,
        delivered: Spool,
        aside: Option<Spool>,
    ) -> Result<Vec<Slice>> {
        let identity = shape.identity_columns();
        let parts =
            snapshot.iter().flat_map(|snapshot| &snapshot.parts).filter(|part| part.partition == self.partition);
        let rows = delivered.rows() + parts.map(karat_history::Part::rows).sum::<u64>();
        let division = Division { below: self.partitions, parts: slices_for(rows) };
        let budget = if division.parts == 1 { usize::MAX } else { engine.memory_bytes() / 8 };
        let fields: Vec<Field> = shape.schema.arrow_fields().into_iter().chain(hidden::fields()).collect();
        let schema = Arc::new(ArrowSchema::new(fields));
        let mut there = Slices::new(&schema, &identity, division, engine.temp_dir(), budget);
        if let Some(snapshot) = snapshot {
            let mut batches = snapshot.stream(&shape.schema, &hidden::ALL, Some(self.partition));
            while let Some(batch) = batches.try_next().await? {
                there.push(&batch)?;
            }
        }
        let there = there.finish()?;
        if division.parts == 1 {
            return Ok(there
                .into_iter()
                .map(|there| Slice { delivered: delivered.clone(), there, aside: aside.clone() })
                .collect());
        }
        let delivered = divided(&delivered, &identity, division, engine)?;
        let mut aside = match aside {
            Some(aside) => divided(&aside, &identity, division, engine)?.into_iter(),
            None => Vec::new().into_iter(),
        };
        let both = delivered.into_iter().zip(there);
        Ok(both.map(|(delivered, there)| Slice { delivered, there, aside: aside.next() }).collect())
    }
}

/// Into how many slices the rows of a partition are divided to be compared.
fn slices_for(rows: u64) -> u32 {
    if rows <= 4 * PARTITION_ROWS { 1 } else { rows.div_ceil(PARTITION_ROWS).next_power_of_two() as u32 }
}

fn divided(rows: &Spool, identity: &[&str], division: Division, engine: &Engine) -> Result<Vec<Spool>> {
    let mut slices = Slices::new(rows.schema(), identity, division, engine.temp_dir(), engine.memory_bytes() / 8);
    for batch in rows.batches()? {
        slices.push(&batch?)?;
    }
    slices.finish()
}

fn whole(rows: &Spool) -> Result<RecordBatch> {
    let batches = rows.batches()?.collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(rows.schema(), &batches)?)
}

fn compare(rules: &Rules, slice: &Slice) -> Result<Differences> {
    let there = if slice.there.rows() == 0 { None } else { Some(whole(&slice.there)?) };
    let aside = slice.aside.as_ref().map(whole).transpose()?;
    differences::find(rules, &whole(&slice.delivered)?, there.as_ref(), aside.as_ref())
}

async fn write(writer: &mut CommitWriter, partition: u32, records: &[RecordBatch]) -> Result<bool> {
    for batch in records {
        writer.write(partition, batch).await?;
    }
    Ok(!records.is_empty())
}

impl DeliveryCounts {
    pub(crate) fn add(&mut self, more: &DeliveryCounts) {
        self.accepted += more.accepted;
        self.new += more.new;
        self.revised += more.revised;
        self.removed += more.removed;
        self.unchanged += more.unchanged;
        self.kept += more.kept;
        self.superseded += more.superseded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history that began with one row has one partition; what is compared at a time is bounded for all that.
    #[test]
    fn what_is_compared_at_a_time_is_bounded() {
        assert_eq!(slices_for(0), 1);
        assert_eq!(slices_for(4 * PARTITION_ROWS), 1);
        for rows in [4 * PARTITION_ROWS + 1, 3_000_000, 100_000_000] {
            assert!(rows / u64::from(slices_for(rows)) <= PARTITION_ROWS, "{rows}");
        }
    }
}
