//! Views' online state, built from history.

mod collect;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant as Stopwatch;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use karat_core::{Digest, ErrorKind, Name, OnlineError};
use karat_features::CompiledView;
use karat_history::Snapshot;
use karat_registry::ModelVersion;
use karat_serving::{Pinned, StateNote};
use serde::Serialize;
use tokio::runtime::Handle;

use crate::push::{Follower, LiveView, Tools, caught_up};
use crate::statistics::{self, Subject};
use crate::{Catalog, NotFound, Unit, Workspace, artifact, reading};
use collect::{Collected, Collecting};

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
pub(crate) async fn views(workspace: &Workspace, names: &[String]) -> Result<Vec<Materialized>> {
    crate::ingest::ensure(workspace).await?;
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
            let horizon = planned.spec.online_horizon;
            let one = one(workspace, name, &planned.view, &planned.digest, horizon).await?;
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
        let one = one(workspace, &view.name, &compiled, &view.digest, view.online_horizon).await;
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
    let online = workspace.online()?;
    for view in &pinned.views {
        if online.note(&view.digest)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn one(
    workspace: &Workspace,
    name: &Name,
    view: &CompiledView,
    digest: &Digest,
    horizon: Option<karat_core::Window>,
) -> Result<Materialized> {
    let begun = Stopwatch::now();
    let online = workspace.online()?;
    let mut snapshot = reading::snapshot(workspace, &view.definition().source, None).await?;
    if let Some(note) = online.note(digest)? {
        let note = StateNote::parse(&note)?;
        let current = |note: StateNote, built: bool| Materialized {
            view: name.clone(),
            definition: digest.clone(),
            keys: note.keys,
            records: note.records,
            commit: note.commit,
            built,
            seconds: begun.elapsed().as_secs_f64(),
        };
        if note.horizon == horizon && note.commit > snapshot.commit {
            // It follows what is pushed, and the snapshot is of a moment before.
            snapshot = reading::snapshot(workspace, &view.definition().source, None).await?;
        }
        if note.horizon == horizon && note.commit == snapshot.commit {
            return Ok(current(note, false));
        }
        if note.horizon == horizon && follows(&note, &snapshot) {
            let live = LiveView { name: name.clone(), digest: digest.clone(), view: view.clone() };
            let tools = Tools::of(workspace, &snapshot.source)?;
            let (source, commit) = (&snapshot.source, snapshot.commit);
            let follower = Follower { tools: &tools, source, commit, records: &[] };
            tokio::task::block_in_place(|| follower.bring_up(&live))?;
            if let Some(note) = online.note(digest)? {
                return Ok(current(StateNote::parse(&note)?, true));
            }
        }
    }
    let stage = workspace.observer.begin(&format!("materializing {name}"), snapshot.rows(), Unit::Rows);
    let mut collecting = Collecting::new(workspace, view, horizon, snapshot.rows())?;
    let mut batches = snapshot.stream(view.source_columns(), &view.hidden_columns(), None);
    let mut records = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        records += batch.num_rows() as u64;
        stage.advance(batch.num_rows() as u64);
        collecting.push(&batch)?;
    }
    drop(stage);
    let note = tokio::task::block_in_place(|| {
        let states = collecting.finish()?;
        let note = StateNote {
            commit: snapshot.commit,
            at: workspace.clock.now(),
            horizon,
            keys: 0,
            records,
            newest: states.newest_event(),
        };
        fill(workspace, view, digest, &snapshot, &states, note)
    })?;
    Ok(Materialized {
        view: name.clone(),
        definition: digest.clone(),
        keys: note.keys,
        records: note.records,
        commit: note.commit,
        built: true,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Whether a state needs no more than the little that was pushed since it was made.
fn follows(note: &StateNote, snapshot: &Snapshot) -> bool {
    let since = snapshot.since(note.commit);
    let little = since.rows() <= snapshot.rows() / LITTLE;
    note.commit >= snapshot.first && note.commit < snapshot.commit && since.is_pushed() && little
}

/// The share of a history that is little.
const LITTLE: u64 = 8;

/// Writes states of a snapshot, and over them those of what was pushed since: nobody else writes meanwhile, so what is
/// pushed from then on follows.
fn fill(
    workspace: &Workspace,
    view: &CompiledView,
    digest: &Digest,
    snapshot: &Snapshot,
    states: &Collected<'_>,
    note: StateNote,
) -> Result<StateNote> {
    let online = workspace.online()?;
    let known = RefCell::new(note);
    let broken = RefCell::new(None);
    let later = || {
        let mut note = known.borrow_mut();
        let mut found = BTreeMap::new();
        loop {
            let mut further = note.clone();
            let looking = caught_up(&workspace.history, view, note.horizon, snapshot, &mut further);
            match Handle::current().block_on(looking) {
                Ok(states) if further.commit > note.commit => {
                    found.extend(states);
                    *note = further;
                }
                Ok(_) => break,
                // What was made until then is whole; whoever takes pushes goes on from there.
                Err(error) => {
                    tracing::warn!(%digest, error = format!("{error:#}"), "what was pushed meanwhile is not in yet");
                    break;
                }
            }
        }
        found
    };
    let of_snapshot = states.iter(&broken).inspect(|_| known.borrow_mut().keys += 1);
    let mut entries = of_snapshot.chain(std::iter::once_with(later).flatten());
    let replaced = online.replace_with(digest, &mut entries, &mut || match &*broken.borrow() {
        None => Ok(known.borrow().to_bytes()),
        Some(error) => Err(OnlineError { kind: ErrorKind::Internal, message: format!("{error:#}") }),
    });
    drop(entries);
    match broken.into_inner() {
        Some(error) => Err(error),
        None => Ok(replaced.map(|()| known.into_inner())?),
    }
}
