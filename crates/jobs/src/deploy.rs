//! What a server answers from, built from the current release and the aliases, and kept up with them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indexmap::IndexMap;
use karat_core::Name;
use karat_history::log::{Durability, Log, LogOptions};
use karat_project::Project;
use karat_project::spec::Survives;
use karat_registry::Release;
use karat_serving::{
    Deployment, Endpoint, EndpointParts, PredictionEncoder, ReadView, Served, ServedView, ServingModel,
};

use crate::{Catalog, Workspace, artifact, materialize};

/// How often releases and aliases are looked at: an approval answers within two seconds.
const POLL: Duration = Duration::from_millis(500);

/// A deployment and what it takes to keep it up to date.
pub struct Deployed {
    pub deployment: Arc<Deployment>,
    log: Arc<Log>,
    generation: u64,
}

/// Applies and ingests what is new, materializes, and loads every endpoint's version.
pub async fn run(workspace: &Workspace) -> Result<Deployed> {
    materialize::run(workspace, &[]).await?;
    // Read before anything is loaded: a change meanwhile is seen at the next look.
    let generation = workspace.registry.generation().await?;
    let endpoints = workspace.project.endpoints();
    let hardest = endpoints.values().any(|endpoint| endpoint.log.survives == Survives::PowerLoss);
    let durability = if hardest { Durability::PowerLoss } else { Durability::Crash };
    let options = LogOptions { durability, ..LogOptions::default() };
    let log = Log::open(workspace.predictions(), options, Arc::new(PredictionEncoder)).context("the prediction log")?;
    let deployment = Deployment::new(workspace.online()?, workspace.clock.clone());
    let deployed = Deployed { deployment: Arc::new(deployment), log: Arc::new(log), generation };
    deployed.load(workspace).await?;
    Ok(deployed)
}

impl Deployed {
    /// Follows releases and aliases until the process ends. What cannot be loaded is logged, and what answered before
    /// goes on answering.
    pub async fn follow(mut self, workspace: &Workspace) {
        loop {
            tokio::time::sleep(POLL).await;
            match workspace.registry.generation().await {
                Ok(generation) if generation == self.generation => {}
                Ok(generation) => match self.load(workspace).await {
                    Ok(()) => self.generation = generation,
                    Err(error) => tracing::error!(error = format!("{error:#}"), "a change could not be taken up"),
                },
                Err(error) => tracing::error!(%error, "the metadata database does not answer"),
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

    async fn load(&self, workspace: &Workspace) -> Result<()> {
        let release =
            workspace.registry.current_release().await?.context("nothing was applied yet: run `karat apply`")?;
        let before = self.deployment.served();
        let project = Project::from_manifest(&release.content)
            .context("the current release cannot be read")?
            .located(workspace.project.root(), workspace.project.config().clone());
        let catalog = Catalog::compile(&project)?;
        let mut served =
            Served { project: project.config().name.to_string(), release: release.number, ..Served::default() };
        for (name, planned) in catalog.views {
            let view = ServedView {
                name: name.clone(),
                key: planned.key(),
                read: ReadView::new(planned.view, planned.digest),
            };
            served.views.insert(name, Arc::new(view));
        }
        served.endpoints = self.endpoints(workspace, &project, &release, &before).await?;
        self.deployment.replace(served);
        Ok(())
    }

    async fn endpoints(
        &self,
        workspace: &Workspace,
        project: &Project,
        release: &Release,
        before: &Served,
    ) -> Result<IndexMap<Name, Arc<Endpoint>>> {
        let mut endpoints = IndexMap::new();
        for (name, spec) in project.endpoints() {
            let parts = EndpointParts {
                spec: spec.clone(),
                online: workspace.online()?,
                log: self.log.clone(),
                clock: workspace.clock.clone(),
            };
            let endpoint = Endpoint::new(parts);
            let held = before.endpoints.get(name).and_then(|endpoint| endpoint.model().ok());
            endpoint.set_model(self.model(workspace, spec, release, held).await?);
            endpoints.insert(name.clone(), Arc::new(endpoint));
        }
        Ok(endpoints)
    }

    /// The version under the endpoint's alias, its online state built if it was not; `None` while no version has it.
    async fn model(
        &self,
        workspace: &Workspace,
        spec: &karat_project::spec::Endpoint,
        release: &Release,
        held: Option<Arc<ServingModel>>,
    ) -> Result<Option<Arc<ServingModel>>> {
        let models = workspace.registry.models().await?;
        let model = models.iter().find(|model| model.name == spec.model.as_str());
        let Some(number) = model.and_then(|model| model.aliases.get(spec.alias.as_str()).copied()) else {
            return Ok(None);
        };
        let same = |held: &ServingModel| {
            held.name.model == spec.model && held.name.version == number && held.name.release == release.number
        };
        if let Some(held) = held.filter(|held| same(held)) {
            return Ok(Some(held));
        }
        let version = workspace.registry.version(&spec.model, number).await?;
        let release = (release.number, release.digest.clone());
        let model = artifact::serving_model(workspace, &version, release).await?;
        materialize::pinned(workspace, &model.pinned).await?;
        tracing::info!(endpoint = %spec.name, version = version.label(), "a version answers");
        Ok(Some(Arc::new(model)))
    }
}
