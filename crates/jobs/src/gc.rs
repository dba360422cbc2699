//! Removes for good what was deleted and not restored, first from the database, then its files.
//!
//! Between the two the process may die: then files are left that nothing names, and nothing that is named lacks its files.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use karat_core::{Window, Zone};
use karat_registry::{OWN_FILES, Purge, Purged, Removed};
use serde::Serialize;

use crate::Workspace;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Only says what would go.
    Plan,
    Remove,
}

#[derive(Debug, Serialize)]
pub struct Collected {
    #[serde(flatten)]
    pub purged: Purged,
    pub files: usize,
    pub bytes: u64,
    /// Files that lie outside our folders: URIs.
    pub elsewhere: Vec<String>,
}

pub async fn run(workspace: &Workspace, older_than: Option<Window>, extent: Extent) -> Result<Collected> {
    let now = workspace.clock.now();
    let before = match older_than {
        Some(window) => window.start(now, &Zone::utc()),
        // Deleted in this very millisecond counts.
        None => now.saturating_add_micros(1_000),
    };
    let purge = Purge { before, actor: &workspace.actor, now };
    let purged = match extent {
        Extent::Plan => workspace.registry.would_purge(purge).await?,
        Extent::Remove => workspace.registry.purge(purge).await?,
    };
    let mut collected = Collected { purged, files: 0, bytes: 0, elsewhere: Vec::new() };
    let removed: Vec<Removed> = collected.purged.runs.iter().chain(&collected.purged.logged_models).cloned().collect();
    for one in removed {
        let Some(folder) = folder(workspace, &one) else {
            collected.elsewhere.push(one.artifact_uri);
            continue;
        };
        let (files, bytes) = size(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        collected.files += files;
        collected.bytes += bytes;
        if extent == Extent::Remove && folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
    }
    Ok(collected)
}

/// The folder of a run or logged model, where it is one of ours: the part of the path that is its id, with all below.
fn folder(workspace: &Workspace, of: &Removed) -> Option<PathBuf> {
    let own = of.artifact_uri.strip_prefix(OWN_FILES).and_then(|rest| rest.strip_prefix('/'));
    let (root, path) = match own {
        Some(path) => (workspace.artifacts.directory().to_owned(), path),
        None => {
            (workspace.tracked_artifacts(), of.artifact_uri.strip_prefix("mlflow-artifacts:/")?.trim_start_matches('/'))
        }
    };
    let parts: Vec<&str> = path.split('/').collect();
    let safe =
        parts.iter().all(|part| !part.is_empty() && !matches!(*part, "." | "..") && !part.contains(['\\', '\0']));
    let end = parts.iter().position(|part| *part == of.id)?;
    safe.then(|| parts[..=end].iter().fold(root, |folder, part| folder.join(part)))
}

/// How many files there are below a folder, and their bytes; of a folder that is not there, none.
fn size(folder: &Path) -> io::Result<(usize, u64)> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(error) => return Err(error),
    };
    let (mut files, mut bytes) = (0, 0);
    for entry in entries {
        let entry = entry?;
        let found = entry.metadata()?;
        let (more, of) = if found.is_dir() { size(&entry.path())? } else { (1, found.len()) };
        files += more;
        bytes += of;
    }
    Ok((files, bytes))
}
