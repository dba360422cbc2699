//! The project as the current release has it: what a server goes by, whatever the folder says by now.

use anyhow::{Context, Result};
use karat_project::Project;
use karat_registry::{Registry, Release};

/// `located` says what no release does: where the project lies, and how this process is configured.
pub(crate) async fn current(registry: &Registry, located: &Project) -> Result<(Release, Project)> {
    let release = registry.current_release().await?.context("nothing was applied yet: run `karat apply`")?;
    let project = Project::from_manifest(&release.content)
        .context("the current release cannot be read")?
        .located(located.root(), located.config().clone());
    Ok((release, project))
}
