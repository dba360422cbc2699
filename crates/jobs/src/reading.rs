//! Which of a source's commits a definition may be read at: rows made by another are other rows.

use anyhow::{Result, bail};
use karat_core::Zone;
use karat_features::SourceDefinition;
use karat_history::Snapshot;
use karat_query::{RowsDefinition, Shape};

use crate::Workspace;
use crate::catalog::PlannedSource;

/// The source as of the newest commit, not after `up_to`, whose rows came about as the view was defined. An error, where
/// its history has none.
pub(crate) async fn snapshot(workspace: &Workspace, source: &SourceDefinition, up_to: Option<u64>) -> Result<Snapshot> {
    let name = &source.name;
    let newest = workspace.snapshot(name, up_to).await?;
    let is_so = |noted: &RowsDefinition| noted.narrowed(source.columns.names()) == source.upstream;
    if RowsDefinition::of_commit(&newest)?.as_ref().is_some_and(is_so) {
        return Ok(newest);
    }
    let mut of_old_karats = None;
    for commit in workspace.history.commits(name).await?.iter().rev().filter(|commit| commit.number <= newest.commit) {
        match RowsDefinition::noted(name, commit.number, commit.definition.as_ref())? {
            Some(noted) if is_so(&noted) => return workspace.snapshot(name, Some(commit.number)).await,
            Some(_) => {}
            None => of_old_karats = of_old_karats.or(Some(commit.number)),
        }
    }
    match of_old_karats {
        // What made these is not known; until now they were read by whoever came.
        Some(commit) if commit == newest.commit => Ok(newest),
        Some(commit) => workspace.snapshot(name, Some(commit)).await,
        None => bail!(
            "no commit of {name} has its rows as they were defined when this was pinned, so its features cannot be \
             computed; train it again on what {name} is now"
        ),
    }
}

/// What it takes to resolve a snapshot to current rows: as the rows were made, where the folder says otherwise by now.
pub(crate) fn shape(planned: &PlannedSource, snapshot: &Snapshot) -> Result<Shape> {
    Ok(match made_otherwise(planned, snapshot)? {
        None => planned.plan.shape().clone(),
        Some((made, _)) => Shape { schema: snapshot.columns.clone(), identity: made.identity, delivery: made.delivery },
    })
}

/// The zone that the snapshot's dates are in.
pub(crate) fn zone(planned: &PlannedSource, snapshot: &Snapshot) -> Result<Zone> {
    let made = RowsDefinition::of_commit(snapshot)?;
    Ok(made.and_then(|made| made.zone()).unwrap_or_else(|| planned.plan.source().zone()))
}

/// The definition that made the rows, and how the folder's differs, where it does.
pub(crate) fn made_otherwise(
    planned: &PlannedSource,
    snapshot: &Snapshot,
) -> Result<Option<(RowsDefinition, Vec<String>)>> {
    let Some(made) = RowsDefinition::of_commit(snapshot)? else { return Ok(None) };
    let changes = planned.rows.changes_since(&made);
    Ok((!changes.is_empty()).then_some((made, changes)))
}
