//! A delivery read, prepared and held to its contract: what is accepted waits in a spool, the rest in quarantine.

mod accept;
mod aside;
mod chain;
mod keys;
mod prepare;
mod pushed;
mod quarantine;
mod relation;
mod report;
mod rules;
pub(crate) mod unique;
mod whole;

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use karat_core::{Digest, DigestWriter, Instant};
use karat_project::spec::Origin;
use tokio::sync::mpsc;

use crate::engine::{Engine, Tables};
use crate::plan::{Input, SourcePlan};
use crate::read::{FileNote, FileRead, ReadBatch, find, postgres_dialect, read_files};
use crate::spool::Spool;
use crate::{Progress, QueryError, Result, sql};

use chain::Chain;

pub(crate) use accept::{ACCEPTED_FILE, ACCEPTED_LINE, visible_columns};
pub(crate) use aside::Aside;
pub(crate) use pushed::PushContract;
pub use pushed::RowFault;
pub use quarantine::Quarantine;
pub use report::{ContractReport, Example, RuleReport};
pub(crate) use rules::CompiledRule;
pub use whole::counts_news;
pub(crate) use whole::judge_news;

/// A delivery that went through its contract. Temporary files under it go with it.
pub struct Staged {
    pub report: ContractReport,
    pub quarantine: Quarantine,
    /// What was delivered: digests of the files, or of the query and the commits it was evaluated over.
    pub delivery: Digest,
    pub(crate) accepted: Spool,
    /// Of quarantined rows, where a missing key would be a removal.
    pub(crate) aside: Option<Aside>,
    /// The files' names as reports give them, by the number accepted rows carry.
    pub(crate) labels: Vec<String>,
    pub(crate) occasion: Occasion,
}

/// When a delivery comes, and what came before it.
#[derive(Debug, Clone)]
pub struct Occasion {
    pub at: Instant,
    /// The rows that a `volume` check compares with, of earlier deliveries, the last one last: those that came to their
    /// contracts' ends or, where a delivery is not all there is ([`counts_news`]), those that said something new.
    pub earlier: Vec<u64>,
}

impl Occasion {
    /// A delivery that nothing is known of before.
    pub fn first(at: Instant) -> Occasion {
        Occasion { at, earlier: Vec::new() }
    }
}

/// Batches under way between reading and checking.
const IN_FLIGHT: usize = 4;

/// Shown every batch on its way: for a profile, which looks and changes nothing.
pub(crate) type Tap = Box<dyn FnMut(Seen<'_>) -> Result<()> + Send>;

pub(crate) enum Seen<'a> {
    /// Rows in the source's own columns.
    Read(&'a RecordBatch),
    /// The same once prepared, less those where `prepare` failed; hidden columns follow the prepared ones.
    Prepared(&'a RecordBatch),
}

/// Reads a source's files (or evaluates its query over `tables`), prepares the rows and applies the contract.
///
/// A contract that refuses the delivery is no error here: [`ContractReport::refusal`] says so, and [`crate::deliver`]
/// then takes nothing.
pub fn stage<'a>(
    engine: &'a Engine,
    plan: &'a SourcePlan,
    tables: &'a Tables,
    occasion: Occasion,
    progress: Arc<dyn Progress>,
) -> BoxFuture<'a, Result<Staged>> {
    stage_tapped(engine, plan, tables, occasion, progress, Box::new(|_| Ok(())))
}

/// As [`stage`], with somebody looking on.
pub(crate) fn stage_tapped<'a>(
    engine: &'a Engine,
    plan: &'a SourcePlan,
    tables: &'a Tables,
    occasion: Occasion,
    progress: Arc<dyn Progress>,
    tap: Tap,
) -> BoxFuture<'a, Result<Staged>> {
    run(engine, plan, tables, occasion, progress, tap).boxed()
}

async fn run(
    engine: &Engine,
    plan: &SourcePlan,
    tables: &Tables,
    occasion: Occasion,
    progress: Arc<dyn Progress>,
    tap: Tap,
) -> Result<Staged> {
    let related = relation::load(engine, plan, tables).await?;
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let labels = Labels::default();
    let chain = Chain::new(engine, plan, related, occasion, labels.clone(), tap);
    let checking = tokio::task::spawn_blocking(move || check(chain, receiver));
    let read = match &plan.0.input {
        Input::Files { .. } => read_delivery(plan, progress, labels, sender).await,
        Input::Sql { text, .. } => query_delivery(engine, plan, tables, text, progress, labels, sender).await,
    };
    let checked = checking.await.map_err(|error| QueryError::Internal(error.to_string()))?;
    // When checking fails, reading fails too, for want of a listener: the first is the cause.
    let mut staged = checked?;
    let read = read?;
    staged.report.files = read.files;
    staged.report.left_out = read.left_out;
    staged.delivery = read.delivery;
    Ok(staged)
}

/// What is known of a delivery once it is read.
struct Delivery {
    files: Vec<FileNote>,
    left_out: Vec<sql::LeftOut>,
    delivery: Digest,
}

/// The names of the files being read: known once reading begins, needed by whoever reports a place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Arc<std::sync::OnceLock<Vec<String>>>);

impl Labels {
    fn set(&self, labels: Vec<String>) {
        let _ = self.0.set(labels);
    }

    pub(crate) fn all(&self) -> &[String] {
        self.0.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn get(&self, file: u32) -> &str {
        self.all().get(file as usize).map_or("", String::as_str)
    }
}

fn check(mut chain: Chain, mut receiver: mpsc::Receiver<ReadBatch>) -> Result<Staged> {
    while let Some(batch) = receiver.blocking_recv() {
        chain.take(batch)?;
    }
    chain.finish()
}

fn stopped() -> QueryError {
    QueryError::Internal("checking stopped while rows were still being read".to_owned())
}

async fn read_delivery(
    plan: &SourcePlan,
    progress: Arc<dyn Progress>,
    labels: Labels,
    sender: mpsc::Sender<ReadBatch>,
) -> Result<Delivery> {
    let plan = plan.clone();
    let reading = move || {
        let Input::Files { columns } = &plan.0.input else { unreachable!("only files are read here") };
        let source = &plan.0.source;
        let files = find(&plan.0.root, source, columns)?;
        labels.set(files.iter().map(|file| file.label.clone()).collect());
        let csv = match source.origin() {
            Origin::Postgres(_) => postgres_dialect(),
            _ => source.csv.clone().unwrap_or_default(),
        };
        let read = FileRead { files, columns: columns.clone(), csv, zone: source.zone() };
        read_files(&read, progress.as_ref(), &mut |batch| sender.blocking_send(batch).map_err(|_| stopped()))
    };
    let files =
        tokio::task::spawn_blocking(reading).await.map_err(|error| QueryError::Internal(error.to_string()))??;
    let digest = files.iter().fold(DigestWriter::new(), |digest, file| digest.piece(file.digest.as_str()));
    Ok(Delivery { delivery: digest.finish(), files, left_out: Vec::new() })
}

async fn query_delivery(
    engine: &Engine,
    plan: &SourcePlan,
    tables: &Tables,
    text: &str,
    progress: Arc<dyn Progress>,
    labels: Labels,
    sender: mpsc::Sender<ReadBatch>,
) -> Result<Delivery> {
    labels.set(vec!["sql".to_owned()]);
    let query = sql::Query::new(engine, tables, text).await?;
    let mut batches = query.typed(&plan.0.read, &plan.0.source.zone()).await?;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        progress.rows((batch.rows.num_rows() + batch.bad.len()) as u64);
        sender.send(batch).await.map_err(|_| stopped())?;
    }
    drop(sender);
    let left_out = query.left_out().await?;
    let versions = query.versions();
    let digest = versions.iter().fold(DigestWriter::new().piece(text), |digest, version| digest.piece(version));
    Ok(Delivery { files: Vec::new(), left_out, delivery: digest.finish() })
}

impl Staged {
    /// The accepted rows in the order read: the declared columns, then `_row`.
    pub fn accepted_rows(&self) -> u64 {
        self.accepted.rows()
    }

    /// Quarantined rows whose keys nobody can read, where a missing key would be a removal.
    pub fn unknown_keys(&self) -> u64 {
        self.aside.as_ref().map_or(0, |aside| aside.unknown)
    }

    /// The accepted rows' declared columns and hidden `_row`, in the order read.
    pub fn accepted_batches(&self) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        let columns = accept::visible_columns(self.accepted.schema());
        Ok(self.accepted.batches()?.map(move |batch| Ok(batch?.project(&columns)?)))
    }
}
