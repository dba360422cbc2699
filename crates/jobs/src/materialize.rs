//! Views' online state, built from history.

mod divided;
mod filling;
mod held;
mod later;
mod state;
mod touched;

use anyhow::{Context, Result, bail};
use karat_core::{Digest, Name};
use karat_registry::ModelVersion;
use karat_serving::Pinned;
use serde::Serialize;

use crate::statistics::{self, Subject};
use crate::{Catalog, NotFound, Workspace, artifact};
use state::Wanted;

/// One view's state, as it stands now.
#[derive(Debug, Clone, Serialize)]
pub struct Materialized {
    pub view: Name,
    pub definition: Digest,
    pub keys: u64,
    pub records: u64,
    pub commit: u64,
    /// Whether it was built now; the state was there already otherwise.
    pub built: bool,
    pub seconds: f64,
    /// Where it was filled in parts, and some of them were there from a time before that was cut short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
    /// How many keys were made anew, where nothing was new of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<u64>,
}

/// A state that was gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Resumed {
    pub parts: u64,
    /// Of these, those that were filled already.
    pub filled_before: u64,
}

/// Applies and ingests what is new, then builds what is missing or old: the views named (all, when none is), and those
/// that versions with an alias were trained with.
pub async fn run(workspace: &Workspace, names: &[String]) -> Result<Vec<Materialized>> {
    let mut done = views(workspace, names).await?;
    if names.is_empty() {
        for (_, version) in aliased(workspace, Used::ByAnEndpoint).await? {
            done.extend(built(workspace, &version).await?);
        }
        done.extend(unused(workspace).await?);
    }
    Ok(done)
}

/// As [`run`], without the views that versions were trained with.
async fn views(workspace: &Workspace, names: &[String]) -> Result<Vec<Materialized>> {
    crate::ingest::ensure_or_say(workspace).await?;
    let catalog = workspace.catalog()?;
    check_names(&catalog, names)?;
    of_catalog(workspace, &catalog, |name| names.is_empty() || names.iter().any(|wanted| wanted == name.as_str())).await
}

/// The views chosen, from what is in history.
pub(crate) async fn of_catalog(
    workspace: &Workspace,
    catalog: &Catalog,
    is_chosen: impl Fn(&Name) -> bool,
) -> Result<Vec<Materialized>> {
    let mut done = Vec::new();
    for (name, planned) in &catalog.views {
        if is_chosen(name) {
            let (view, digest, horizon) = (&planned.view, &planned.digest, planned.spec.online_horizon);
            let one = state::one(&Wanted { workspace, name, view, digest, horizon }).await?;
            let of =
                Subject { name, view: &planned.view, digest: &planned.digest, stale_after: planned.spec.stale_after };
            statistics::ensure(workspace, of, one.commit).await?;
            done.push(one);
        }
    }
    Ok(done)
}

/// The views of versions under aliases that no endpoint answers with: nobody is kept waiting by one that cannot be built.
pub(crate) async fn unused(workspace: &Workspace) -> Result<Vec<Materialized>> {
    let mut done = Vec::new();
    for (alias, version) in aliased(workspace, Used::ByNobody).await? {
        match built(workspace, &version).await {
            Ok(some) => done.extend(some),
            Err(error) => {
                let (version, error) = (version.label(), format!("{error:#}"));
                tracing::warn!(alias, version, error, "no endpoint uses this alias, and its version cannot be loaded");
            }
        }
    }
    Ok(done)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Used {
    ByAnEndpoint,
    ByNobody,
}

/// Versions with an alias of that use, and the alias.
async fn aliased(workspace: &Workspace, used: Used) -> Result<Vec<(String, ModelVersion)>> {
    let mut versions = Vec::new();
    for model in workspace.registry.models().await? {
        for (alias, number) in &model.aliases {
            let mut endpoints = workspace.project.endpoints().values();
            let by_an_endpoint =
                endpoints.any(|endpoint| endpoint.model.as_str() == model.name && endpoint.alias.as_str() == alias);
            if by_an_endpoint == (used == Used::ByAnEndpoint) {
                versions.push((alias.clone(), workspace.registry.version(&model.name, *number).await?));
            }
        }
    }
    Ok(versions)
}

/// Those of the version's views that had to be built.
async fn built(workspace: &Workspace, version: &ModelVersion) -> Result<Vec<Materialized>> {
    let loaded = artifact::load(workspace, version).await?;
    let of_version = pinned(workspace, &loaded.pinned, &version.label()).await?;
    Ok(of_version.into_iter().filter(|one| one.built).collect())
}

pub(crate) fn check_names(catalog: &Catalog, names: &[String]) -> Result<()> {
    for name in names {
        if !catalog.views.contains_key(name.as_str()) {
            bail!(NotFound::named("feature view", name, catalog.views.keys()));
        }
    }
    Ok(())
}

/// The state of every view a version pins, built where it is missing or old. `label` names the version.
pub(crate) async fn pinned(workspace: &Workspace, pinned: &Pinned, label: &str) -> Result<Vec<Materialized>> {
    let mut done = Vec::new();
    for (view, compiled) in pinned.views.iter().zip(pinned.compile()?) {
        let (name, digest, horizon) = (&view.name, &view.digest, view.online_horizon);
        let one = state::one(&Wanted { workspace, name, view: &compiled, digest, horizon }).await;
        let one = one.with_context(|| format!("view {} as {label} was trained with it", view.name))?;
        let of = Subject { name: &view.name, view: &compiled, digest: &view.digest, stale_after: view.stale_after };
        statistics::ensure(workspace, of, one.commit).await?;
        let source = &view.definition.source.name;
        let newest = workspace.snapshot(source, None).await?.commit;
        if one.commit < newest {
            workspace.observer.say(&format!(
                "warning: the features of {label} from view {} stand still at commit {} of {source}: the definition of \
                 its rows changed since, and commit {newest} is the newest; train it again to move on",
                view.name, one.commit
            ));
        }
        done.push(one);
    }
    Ok(done)
}

/// Whether every view a version pins has online state, however old.
pub(crate) fn is_there(workspace: &Workspace, pinned: &Pinned) -> Result<bool> {
    for view in &pinned.views {
        if !has_state(workspace, &view.digest)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) fn has_state(workspace: &Workspace, definition: &Digest) -> Result<bool> {
    Ok(workspace.online()?.note(definition)?.is_some())
}
