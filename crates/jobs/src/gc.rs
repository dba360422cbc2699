//! Removes for good what was deleted and not restored, first from the database, then its files.
//!
//! Between the two the process may die: then files are left that nothing names, and nothing that is named lacks its files.

use std::sync::Arc;

use anyhow::{Context, Result};
use karat_core::{Window, Zone};
use karat_history::files::{FileStore, in_folder};
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
        let Some((store, folder)) = folder(workspace, &one) else {
            collected.elsewhere.push(one.artifact_uri);
            continue;
        };
        let extent_of = store.extent(&folder).await;
        let (files, bytes) = extent_of.with_context(|| format!("{} cannot be read", store.describe(&folder)))?;
        collected.files += files;
        collected.bytes += bytes;
        if extent == Extent::Remove {
            let removed = store.delete(&folder).await;
            removed.with_context(|| format!("{} cannot be removed", store.describe(&folder)))?;
        }
    }
    Ok(collected)
}

/// The folder of a run or logged model, where it is one of ours: the part of the path that is its id, with all below.
fn folder(workspace: &Workspace, of: &Removed) -> Option<(Arc<dyn FileStore>, String)> {
    let own = of.artifact_uri.strip_prefix(OWN_FILES).and_then(|rest| rest.strip_prefix('/'));
    let (store, path) = match own {
        Some(path) => (in_folder(workspace.artifacts.directory()), path),
        None => (
            workspace.tracked_artifacts().clone(),
            of.artifact_uri.strip_prefix("mlflow-artifacts:/")?.trim_start_matches('/'),
        ),
    };
    let parts: Vec<&str> = path.split('/').collect();
    let safe =
        parts.iter().all(|part| !part.is_empty() && !matches!(*part, "." | "..") && !part.contains(['\\', '\0']));
    let end = parts.iter().position(|part| *part == of.id)?;
    safe.then(|| (store, parts[..=end].join("/")))
}
