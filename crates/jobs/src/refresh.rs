//! What a server takes in while it answers: what new files bring, and the online state of views up to that. When it is asked
//! to, and by itself where a source is watched.

mod watch;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use karat_core::{ErrorKind, Name};
use karat_serving::Deployment;
use tokio::sync::{mpsc, oneshot};

use crate::catalog::PlannedSource;
use crate::materialize::{self, Materialized};
use crate::push::{Paused, Pushes};
use crate::{Catalog, Workspace, freshness, ingest, kind_of, released};
use watch::Watch;

/// How often watched sources are thought of.
const LOOK: Duration = Duration::from_millis(500);

/// Views to be refreshed, one after the other.
#[derive(Debug)]
pub struct Refreshes {
    sender: mpsc::UnboundedSender<Asked>,
    /// Those that wait, and those under way.
    waiting: Mutex<Vec<Name>>,
}

/// One request, for whoever refreshes.
#[derive(Debug)]
pub struct Asked {
    views: Vec<Name>,
    done: oneshot::Sender<Result<Vec<Materialized>, RefreshError>>,
}

/// Why views are not up to date.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{problem}")]
pub struct RefreshError {
    pub kind: ErrorKind,
    pub problem: String,
}

/// Views that wait or are under way; ends whether or not anybody waits for it.
#[derive(Debug)]
pub struct Refreshing(oneshot::Receiver<Result<Vec<Materialized>, RefreshError>>);

impl Refreshes {
    pub fn channel() -> (Arc<Refreshes>, mpsc::UnboundedReceiver<Asked>) {
        let (sender, asked) = mpsc::unbounded_channel();
        (Arc::new(Refreshes { sender, waiting: Mutex::default() }), asked)
    }

    /// Of these views, those that wait or are under way.
    pub fn under_way(&self, views: &[Name]) -> Vec<Name> {
        let waiting = self.waiting();
        views.iter().filter(|view| waiting.contains(view)).cloned().collect()
    }

    /// Ingests what is new in what these views read, and brings their online state up to it: as the current release has
    /// them, and as the versions that answer were trained with them.
    pub fn begin(&self, views: Vec<Name>) -> Refreshing {
        let (done, refreshing) = oneshot::channel();
        self.waiting().extend(views.iter().cloned());
        // Without anybody who works the answer never comes, and that is told.
        self.sender.send(Asked { views, done }).ok();
        Refreshing(refreshing)
    }

    fn ended(&self, views: &[Name]) {
        let mut waiting = self.waiting();
        for view in views {
            // Another request may wait for the same one.
            if let Some(place) = waiting.iter().position(|name| name == view) {
                waiting.remove(place);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Name>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Refreshing {
    pub async fn done(self) -> Result<Vec<Materialized>, RefreshError> {
        let stopped = RefreshError { kind: ErrorKind::Unavailable, problem: "the server is about to stop".to_owned() };
        self.0.await.unwrap_or(Err(stopped))
    }
}

/// Who refreshes.
pub(crate) struct Refresher {
    pub workspace: Arc<Workspace>,
    pub deployment: Arc<Deployment>,
    pub pushes: Arc<Pushes>,
    pub refreshes: Arc<Refreshes>,
}

impl Refresher {
    /// Until the process ends.
    pub async fn run(self, mut asked: mpsc::UnboundedReceiver<Asked>) {
        let mut watch = Watch::default();
        loop {
            tokio::select! {
                Some(Asked { views, done }) = asked.recv() => {
                    let refreshed = self.views(&views).await.map_err(|error| {
                        RefreshError { kind: kind_of(&error), problem: format!("{error:#}") }
                    });
                    if let Err(error) = &refreshed {
                        tracing::error!(%error, "views could not be brought up to date");
                    }
                    self.refreshes.ended(&views);
                    done.send(refreshed).ok();
                }
                () = tokio::time::sleep(LOOK) => watch.look(&self).await,
            }
        }
    }

    async fn views(&self, views: &[Name]) -> Result<Vec<Materialized>> {
        let (_, project) = released::current(&self.workspace.registry, &self.workspace.project).await?;
        let catalog = tokio::task::block_in_place(|| Catalog::compile(&project))?;
        let mut sources = BTreeSet::new();
        for view in views {
            let Some(planned) = catalog.views.get(view) else { continue };
            add_with_upstream(&catalog, &planned.spec.source, &mut sources);
        }
        self.refresh(&catalog, &sources, views).await
    }

    /// Ingests what is new in these sources, and then brings up these views. Nobody pushes to them meanwhile.
    async fn refresh(&self, catalog: &Catalog, sources: &BTreeSet<Name>, views: &[Name]) -> Result<Vec<Materialized>> {
        let workspace = &self.workspace;
        let mut paused = Vec::new();
        let (mut first, mut without) = (None, BTreeSet::new());
        let mut failed = |what: &Name, error: anyhow::Error| {
            tracing::error!(%what, error = format!("{error:#}"), "what is new could not be taken in");
            first.get_or_insert(error);
        };
        for (name, planned) in catalog.sources.iter().filter(|(name, _)| sources.contains(*name)) {
            // What reads one that failed, or was left, would have rows that are not what they should be.
            if planned.upstream.iter().any(|above| without.contains(above)) {
                without.insert(name);
            } else if let Err(error) = self.take_in(catalog, planned, &mut paused).await {
                without.insert(name);
                failed(name, error);
            }
        }
        let mut done = Vec::new();
        for view in views {
            if catalog.views.get(view).is_some_and(|planned| !without.contains(&planned.spec.source)) {
                match materialize::of_catalog(workspace, catalog, |name| name == view).await {
                    Ok(built) => done.extend(built),
                    Err(error) => failed(view, error),
                }
            }
        }
        for endpoint in self.deployment.served().endpoints.values() {
            let Ok(model) = endpoint.model() else { continue };
            if model.pinned.views.iter().any(|view| views.contains(&view.name)) {
                let label = format!("{}/{}", model.name.model, model.name.version);
                let pinned = materialize::pinned(workspace, &model.pinned, &label).await?;
                done.extend(pinned.into_iter().filter(|one| one.built));
            }
        }
        match first {
            Some(error) => Err(error),
            None => Ok(done),
        }
    }

    /// Ingests what is new in a source, while nobody pushes to it.
    async fn take_in(&self, catalog: &Catalog, planned: &PlannedSource, paused: &mut Vec<Paused>) -> Result<()> {
        let (workspace, source) = (&self.workspace, planned.plan.source());
        if !source.keep
            || ingest::begin_pushed(workspace, planned).await?
            || freshness::is_current(workspace, catalog, planned).await?
        {
            return Ok(());
        }
        paused.extend(self.pushes.pause(&source.name).await);
        ingest::upstream(workspace, catalog, planned).await?;
        ingest::take_in(workspace, catalog, planned).await
    }
}

fn add_with_upstream(catalog: &Catalog, name: &Name, sources: &mut BTreeSet<Name>) {
    if sources.insert(name.clone())
        && let Some(planned) = catalog.sources.get(name)
    {
        planned.upstream.iter().for_each(|above| add_with_upstream(catalog, above, sources));
    }
}
