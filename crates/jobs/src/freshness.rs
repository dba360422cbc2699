//! Whether a source holds anything that was not ingested yet, told without reading it.
//!
//! A note in `.karat/seen/` says what a source looked like when it was last ingested: the definition of its rows, its
//! files with sizes and times of change, the commits of the sources it reads. It saves work and decides nothing: where
//! it is missing or differs, the source is read and compared row by row.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use karat_core::{Digest, Name};
use serde::{Deserialize, Serialize};

use crate::Workspace;
use crate::catalog::PlannedSource;

/// What a source looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    definition: Digest,
    contract: Digest,
    /// Names, and what changes when their content does; `None` where only reading tells.
    files: Option<BTreeMap<String, String>>,
    upstream: BTreeMap<Name, u64>,
}

pub async fn look(workspace: &Workspace, planned: &PlannedSource) -> Result<Look> {
    let source = planned.plan.source();
    let plan = planned.plan.clone();
    // Stores far away are asked, so not on a thread that others wait for.
    let files = tokio::task::spawn_blocking(move || plan.looks()).await.context("looking at files")??;
    let mut upstream = BTreeMap::new();
    for name in &planned.upstream {
        if let Some(snapshot) = workspace.history.snapshot(name, None).await? {
            upstream.insert(name.clone(), snapshot.commit);
        }
    }
    Ok(Look {
        definition: planned.definition.upstream.clone(),
        contract: Digest::of_json(&source.contract),
        files,
        upstream,
    })
}

pub async fn is_current(workspace: &Workspace, planned: &PlannedSource) -> Result<bool> {
    let name = &planned.plan.source().name;
    if workspace.history.snapshot(name, None).await?.is_none() {
        return Ok(false);
    }
    let Ok(bytes) = std::fs::read(note(workspace, name)) else { return Ok(false) };
    let Ok(seen) = serde_json::from_slice::<Look>(&bytes) else { return Ok(false) };
    Ok(seen.files.is_some() && seen == look(workspace, planned).await?)
}

pub fn remember(workspace: &Workspace, name: &Name, seen: &Look) -> Result<()> {
    let path = note(workspace, name);
    let folder = path.parent().context("a note lies in a folder")?;
    std::fs::create_dir_all(folder)?;
    let part = path.with_extension("part");
    std::fs::write(&part, serde_json::to_vec(seen)?)?;
    Ok(std::fs::rename(part, path)?)
}

fn note(workspace: &Workspace, name: &Name) -> PathBuf {
    workspace.state().join("seen").join(format!("{name}.json"))
}
