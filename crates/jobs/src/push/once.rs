//! Rows pushed from a file, where no server has the source.

use std::io::BufRead;
use std::sync::Arc;
use std::time::Instant as Stopwatch;

use anyhow::{Context, Result, bail};
use karat_core::{Name, Unrepeated};
use karat_query::{Pushed, Pushing, RowFault};
use serde::Serialize;
use serde_json::Value as Json;

use super::{LiveView, Planned, PushError, Tools, views};
use crate::{NotFound, Workspace};

/// Rows taken together.
const ROWS: usize = 4096;

/// What became of the rows.
#[derive(Debug, Serialize)]
pub struct Once {
    pub source: Name,
    pub accepted: u64,
    pub duplicates: u64,
    pub quarantined: Vec<RowFault>,
    /// The source's newest number after this.
    pub commit: u64,
    pub seconds: f64,
}

/// Applies and ingests what is new, then takes JSON lines until they end, a few thousand at a time. Rows that cannot be
/// taken end it; those before them are there, and count as duplicates when the same lines come again.
pub async fn file(workspace: &Workspace, source: &str, lines: &mut (dyn BufRead + Send)) -> Result<Once> {
    let begun = Stopwatch::now();
    crate::ingest::ensure_or_say(workspace).await?;
    let catalog = workspace.catalog()?;
    let Some(planned) = catalog.sources.get(source) else {
        bail!(NotFound::named("source", source, catalog.sources.keys()));
    };
    let name = planned.plan.source().name.clone();
    let pushed = Planned::of(planned).filter(|_| planned.plan.source().push.is_some());
    let Some(planned) = pushed else { bail!(PushError::NotPushed(name)) };
    let views = views(&planned, &catalog, &[], &[])?;
    let tools = Tools::of(workspace, &name)?;
    let opening = Pushing::open(&planned.plan, &planned.definition, &workspace.history, planned.push.survives);
    let mut pushing = opening.await?;
    let mut once = Once {
        source: name,
        accepted: 0,
        duplicates: 0,
        quarantined: Vec::new(),
        commit: pushing.commit(),
        seconds: 0.0,
    };
    let mut before = 0;
    loop {
        let rows = read(lines, before)?;
        if rows.is_empty() {
            break;
        }
        let count = rows.len() as u64;
        take_rows(&tools, &mut pushing, &views, rows, before, &mut once).await?;
        before += count;
    }
    pushing.turn_over().await?.run().await?;
    once.seconds = begun.elapsed().as_secs_f64();
    Ok(once)
}

fn read(lines: &mut (dyn BufRead + Send), before: u64) -> Result<Vec<Json>> {
    let (mut rows, mut line) = (Vec::new(), String::new());
    while rows.len() < ROWS {
        line.clear();
        if lines.read_line(&mut line).context("the rows cannot be read")? == 0 {
            break;
        }
        if !line.trim().is_empty() {
            let number = before + rows.len() as u64 + 1;
            // Some programs begin a file with a mark of its encoding.
            let text = if number == 1 { line.trim_start_matches('\u{feff}') } else { &line };
            let Unrepeated(row) = serde_json::from_str(text).with_context(|| match before {
                _ if text.trim_start().starts_with('{') => format!("row {number}"),
                _ => format!("row {number} is not JSON"),
            })?;
            rows.push(row);
        }
    }
    Ok(rows)
}

async fn take_rows(
    tools: &Tools,
    pushing: &mut Pushing,
    views: &[Arc<LiveView>],
    rows: Vec<Json>,
    before: u64,
    once: &mut Once,
) -> Result<()> {
    let group = super::take(tools, pushing, views, &[rows]).await?;
    let in_file = |fault: RowFault| RowFault { row: fault.row + before, ..fault };
    for pushed in group.answers {
        match pushed {
            Pushed::Taken(taken) => {
                once.accepted += taken.accepted;
                once.duplicates += taken.duplicates;
                once.quarantined.extend(taken.quarantined.into_iter().map(in_file));
                once.commit = taken.commit;
            }
            Pushed::Refused(faults) => bail!(PushError::Rows(faults.into_iter().map(in_file).collect())),
        }
    }
    Ok(())
}
