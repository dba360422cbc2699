//! Sources against their contracts, and what is accepted into history.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant as Stopwatch;

use anyhow::{Context, Result, bail};
use karat_core::Name;
use karat_query::{ContractReport, DeliveryCounts, Occasion, Staged, Table, Tables, deliver, stage};
use karat_registry::Release;
use serde::Serialize;

use crate::catalog::PlannedSource;
use crate::observer::Reading;
use crate::{Catalog, NotFound, Unit, Workspace};

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
    pub counts: DeliveryCounts,
    pub report: ContractReport,
    /// Where the quarantined rows are, when there are any.
    pub quarantine: Option<PathBuf>,
    pub seconds: f64,
}

/// Checks sources (all, when none is named) and ingests nothing. What an SQL source reads must have been ingested: it is
/// first, when it was not.
pub async fn check(workspace: &Workspace, names: &[String]) -> Result<Vec<Checked>> {
    let catalog = workspace.catalog()?;
    let mut checked = Vec::new();
    for planned in chosen(&catalog, names)? {
        let begun = Stopwatch::now();
        upstream(workspace, &catalog, planned).await?;
        let staged = staged(workspace, &catalog, planned).await?;
        checked.push(Checked {
            source: planned.plan.source().name.clone(),
            refused: staged.report.refusal(),
            report: staged.report,
            seconds: begun.elapsed().as_secs_f64(),
        });
    }
    Ok(checked)
}

/// Ingests what a source reads, where that never was.
pub(crate) async fn upstream(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<()> {
    for upstream in &planned.upstream {
        let upstream_plan = &catalog.sources[upstream];
        if upstream_plan.plan.source().keep && workspace.history.snapshot(upstream, None).await?.is_none() {
            ingest_one(workspace, catalog, upstream_plan).await?;
        }
    }
    Ok(())
}

/// Applies the folder, then ingests sources (all, when none is named), each after those it reads. A refused delivery
/// ends it; what was taken before stays.
pub async fn run(workspace: &Workspace, names: &[String]) -> Result<Vec<Ingested>> {
    crate::apply::record(workspace).await?;
    let catalog = workspace.catalog()?;
    let mut ingested = Vec::new();
    for planned in chosen(&catalog, names)? {
        if planned.plan.source().keep {
            ingested.push(ingest_one(workspace, &catalog, planned).await?);
        }
    }
    Ok(ingested)
}

/// Applies and ingests what is new since the last time; what jobs that read data begin with.
pub async fn ensure(workspace: &Workspace) -> Result<Release> {
    let release = crate::apply::record(workspace).await?;
    let catalog = workspace.catalog()?;
    for planned in catalog.sources.values().filter(|planned| planned.plan.source().keep) {
        if crate::freshness::is_current(workspace, planned).await? {
            continue;
        }
        let ingested = ingest_one(workspace, &catalog, planned).await?;
        if ingested.new_commit {
            let (name, counts) = (&ingested.source, &ingested.counts);
            workspace.observer.say(&format!(
                "ingested {name}: {} new, {} revised, {} removed, {} unchanged, {} quarantined",
                counts.new, counts.revised, counts.removed, counts.unchanged, counts.quarantined
            ));
        }
    }
    Ok(release)
}

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
    let occasion = occasion(workspace, name).await?;
    stage(&workspace.engine, &planned.plan, &tables, occasion, progress).await.with_context(|| format!("source {name}"))
}

pub(crate) async fn occasion(workspace: &Workspace, name: &Name) -> Result<Occasion> {
    Ok(Occasion { at: workspace.clock.now(), earlier: earlier(workspace, name).await? })
}

/// How many rows of each delivery that made a commit were not quarantined.
async fn earlier(workspace: &Workspace, name: &Name) -> Result<Vec<u64>> {
    let commits = workspace.history.commits(name).await?;
    let rows = |counts: serde_json::Value| {
        serde_json::from_value(counts).map(|counts: DeliveryCounts| counts.read - counts.quarantined)
    };
    Ok(commits.into_iter().map(|commit| rows(commit.counts)).collect::<Result<Vec<u64>, _>>()?)
}

/// The current rows of the sources that this one reads.
pub(crate) async fn tables(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<Tables> {
    let mut tables = Tables::new();
    for upstream in &planned.upstream {
        let upstream_plan = &catalog.sources[upstream];
        let table = if upstream_plan.plan.source().keep {
            let snapshot = workspace.history.snapshot(upstream, None).await?;
            Table::current(upstream_plan.plan.shape(), snapshot)
        } else {
            Table::staged(&Box::pin(staged(workspace, catalog, upstream_plan)).await?)
        };
        tables.insert(upstream.as_str(), table);
    }
    Ok(tables)
}

async fn ingest_one(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<Ingested> {
    let begun = Stopwatch::now();
    let name = planned.plan.source().name.clone();
    // Noted before reading: a file that changes while it is read is read again the next time.
    let seen = crate::freshness::look(workspace, planned).await?;
    let staged = staged(workspace, catalog, planned).await?;
    let before = workspace.history.snapshot(&name, None).await?;
    let number = before.as_ref().map_or(1, |before| before.commit + 1);
    // Rows kept apart are on disk before the commit that leaves them out.
    let quarantined = staged.report.quarantined > 0;
    let quarantine = workspace.quarantine(&name, number);
    if quarantined {
        staged.quarantine.write(&quarantine)?;
    }
    let report = staged.report.clone();
    let delivered = deliver(&workspace.engine, &planned.plan, &staged, &workspace.history, workspace.clock.now())
        .await
        .with_context(|| format!("source {name}"));
    let delivered = match delivered {
        Ok(delivered) => delivered,
        Err(error) => {
            if quarantined {
                std::fs::remove_file(&quarantine).ok();
            }
            return Err(error);
        }
    };
    crate::freshness::remember(workspace, &name, &seen)?;
    let new_commit = delivered.commit.is_some();
    if quarantined && !new_commit && number > 1 {
        // Nothing new: the rows kept apart stand beside the commit that first left them out.
        std::fs::remove_file(&quarantine).ok();
    }
    Ok(Ingested {
        commit: delivered.commit.map(|commit| commit.number).or(before.map(|before| before.commit)),
        new_commit,
        counts: delivered.counts,
        report,
        quarantine: (quarantined && quarantine.exists()).then_some(quarantine),
        seconds: begun.elapsed().as_secs_f64(),
        source: name,
    })
}
