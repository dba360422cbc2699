//! The project folder recorded as a numbered release.

use anyhow::Result;
use karat_core::Digest;
use karat_registry::{Change, Release, ReleaseDraft, difference};
use serde::Serialize;

use crate::Workspace;

/// What `karat apply` did, or would do.
#[derive(Debug, Serialize)]
pub struct Applied {
    /// The release that holds this folder; `None` for a dry run that would make a new one.
    pub release: Option<u64>,
    pub digest: Digest,
    /// Whether a release was recorded (or would be).
    pub new: bool,
    pub changes: Vec<Change>,
}

/// Compiles everything first: a folder with a mistake is never released.
pub async fn run(workspace: &Workspace) -> Result<Applied> {
    let planned = plan(workspace).await?;
    if !planned.new {
        return Ok(planned);
    }
    let release = record(workspace).await?;
    Ok(Applied { release: Some(release.number), digest: release.digest, new: true, changes: release.summary })
}

/// What [`run`] would do.
pub async fn plan(workspace: &Workspace) -> Result<Applied> {
    workspace.catalog()?;
    let current = workspace.registry.current_release().await?;
    let digest = workspace.project.digest();
    let same = current.as_ref().filter(|current| current.digest == digest);
    let before = current.as_ref().map_or(serde_json::Value::Null, |current| current.content.clone());
    Ok(Applied {
        release: same.map(|current| current.number),
        new: same.is_none(),
        changes: difference(&before, &workspace.project.manifest()),
        digest,
    })
}

/// The release of this folder, recorded if it was not yet.
pub(crate) async fn record(workspace: &Workspace) -> Result<Release> {
    workspace.catalog()?;
    let draft = ReleaseDraft { digest: workspace.project.digest(), content: workspace.project.manifest() };
    Ok(workspace.registry.record_release(&draft, &workspace.actor, workspace.clock.now()).await?)
}
