//! What a server answers from, built from the current release and the aliases, and kept up with them.

mod endpoints;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::Result;
use karat_core::{Digest, Name};
use karat_history::HistoryError;
use karat_history::log::{Log, LogOptions};
use karat_serving::{Deployment, FeatureRef, PredictionEncoder, ReadView, Served, ServedView, ServingModel};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::ingest::{self, HeldUp};
use crate::lookup::LookedUpSources;
use crate::push::Pushes;
use crate::refresh::{Asked, Refresher, Refreshes};
use crate::{Catalog, Workspace, materialize, released};

/// How often releases and aliases are looked at: an approval answers within two seconds.
const POLL: Duration = Duration::from_millis(500);
/// When what could not be taken up is tried again: first, and at the longest.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// A deployment and what it takes to keep it up to date.
pub struct Deployed {
    pub deployment: Arc<Deployment>,
    /// Where rows can be pushed to.
    pub pushes: Arc<Pushes>,
    /// What is brought up to date.
    pub refreshes: Arc<Refreshes>,
    lookups: Arc<LookedUpSources>,
    /// Until somebody follows.
    asked: Option<UnboundedReceiver<Asked>>,
    log: Arc<Log>,
    generation: u64,
    /// What could not be taken up, as it was told: by endpoint, and of all under no name.
    told: BTreeMap<Option<Name>, String>,
    /// Definitions of views that answer once they have a state: until then those before them do, if there are any.
    awaited: Vec<Digest>,
}

/// How new online state must be before a version answers with it.
#[derive(Debug, Clone, Copy)]
enum State<'s> {
    /// Of the newest commits.
    Newest,
    /// Whatever there is; what is old or missing is given to be built.
    Existing(&'s UnboundedSender<ToBuild>),
}

/// What has its state built while others answer.
enum ToBuild {
    /// The views of a version.
    Version(Arc<ServingModel>),
    /// Views of the current release.
    Views(Vec<Name>),
}

/// The prediction log, which has one writer: the first thing a server opens, so that a second one is told before it does
/// anything else.
pub fn open_log(workspace: &Workspace) -> Result<Log> {
    let place = workspace.predictions();
    let encoder = PredictionEncoder::beside(&place);
    let opened = Log::open(place, LogOptions::default(), Arc::new(encoder));
    opened.map_err(|error| {
        let context = match &error {
            HistoryError::Locked { holder, .. } => {
                format!("another server answers from this project: stop {holder} first")
            }
            _ => "the prediction log".to_owned(),
        };
        anyhow::Error::from(error).context(context)
    })
}

/// Applies and ingests what is new, materializes, and loads every endpoint's version. An endpoint whose version cannot be
/// loaded says so; the others answer.
pub async fn run(workspace: &Workspace, log: Log) -> Result<Deployed> {
    for HeldUp { source, commit, problem } in ingest::ensure_or_go_on(workspace).await? {
        tracing::error!(%source, commit, error = problem, "what is new could not be taken in: answering from what history has");
    }
    materialize::of_catalog(workspace, &*workspace.catalog()?, |_| true).await?;
    // Read before anything is loaded: a change meanwhile is seen at the next look.
    let generation = workspace.registry.generation().await?;
    let deployment = Deployment::new(workspace.online()?, workspace.clock.clone());
    let (refreshes, asked) = Refreshes::channel();
    let pushes: Arc<Pushes> = Arc::default();
    let mut deployed = Deployed {
        deployment: Arc::new(deployment),
        lookups: Arc::new(LookedUpSources::new(pushes.clone(), workspace.clock.clone())),
        pushes,
        refreshes,
        asked: Some(asked),
        log: Arc::new(log),
        generation,
        told: BTreeMap::new(),
        awaited: Vec::new(),
    };
    deployed.load(workspace, State::Newest).await?;
    materialize::unused(workspace).await?;
    Ok(deployed)
}

impl Deployed {
    /// Follows releases, aliases and watched sources until the process ends. What cannot be loaded is logged and tried
    /// again, and what answered before goes on answering.
    pub async fn follow(mut self, workspace: Arc<Workspace>) {
        let (old, given) = unbounded_channel();
        let asked = self.asked.take();
        let refresher = Refresher {
            workspace: workspace.clone(),
            deployment: self.deployment.clone(),
            pushes: self.pushes.clone(),
            refreshes: self.refreshes.clone(),
        };
        // Each on its own: an approval answers within two seconds, whatever is built meanwhile.
        let mut tasks = JoinSet::new();
        let of_old = workspace.clone();
        tasks.spawn(async move { renew(&of_old, given).await });
        tasks.spawn(async move {
            if let Some(asked) = asked {
                refresher.run(asked).await;
            }
        });
        tasks.spawn(async move { self.look(&workspace, old).await });
        while let Some(ended) = tasks.join_next().await {
            if let Err(failed) = ended {
                tracing::error!(error = %failed, "a part of the server ended: please report it, and start it again");
            }
        }
    }

    /// Finishes the prediction log: what is in it turns into Parquet.
    pub fn close(log: &Log) -> Result<()> {
        Ok(log.rotate()?)
    }

    pub fn log(&self) -> Arc<Log> {
        self.log.clone()
    }

    async fn look(mut self, workspace: &Workspace, old: UnboundedSender<ToBuild>) {
        let (mut wait, mut again) = (RETRY[0], self.retry(RETRY[0]));
        loop {
            tokio::time::sleep(POLL).await;
            let generation = match workspace.registry.generation().await {
                Ok(generation) => generation,
                Err(error) => {
                    self.tell(None, format!("the metadata database does not answer: {error}"));
                    // Once it does, all is looked at again.
                    again = Some(Stopwatch::now());
                    continue;
                }
            };
            let changed = generation != self.generation;
            if !changed && !self.is_built(workspace) && again.is_none_or(|again| Stopwatch::now() < again) {
                continue;
            }
            wait = if changed { RETRY[0] } else { (wait * 2).min(RETRY[1]) };
            match self.load(workspace, State::Existing(&old)).await {
                Ok(()) => drop(self.told.remove(&None)),
                Err(error) => self.tell(None, format!("{error:#}")),
            }
            self.generation = generation;
            again = self.retry(wait);
        }
    }

    /// When to try again, if anything is left to be taken up.
    fn retry(&self, wait: Duration) -> Option<Stopwatch> {
        (!self.told.is_empty() || !self.awaited.is_empty()).then(|| Stopwatch::now() + wait)
    }

    /// Whether a view that waits for its state has one.
    fn is_built(&self, workspace: &Workspace) -> bool {
        let is_there = |definition: &Digest| matches!(materialize::has_state(workspace, definition), Ok(true));
        self.awaited.iter().any(is_there)
    }

    /// Once for each thing that is wrong, however often it is tried.
    fn tell(&mut self, endpoint: Option<&Name>, problem: String) {
        if self.told.get(&endpoint.cloned()) == Some(&problem) {
            return;
        }
        match endpoint {
            Some(endpoint) => tracing::error!(%endpoint, error = problem, "a version could not be taken up"),
            None => tracing::error!(error = problem, "a change could not be taken up"),
        }
        self.told.insert(endpoint.cloned(), problem);
    }

    async fn load(&mut self, workspace: &Workspace, state: State<'_>) -> Result<()> {
        let (release, project) = released::current(&workspace.registry, &workspace.project).await?;
        let catalog = Catalog::compile(&project)?;
        let mut served =
            Served { project: project.config().name.to_string(), release: release.number, ..Served::default() };
        let before = self.deployment.served();
        let mut awaited = BTreeMap::new();
        for (name, planned) in &catalog.views {
            let mut earlier = None;
            if !materialize::has_state(workspace, &planned.digest)? {
                awaited.insert(name.clone(), planned.digest.clone());
                earlier = before.views.get(name).filter(|earlier| earlier.read.definition != planned.digest);
            }
            let view = match earlier {
                Some(earlier) if materialize::has_state(workspace, &earlier.read.definition)? => earlier.clone(),
                _ => {
                    let read = ReadView::new(planned.view.clone(), planned.digest.clone());
                    Arc::new(ServedView { name: name.clone(), read })
                }
            };
            served.views.insert(name.clone(), view);
        }
        for (name, service) in project.services() {
            let of_views = catalog.features_of(service);
            // With the features that its views have by now.
            let waits = of_views.iter().any(|(view, _)| awaited.contains_key(view));
            if let Some(earlier) = before.services.get(name).filter(|_| waits) {
                served.services.insert(name.clone(), earlier.clone());
                continue;
            }
            let listed = of_views.into_iter().flat_map(|(view, features)| {
                features.into_iter().map(move |feature| FeatureRef { view: view.clone(), feature })
            });
            served.services.insert(name.clone(), listed.collect());
        }
        // An endpoint asks which sources are looked up when it takes up its version.
        self.lookups.take_up(workspace, &catalog).await?;
        self.take_up(workspace, &project, &release, served, state).await?;
        self.follow_pushes(workspace, &catalog).await?;
        if let (State::Existing(old), false) = (state, awaited.is_empty()) {
            // Whoever builds them lives as long as whoever looks.
            old.send(ToBuild::Views(awaited.keys().cloned().collect())).ok();
        }
        self.awaited = awaited.into_values().collect();
        Ok(())
    }
}

impl Deployed {
    /// What is pushed from now on goes into the state of all that is served.
    async fn follow_pushes(&self, workspace: &Workspace, catalog: &Catalog) -> Result<()> {
        let served = self.deployment.served();
        let models = served.endpoints.iter().filter_map(|(name, endpoint)| Some((name, endpoint.model().ok()?)));
        let pinned: Vec<_> = models.map(|(name, model)| (name.clone(), model.pinned.clone())).collect();
        let is_earlier = |view: &&Arc<ServedView>| {
            catalog.views.get(&view.name).is_some_and(|planned| planned.digest != view.read.definition)
        };
        let earlier: Vec<Arc<ServedView>> = served.views.values().filter(is_earlier).cloned().collect();
        self.pushes.take_up(workspace, catalog, &pinned, &earlier).await
    }
}

/// Builds anew, one after the other, the state that versions answer from while it is old.
async fn renew(workspace: &Workspace, mut given: UnboundedReceiver<ToBuild>) {
    // Once for each view, however often it is tried.
    let mut told: BTreeMap<Name, String> = BTreeMap::new();
    while let Some(to_build) = given.recv().await {
        let model = match to_build {
            ToBuild::Version(model) => model,
            ToBuild::Views(names) => {
                // One that cannot be built keeps no other waiting.
                for view in &names {
                    let problem = build(workspace, view).await.err().map(|error| format!("{error:#}"));
                    match problem {
                        Some(problem) if told.get(view) != Some(&problem) => {
                            tracing::error!(%view, error = problem, "the state of what it is now could not be built");
                            told.insert(view.clone(), problem);
                        }
                        Some(_) => {}
                        None => drop(told.remove(view)),
                    }
                }
                continue;
            }
        };
        let label = format!("{}/{}", model.name.model, model.name.version);
        if let Err(error) = materialize::pinned(workspace, &model.pinned, &label).await {
            let (version, error) = (model.name.version, format!("{error:#}"));
            tracing::error!(model = %model.name.model, version, error, "its online state could not be built anew");
        }
    }
}

/// The state of a view as the current release has it. One that reads files of which nothing was ingested waits for that.
async fn build(workspace: &Workspace, view: &Name) -> Result<()> {
    let (_, project) = released::current(&workspace.registry, &workspace.project).await?;
    let catalog = Catalog::compile(&project)?;
    let Some(planned) = catalog.views.get(view) else { return Ok(()) };
    let source = &catalog.sources[&planned.spec.source];
    let has_rows = workspace.history.snapshot(&planned.spec.source, None).await?.is_some_and(|found| found.commit > 0);
    if has_rows || ingest::begin_pushed(workspace, source).await? {
        materialize::of_catalog(workspace, &catalog, |name| name == view).await?;
    }
    Ok(())
}
