//! Sources against their contracts, and what is accepted into history.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use futures::future::BoxFuture;
use karat_core::{ErrorKind, Name};
use karat_history::Snapshot;
use karat_query::{
    ContractReport, DeliveryCounts, FileNote, Identity, Occasion, Pushing, QueryError, Redefined, RowsDefinition,
    Staged, Table, Tables, Taking, check_keys, counts_news, deliver, stage,
};
use karat_registry::Release;
use serde::Serialize;

use crate::catalog::PlannedSource;
use crate::observer::Reading;
use crate::{Catalog, NotFound, Unit, Usage, Workspace, kind_of};

/// A source held against its contract.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub source: Name,
    pub report: ContractReport,
    /// Why the delivery is refused, where a rule refuses it.
    pub refused: Option<String>,
    pub seconds: f64,
}

/// A delivery taken into history.
#[derive(Debug, Serialize)]
pub struct Ingested {
    pub source: Name,
    /// The newest commit after this; `None` for a source that is not kept.
    pub commit: Option<u64>,
    /// Whether this delivery made it.
    pub new_commit: bool,
    /// Why the history began anew with this delivery, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anew: Option<String>,
    /// What a person should know of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub counts: DeliveryCounts,
    pub report: ContractReport,
    /// Where the quarantined rows are, when there are any.
    pub quarantine: Option<PathBuf>,
    pub seconds: f64,
}

/// What sources came to, each by itself: one that fails keeps no other from its turn, but those that read it.
#[derive(Debug)]
pub struct Each<T> {
    pub done: Vec<T>,
    pub failed: Vec<anyhow::Error>,
}

impl<T> Each<T> {
    /// All, or the first failure.
    fn all(self) -> Result<Vec<T>> {
        self.failed.into_iter().next().map_or(Ok(self.done), Err)
    }
}

async fn each<'a, T, F: Future<Output = Result<Option<T>>>>(
    sources: Vec<&'a PlannedSource>,
    mut one: impl FnMut(&'a PlannedSource) -> F,
) -> Each<T> {
    let mut each = Each { done: Vec::new(), failed: Vec::new() };
    let mut without: BTreeSet<&Name> = BTreeSet::new();
    for planned in sources {
        let name = &planned.plan.source().name;
        let outcome = match planned.upstream.iter().find(|above| without.contains(above)) {
            Some(above) => Err(anyhow::anyhow!("source {name} was left: it reads {above}, which failed")),
            None => one(planned).await,
        };
        match outcome {
            Ok(done) => each.done.extend(done),
            Err(error) => {
                without.insert(name);
                each.failed.push(error);
            }
        }
    }
    each
}

/// Checks sources (all, when none is named) and ingests nothing. What an SQL source reads must have been ingested: it is
/// first, when it was not.
pub async fn check(workspace: &Workspace, names: &[String]) -> Result<Each<Checked>> {
    let catalog = &*workspace.catalog()?;
    Ok(each(chosen(catalog, names)?, |planned| async move {
        if planned.plan.source().origin().is_row_by_row() {
            return Ok(None);
        }
        let begun = Stopwatch::now();
        upstream(workspace, catalog, planned).await?;
        let staged = staged(workspace, catalog, planned).await?;
        let refused = match staged.report.refusal() {
            None => repeated_key(workspace, planned, &staged).await?,
            refused => refused,
        };
        Ok(Some(Checked {
            source: planned.plan.source().name.clone(),
            refused,
            report: staged.report,
            seconds: begun.elapsed().as_secs_f64(),
        }))
    })
    .await)
}

/// Why a delivery that is all there is would be refused although its contract lets it pass.
async fn repeated_key(workspace: &Workspace, planned: &PlannedSource, staged: &Staged) -> Result<Option<String>> {
    let source = planned.plan.source();
    if !source.keep {
        return Ok(None);
    }
    match check_keys(&workspace.engine, &planned.plan, staged).await {
        Err(error @ QueryError::DuplicateKey { .. }) => Ok(Some(error.to_string())),
        other => other.map(|()| None).map_err(|error| of_source(&source.name, error)),
    }
}

/// Ingests what a source reads, where that never was, or its rows are by another definition by now.
pub(crate) fn upstream<'a>(
    workspace: &'a Workspace,
    catalog: &'a Catalog,
    planned: &'a PlannedSource,
) -> BoxFuture<'a, Result<()>> {
    async move {
        for name in &planned.upstream {
            let above = &catalog.sources[name];
            let is_there = match workspace.history.snapshot(name, None).await? {
                Some(snapshot) => !has_other_rows(above, &snapshot)?,
                None => false,
            };
            if !above.plan.source().keep || !is_there {
                upstream(workspace, catalog, above).await?;
                if above.plan.source().keep && !begin_pushed(workspace, above).await? {
                    take_in(workspace, catalog, above).await?;
                }
            }
        }
        Ok(())
    }
    .boxed()
}

/// What is taken in although it would be refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Insisting {
    /// Rows by another definition than the history's, which is written anew from what is delivered now. Otherwise it is only
    /// where nothing is lost by it.
    pub rebuild: bool,
    /// As many rows as there are, whatever `volume` checks say.
    pub any_volume: bool,
}

/// Applies the folder, then ingests sources (all, when none is named), each after those it reads. The first failure is the
/// whole's, and what was taken stays.
pub async fn run(workspace: &Workspace, names: &[String], insisting: Insisting) -> Result<Vec<Ingested>> {
    run_each(workspace, names, insisting).await?.all()
}

/// As [`run`], with every failure.
pub async fn run_each(workspace: &Workspace, names: &[String], insisting: Insisting) -> Result<Each<Ingested>> {
    if insisting.rebuild && names.is_empty() {
        bail!(Usage("name the sources whose histories are to be written anew".to_owned()));
    }
    crate::apply::record(workspace).await?;
    let catalog = &*workspace.catalog()?;
    Ok(each(chosen(catalog, names)?, |planned| async move {
        let name = &planned.plan.source().name;
        if begin_pushed(workspace, planned).await? {
            if !names.is_empty() {
                let come = match planned.plan.source().lookup {
                    Some(_) => {
                        format!("its rows are a service's answers: `karat features lookup {name}` asks for them")
                    }
                    None => format!("its rows are pushed, to a server or by `karat features push {name} FILE`"),
                };
                bail!(Usage(format!("source {name} has no files: {come}")));
            }
        } else if planned.plan.source().keep {
            upstream(workspace, catalog, planned).await?;
            return ingest_one(workspace, catalog, planned, insisting).await.map(Some);
        } else if !names.is_empty() {
            bail!(Usage(format!(
                "source {name} keeps no history (`keep: false`): its rows are read in place, so there is nothing to \
                 ingest; `karat sources check {name}` holds them against its contract"
            )));
        }
        Ok(None)
    })
    .await)
}

/// Applies and ingests what is new since the last time; what jobs that read data begin with.
pub async fn ensure(workspace: &Workspace) -> Result<Release> {
    let release = crate::apply::record(workspace).await?;
    let catalog = workspace.catalog()?;
    for planned in catalog.sources.values() {
        bring_up(workspace, &catalog, planned).await?;
    }
    Ok(release)
}

/// A source whose newest delivery could not be taken in, and what its history has meanwhile.
#[derive(Debug)]
pub struct HeldUp {
    pub source: Name,
    pub commit: u64,
    pub problem: String,
}

/// As [`ensure`], for what answers from history: a delivery that is refused, or a file that is missing, keeps nobody from what
/// was taken in before it.
pub async fn ensure_or_go_on(workspace: &Workspace) -> Result<Vec<HeldUp>> {
    crate::apply::record(workspace).await?;
    let catalog = workspace.catalog()?;
    let mut held_up = Vec::new();
    for planned in catalog.sources.values() {
        if let Err(error) = bring_up(workspace, &catalog, planned).await {
            match goes_on_at(workspace, planned, &error).await? {
                Some(commit) => {
                    let source = planned.plan.source().name.clone();
                    held_up.push(HeldUp { source, commit, problem: format!("{error:#}") });
                }
                None => return Err(error),
            }
        }
    }
    Ok(held_up)
}

/// As [`ensure_or_go_on`], and says what was held up.
pub(crate) async fn ensure_or_say(workspace: &Workspace) -> Result<()> {
    for HeldUp { source, commit, problem } in ensure_or_go_on(workspace).await? {
        workspace
            .observer
            .say(&format!("warning: {problem}; going on with what the history of {source} has, up to commit {commit}"));
    }
    Ok(())
}

async fn bring_up(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<()> {
    let settled = !planned.plan.source().keep
        || begin_pushed(workspace, planned).await?
        || crate::freshness::is_current(workspace, catalog, planned).await?;
    if settled { Ok(()) } else { take_in(workspace, catalog, planned).await }
}

/// The commit to go on with although the source failed so, if there is one: its rows are those that the source's file means, and
/// nothing is wrong with them.
async fn goes_on_at(workspace: &Workspace, planned: &PlannedSource, error: &anyhow::Error) -> Result<Option<u64>> {
    if matches!(kind_of(error), ErrorKind::Corrupt | ErrorKind::Internal) {
        return Ok(None);
    }
    let Some(snapshot) = workspace.history.snapshot(&planned.plan.source().name, None).await? else { return Ok(None) };
    Ok((snapshot.commit > 0 && !has_other_rows(planned, &snapshot)?).then_some(snapshot.commit))
}

/// Whether the rows were made by another definition than the source has.
fn has_other_rows(planned: &PlannedSource, snapshot: &Snapshot) -> Result<bool> {
    let changes = RowsDefinition::of_commit(snapshot)?.map(|earlier| planned.rows.changes_since(&earlier));
    Ok(changes.is_some_and(|changes| !changes.is_empty()))
}

/// Ingests one source, and says what a person should know of it.
pub(crate) async fn take_in(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<()> {
    let ingested = ingest_one(workspace, catalog, planned, Insisting::default()).await?;
    for warning in &ingested.warnings {
        workspace.observer.say(warning);
    }
    if let Some(why) = &ingested.anew {
        workspace.observer.say(&format!("the history of {} was written anew: {why}", ingested.source));
    }
    if ingested.new_commit {
        let (name, counts) = (&ingested.source, &ingested.counts);
        workspace.observer.say(&format!(
            "ingested {name}: {} new, {} revised, {} removed, {} unchanged, {} quarantined",
            counts.new, counts.revised, counts.removed, counts.unchanged, counts.quarantined
        ));
    }
    Ok(())
}

/// Whether a source has nothing but what is pushed to it, for now at least: then nothing is ingested, and its history begins
/// without rows.
pub(crate) async fn begin_pushed(workspace: &Workspace, planned: &PlannedSource) -> Result<bool> {
    let source = planned.plan.source();
    if !source.origin().is_row_by_row() {
        let plan = planned.plan.clone();
        let waits = source.takes_rows().is_some()
            && tokio::task::spawn_blocking(move || plan.finds_no_file()).await.context("looking for files")?;
        if !waits {
            return Ok(false);
        }
    }
    let Some(push) = source.takes_rows() else { return Ok(true) };
    let begun = Stopwatch::now();
    while workspace.history.snapshot(&source.name, None).await?.is_none() {
        match Pushing::open(&planned.plan, &planned.rows, &workspace.history, push.survives).await {
            Ok(_) => break,
            // A server has it, and is beginning it this very moment.
            Err(error) if error.kind() == ErrorKind::Conflict && begun.elapsed() < BEGINS_WITHIN => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// How long a history may take to begin in another process.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);

fn chosen<'a>(catalog: &'a Catalog, names: &[String]) -> Result<Vec<&'a PlannedSource>> {
    for name in names {
        if !catalog.sources.contains_key(name.as_str()) {
            bail!(NotFound::named("source", name, catalog.sources.keys()));
        }
    }
    let wanted = |name: &Name| names.is_empty() || names.iter().any(|n| n == name.as_str());
    Ok(catalog.sources.iter().filter(|(name, _)| wanted(name)).map(|(_, planned)| planned).collect())
}

async fn staged(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<Staged> {
    let name = &planned.plan.source().name;
    let tables = tables(workspace, catalog, planned).await?;
    let reading = workspace.observer.begin(&format!("reading {name}"), 0, Unit::Bytes);
    let progress = Arc::new(Reading(reading));
    let occasion = occasion(workspace, planned).await?;
    stage(&workspace.engine, &planned.plan, &tables, occasion, progress).await.map_err(|error| of_source(name, error))
}

/// An error with the source it is about, where it does not name it itself.
fn of_source(name: &Name, error: QueryError) -> anyhow::Error {
    match error.names_source() {
        true => error.into(),
        false => anyhow::Error::from(error).context(format!("source {name}")),
    }
}

pub(crate) async fn occasion(workspace: &Workspace, planned: &PlannedSource) -> Result<Occasion> {
    Ok(Occasion { at: workspace.clock.now(), earlier: earlier(workspace, planned).await? })
}

/// What a `volume` check compares with, of each delivery that made a commit and had rows: those that were not quarantined;
/// where news are counted, those that were new, but of the first delivery of the history, which brings what had gathered.
async fn earlier(workspace: &Workspace, planned: &PlannedSource) -> Result<Vec<u64>> {
    let news = counts_news(planned.plan.shape().delivery);
    let mut commits = workspace.history.commits(&planned.plan.source().name).await?;
    if news && let Some(anew) = commits.iter().rposition(|commit| commit.anew) {
        commits.drain(..anew);
    }
    let rows = |counts: DeliveryCounts| if news { counts.accepted } else { counts.read - counts.quarantined };
    let delivered = commits.into_iter().filter(|commit| commit.pushed_from.is_none()).skip(usize::from(news));
    let rows = delivered.map(|commit| serde_json::from_value(commit.counts).map(rows));
    Ok(rows.filter(|rows| !matches!(rows, Ok(0))).collect::<Result<_, _>>()?)
}

/// The current rows of the sources that this one reads.
pub(crate) async fn tables(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<Tables> {
    let mut tables = Tables::new();
    for upstream in &planned.upstream {
        let upstream_plan = &catalog.sources[upstream];
        let table = if upstream_plan.plan.source().keep {
            Table::current(upstream_plan.plan.shape(), Some(workspace.snapshot(upstream, None).await?))
        } else {
            Table::staged(&Box::pin(staged(workspace, catalog, upstream_plan)).await?)
        };
        tables.insert(upstream.as_str(), table);
    }
    Ok(tables)
}

async fn ingest_one(
    workspace: &Workspace,
    catalog: &Catalog,
    planned: &PlannedSource,
    insisting: Insisting,
) -> Result<Ingested> {
    let begun = Stopwatch::now();
    let name = planned.plan.source().name.clone();
    // Noted before reading: a file that changes while it is read is read again the next time.
    let seen = crate::freshness::look(workspace, catalog, planned).await?;
    let mut staged = staged(workspace, catalog, planned).await?;
    if insisting.any_volume {
        staged.report.bear_volume();
    }
    let before = workspace.history.snapshot(&name, None).await?;
    // Rows kept apart are on disk before the commit that leaves them out. Nobody takes them away again: another ingest
    // may keep the same apart, and they may be what is left of them.
    let keeps_apart = staged.report.quarantined > 0 && staged.report.refusal().is_none();
    let quarantine = if keeps_apart { Some(staged.quarantine.write(&workspace.quarantine(&name))?) } else { None };
    let taking = Taking {
        at: workspace.clock.now(),
        definition: planned.rows.clone(),
        redefined: match insisting.rebuild {
            true => Redefined::Rebuild,
            false if comes_again(workspace, catalog, planned).await? => Redefined::Again,
            false => Redefined::Settled,
        },
        any_volume: insisting.any_volume,
        quarantine: quarantine.as_ref().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())),
    };
    let delivered = deliver(&workspace.engine, &planned.plan, &staged, &workspace.history, taking)
        .await
        .map_err(|error| of_source(&name, error))?;
    let mut warnings = warnings(workspace, planned, &staged.report.files);
    warnings.extend(kept_unread(&name, &staged, &delivered.counts));
    if delivered.commit.is_some() {
        warnings.extend(crate::compact::advice(workspace, &name).await?);
        // The delivery is in history already: what cannot be removed today is removed another day.
        if let Err(error) = crate::compact::sweep(workspace, &name).await {
            tracing::warn!(source = %name, error = format!("{error:#}"), "replaced files of the history are still there");
        }
    }
    crate::freshness::remember(workspace, &name, seen, &staged.report.files)?;
    Ok(Ingested {
        new_commit: delivered.commit.is_some(),
        commit: delivered.commit.map(|commit| commit.number).or(before.map(|before| before.commit)),
        anew: delivered.anew,
        warnings,
        counts: delivered.counts,
        report: delivered.report,
        quarantine,
        seconds: begun.elapsed().as_secs_f64(),
        source: name,
    })
}

fn kept_unread(name: &Name, staged: &Staged, counts: &DeliveryCounts) -> Option<String> {
    let unknown = staged.unknown_keys();
    (unknown > 0 && counts.kept > 0).then(|| {
        format!(
            "source {name}: the keys of {unknown} quarantined rows are empty or cannot be read, so any key that the delivery lacks may be \
             theirs: none is removed ({} kept)",
            counts.kept
        )
    })
}

/// Whether a query gives what it gave before by another definition: each of the sources it reads had one delivery.
async fn comes_again(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<bool> {
    if planned.plan.source().sql.is_none() {
        return Ok(false);
    }
    for name in &planned.upstream {
        let snapshot = match catalog.sources[name].plan.source().keep {
            true => workspace.history.snapshot(name, None).await?,
            // What a source read in place held then is not known.
            false => None,
        };
        if snapshot.is_none_or(|snapshot| snapshot.first != snapshot.commit) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn warnings(workspace: &Workspace, planned: &PlannedSource, files: &[FileNote]) -> Vec<String> {
    if planned.plan.shape().identity != Identity::FileRow {
        return Vec::new();
    }
    let name = &planned.plan.source().name;
    let changed = crate::freshness::changed(workspace, name, files);
    let Some(first) = changed.first() else { return Vec::new() };
    let others = match changed.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    vec![format!(
        "source {name}: {first}{others} changed since it was ingested, and all its rows were taken in again: rows of \
         appended files are told apart by their file's content; with an `event_id` only new events are"
    )]
}
