//! Whether a source holds anything that was not ingested yet, told without reading it.
//!
//! A note in `.karat/seen/` says what a source looked like when it was last ingested: its file, its data files with sizes
//! and times of change, the commits of the sources it reads. It saves work and decides nothing: where it is missing or
//! differs, the source is read and compared row by row.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use karat_core::{Digest, Name};
use karat_query::FileNote;
use serde::{Deserialize, Serialize};

use crate::catalog::PlannedSource;
use crate::{Catalog, Workspace};

/// What a source looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// All that the project's file says of it.
    spec: Digest,
    /// What makes its rows what they are, through the sources above it.
    rows: Digest,
    /// Names, and what changes when their content does; `None` where only reading tells.
    files: Option<BTreeMap<String, String>>,
    /// The newest commits of the kept sources it reads.
    upstream: BTreeMap<Name, u64>,
    /// Sources read in place, each with what it reads.
    in_place: BTreeMap<Name, Look>,
}

impl Look {
    /// Whether what did not change since then looks the same.
    fn tells(&self) -> bool {
        self.files.is_some() && self.in_place.values().all(Look::tells)
    }
}

/// What is noted of an ingest.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    look: Look,
    /// The content of each file then, by its name.
    files: BTreeMap<String, Digest>,
}

pub fn look<'a>(
    workspace: &'a Workspace,
    catalog: &'a Catalog,
    planned: &'a PlannedSource,
) -> BoxFuture<'a, Result<Look>> {
    async move {
        let plan = planned.plan.clone();
        // Stores far away are asked, so not on a thread that others wait for.
        let files = tokio::task::spawn_blocking(move || plan.looks()).await.context("looking at files")??;
        let (mut upstream, mut in_place) = (BTreeMap::new(), BTreeMap::new());
        for name in &planned.upstream {
            let above = &catalog.sources[name];
            if !above.plan.source().keep {
                in_place.insert(name.clone(), look(workspace, catalog, above).await?);
            } else if let Some(snapshot) = workspace.history.snapshot(name, None).await? {
                upstream.insert(name.clone(), snapshot.commit);
            }
        }
        let (spec, rows) = (Digest::of_json(planned.plan.source()), Digest::of_json(&planned.rows));
        Ok(Look { spec, rows, files, upstream, in_place })
    }
    .boxed()
}

pub async fn is_current(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<bool> {
    Ok(unseen(workspace, catalog, planned).await?.is_none())
}

/// What a source looks like; `None` for one that was ingested looking like this.
pub async fn unseen(workspace: &Workspace, catalog: &Catalog, planned: &PlannedSource) -> Result<Option<Look>> {
    let name = &planned.plan.source().name;
    let look = look(workspace, catalog, planned).await?;
    if workspace.history.snapshot(name, None).await?.is_none() {
        return Ok(Some(look));
    }
    let is_seen = seen(workspace, name).is_some_and(|seen| seen.look.tells() && seen.look == look);
    Ok((!is_seen).then_some(look))
}

/// Of these files, those that had another content when they were last ingested.
pub fn changed<'a>(workspace: &Workspace, name: &Name, files: &'a [FileNote]) -> Vec<&'a str> {
    let Some(seen) = seen(workspace, name) else { return Vec::new() };
    let differs = |file: &&FileNote| seen.files.get(&file.path).is_some_and(|digest| *digest != file.digest);
    files.iter().filter(differs).map(|file| file.path.as_str()).collect()
}

/// The paths of the files last ingested, by their content.
pub fn files(workspace: &Workspace, name: &Name) -> BTreeMap<Digest, String> {
    let files = seen(workspace, name).map(|seen| seen.files).unwrap_or_default();
    files.into_iter().map(|(path, digest)| (digest, path)).collect()
}

pub fn remember(workspace: &Workspace, name: &Name, look: Look, files: &[FileNote]) -> Result<()> {
    let files = files.iter().map(|file| (file.path.clone(), file.digest.clone())).collect();
    let path = note(workspace, name);
    let folder = path.parent().context("a note lies in a folder")?;
    std::fs::create_dir_all(folder)?;
    let part = path.with_extension("part");
    std::fs::write(&part, serde_json::to_vec(&Seen { look, files })?)?;
    Ok(std::fs::rename(part, path)?)
}

fn seen(workspace: &Workspace, name: &Name) -> Option<Seen> {
    serde_json::from_slice(&std::fs::read(note(workspace, name)).ok()?).ok()
}

fn note(workspace: &Workspace, name: &Name) -> PathBuf {
    workspace.state().join("seen").join(format!("{name}.json"))
}
