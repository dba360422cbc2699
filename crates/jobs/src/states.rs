//! What the online store has: a state for each definition that was ever materialized, until somebody drops it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use karat_core::{Digest, Instant, Name};
use karat_serving::StateNote;
use serde::Serialize;

use crate::{Catalog, Unit, Workspace, materialize, released};

/// The online state of one definition.
#[derive(Debug, Serialize)]
pub struct OnlineState {
    pub definition: Digest,
    /// Whose it is; `None` where nobody knows any more.
    pub view: Option<Name>,
    /// `the project`, `release 7`, `credit_default/3 (champion)`, servers that have nothing newer; a state that nobody uses
    /// can be dropped.
    pub used_by: BTreeSet<String>,
    pub keys: u64,
    /// Of keys and values, without what the store adds.
    pub bytes: u64,
    /// The newest commit of its source that is in it, and when it was brought there.
    pub commit: u64,
    pub at: Instant,
    /// Whether it is gone now.
    pub dropped: bool,
}

/// What becomes of states that nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    Kept,
    Dropped,
}

/// Every state, the largest first.
pub async fn run(workspace: &Workspace, unused: Unused) -> Result<Vec<OnlineState>> {
    let users = users(workspace).await?;
    let online = workspace.online()?;
    let filling = filling(workspace).await?;
    let definitions = online.definitions()?;
    let stage =
        workspace.observer.begin("reading online state", definitions.iter().map(|(_, keys)| keys).sum(), Unit::Keys);
    let mut states = Vec::with_capacity(definitions.len());
    for (definition, keys) in definitions {
        // Another process dropped it meanwhile.
        let Some(note) = online.note(&definition)? else { continue };
        let StateNote { commit, at, .. } = StateNote::parse(&note)?;
        let mut bytes = 0;
        online.scan(&definition, &mut |key, state| bytes += (key.len() + state.len()) as u64)?;
        stage.advance(keys);
        let (view, mut used_by) = match users.get(&definition) {
            Some((view, used_by)) => (Some(view.clone()), used_by.clone()),
            None => (None, BTreeSet::new()),
        };
        if used_by.is_empty() && view.as_ref().map_or(!filling.is_empty(), |view| filling.contains(view)) {
            used_by.insert("servers, until the new state is filled".to_owned());
        }
        let dropped = used_by.is_empty() && unused == Unused::Dropped;
        if dropped {
            online.drop_definition(&definition)?;
        }
        states.push(OnlineState { definition, view, used_by, keys, bytes, commit, at, dropped });
    }
    states.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.definition.cmp(&b.definition)));
    Ok(states)
}

/// Views whose state, as the current release has them, is not there yet: servers go on with that of the release before.
async fn filling(workspace: &Workspace) -> Result<BTreeSet<Name>> {
    let (_, project) = released::current(&workspace.registry, &workspace.project).await?;
    let mut filling = BTreeSet::new();
    for (view, planned) in &Catalog::compile(&project)?.views {
        if !materialize::has_state(workspace, &planned.digest)? {
            filling.insert(view.clone());
        }
    }
    Ok(filling)
}

/// Whoever reads a definition's state: the folder, the current release, versions; with the view's name.
async fn users(workspace: &Workspace) -> Result<BTreeMap<Digest, (Name, BTreeSet<String>)>> {
    let mut users: BTreeMap<Digest, (Name, BTreeSet<String>)> = BTreeMap::new();
    let mut add = |definition: &Digest, view: &Name, user: Option<String>| {
        let (_, used_by) = users.entry(definition.clone()).or_insert_with(|| (view.clone(), BTreeSet::new()));
        used_by.extend(user);
    };
    for (view, planned) in &workspace.catalog()?.views {
        add(&planned.digest, view, Some("the project".to_owned()));
    }
    let (release, project) = released::current(&workspace.registry, &workspace.project).await?;
    for (view, planned) in &Catalog::compile(&project)?.views {
        add(&planned.digest, view, Some(format!("release {}", release.number)));
    }
    for model in workspace.registry.models().await? {
        for version in workspace.registry.versions(&model.name).await? {
            let user = format!("{} ({})", version.label(), version.aliases.join(", "));
            for (view, definition) in version.definitions.as_object().into_iter().flatten() {
                let definition = definition.as_str().and_then(Digest::parse);
                if let (Ok(view), Some(definition)) = (Name::new(view), definition) {
                    add(&definition, &view, (!version.aliases.is_empty()).then(|| user.clone()));
                }
            }
        }
    }
    Ok(users)
}
