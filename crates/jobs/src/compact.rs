//! Histories of many commits in fewer, larger parts; no answer changes.

use std::time::Instant as Stopwatch;

use anyhow::{Context, Result, bail};
use karat_core::time::MICROS_PER_DAY;
use karat_core::{Name, Window, Zone, thousands};
use karat_history::{CompactionPlan, HistoryError, Left, Sizes};
use serde::Serialize;

use crate::{NotFound, Unit, Usage, Workspace};

/// How long files stay that were replaced, where nothing else is said.
pub const RETAIN: Window = Window::Fixed(MICROS_PER_DAY);

/// Parts from which on a person is told that fewer would do.
const MANY_PARTS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Only says what would be done.
    Plan,
    Compact,
}

/// One source's history, before and after.
#[derive(Debug, Serialize)]
pub struct Compacted {
    pub source: Name,
    pub commits: usize,
    pub parts_before: usize,
    pub parts_after: usize,
    /// Of the parts that readers open. `None` where nothing was written: it is not known before.
    pub bytes_before: u64,
    pub bytes_after: Option<u64>,
    pub merged: Vec<Merged>,
    pub left: Vec<LeftAlone>,
    /// What had been replaced long enough ago.
    pub files_removed: usize,
    pub bytes_removed: u64,
    pub seconds: f64,
}

/// Commits whose parts became fewer.
#[derive(Debug, Serialize)]
pub struct Merged {
    pub first: u64,
    pub last: u64,
    pub commits: usize,
    pub rows: u64,
    pub parts_before: usize,
    pub parts_after: usize,
}

/// Commits that stay in the parts they are in.
#[derive(Debug, Serialize)]
pub struct LeftAlone {
    pub first: u64,
    pub last: u64,
    pub parts: usize,
    pub bytes: u64,
    pub why: &'static str,
}

/// Compacts the histories of sources (all that have one, when none is named), then removes what was replaced longer ago than
/// `retain`.
pub async fn run(workspace: &Workspace, names: &[String], retain: Window, extent: Extent) -> Result<Vec<Compacted>> {
    let mut done = Vec::new();
    for name in chosen(workspace, names)? {
        let one = match extent {
            Extent::Plan => planned(workspace, &name).await,
            Extent::Compact => compacted(workspace, &name, retain).await,
        };
        let one = one.with_context(|| format!("source {name}"))?;
        if one.commits > 0 || !names.is_empty() {
            done.push(one);
        }
    }
    Ok(done)
}

/// Removes what was replaced long enough ago; whoever compacts the source right now does that, too.
pub(crate) async fn sweep(workspace: &Workspace, name: &Name) -> Result<()> {
    let before = RETAIN.start(workspace.clock.now(), &Zone::utc());
    match workspace.history.compactor(name).await {
        Ok(compactor) => {
            compactor.remove_replaced(before).await?;
        }
        Err(HistoryError::Locked { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// What a person should know of how a source's history lies on disk.
pub(crate) async fn advice(workspace: &Workspace, name: &Name) -> Result<Option<String>> {
    let plan = workspace.history.compaction(name, Sizes::default()).await?;
    Ok(hint(name, plan.parts, saved(&plan)))
}

fn hint(name: &Name, parts: usize, saved: usize) -> Option<String> {
    (saved >= MANY_PARTS).then(|| {
        let (parts, fewer) = (thousands(parts as u64), thousands((parts - saved) as u64));
        format!(
            "source {name}: its history lies in {parts} parts; `karat sources compact {name}` makes {fewer} of them"
        )
    })
}

fn saved(plan: &CompactionPlan) -> usize {
    plan.merges.iter().map(|merge| merge.parts_before - merge.parts_after).sum()
}

fn chosen(workspace: &Workspace, names: &[String]) -> Result<Vec<Name>> {
    let sources = workspace.project.sources();
    for name in names {
        match sources.get(name.as_str()) {
            None => bail!(NotFound::named("source", name, sources.keys())),
            Some(source) if !source.keep => {
                bail!(Usage(format!("source {name} keeps no history (`keep: false`), so there is nothing to compact")))
            }
            Some(_) => {}
        }
    }
    let wanted = |name: &Name| names.is_empty() || names.iter().any(|wanted| wanted == name.as_str());
    Ok(sources
        .values()
        .filter(|source| source.keep && wanted(&source.name))
        .map(|source| source.name.clone())
        .collect())
}

async fn planned(workspace: &Workspace, name: &Name) -> Result<Compacted> {
    let begun = Stopwatch::now();
    let plan = workspace.history.compaction(name, Sizes::default()).await?;
    Ok(report(name, &plan, begun))
}

async fn compacted(workspace: &Workspace, name: &Name, retain: Window) -> Result<Compacted> {
    let begun = Stopwatch::now();
    let compactor = workspace.history.compactor(name).await?;
    let plan = compactor.plan(Sizes::default()).await?;
    let mut done = report(name, &plan, begun);
    let mut bytes = plan.bytes;
    let rows = plan.merges.iter().map(|merge| merge.rows).sum();
    let stage = (rows > 0).then(|| workspace.observer.begin(&format!("compacting {name}"), rows, Unit::Rows));
    for merge in &plan.merges {
        let progress = |rows| stage.iter().for_each(|stage| stage.advance(rows));
        let written = compactor.merge(&plan, *merge, workspace.clock.now(), &progress).await?;
        bytes = bytes - merge.bytes + written;
    }
    drop(stage);
    done.bytes_after = Some(bytes);
    let before = retain.start(workspace.clock.now(), &Zone::utc());
    let removed = compactor.remove_replaced(before).await?;
    (done.files_removed, done.bytes_removed) = (removed.files, removed.bytes);
    done.seconds = begun.elapsed().as_secs_f64();
    Ok(done)
}

fn report(name: &Name, plan: &CompactionPlan, begun: Stopwatch) -> Compacted {
    let merged = plan.merges.iter().map(|merge| Merged {
        first: merge.first,
        last: merge.last,
        commits: merge.commits,
        rows: merge.rows,
        parts_before: merge.parts_before,
        parts_after: merge.parts_after,
    });
    let left = plan.left.iter().map(|left| LeftAlone {
        first: left.first,
        last: left.last,
        parts: left.parts,
        bytes: left.bytes,
        why: match left.why {
            Left::Compacted => "compacted before, and too little came since",
            Left::Large => "large enough",
            Left::Alone => "nothing beside it that could be merged with it",
        },
    });
    Compacted {
        source: name.clone(),
        commits: plan.commits,
        parts_before: plan.parts,
        parts_after: plan.parts - saved(plan),
        bytes_before: plan.bytes,
        bytes_after: None,
        merged: merged.collect(),
        left: left.collect(),
        files_removed: 0,
        bytes_removed: 0,
        seconds: begun.elapsed().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_parts_are_worth_a_word() {
        let name = Name::new("credit").unwrap();
        assert_eq!(hint(&name, 1000, 999), None);
        let said = hint(&name, 2340, 2276).unwrap();
        assert_eq!(
            said,
            "source credit: its history lies in 2,340 parts; `karat sources compact credit` makes 64 of them"
        );
    }
}
