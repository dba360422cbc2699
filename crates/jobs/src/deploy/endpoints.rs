//! The endpoints of a release, each with the version under its alias. One that cannot be loaded keeps none of the others
//! from being taken up.

use std::sync::Arc;

use anyhow::Result;
use karat_core::Name;
use karat_project::Project;
use karat_project::spec;
use karat_registry::{RegisteredModel, Release};
use karat_serving::{Endpoint, EndpointParts, Served, ServingModel};

use super::{Deployed, State, ToBuild};
use crate::{Workspace, artifact, materialize};

/// What a look found for one endpoint.
enum Found {
    /// Its version, loaded now.
    New(Arc<ServingModel>),
    /// The one that answered before.
    Same(Arc<ServingModel>),
    /// No version has its alias.
    Nothing,
}

impl Deployed {
    /// Replaces what is served. An endpoint whose version cannot be loaded goes on as it was; one that was not there says
    /// why it does not answer.
    pub(super) async fn take_up(
        &mut self,
        workspace: &Workspace,
        project: &Project,
        release: &Release,
        mut served: Served,
        state: State<'_>,
    ) -> Result<()> {
        let models = workspace.registry.models().await?;
        let before = self.deployment.served();
        self.told.retain(|endpoint, _| endpoint.as_ref().is_none_or(|name| project.endpoints().contains_key(name)));
        let mut answering = Vec::new();
        for (name, spec) in project.endpoints() {
            let earlier = before.endpoints.get(name);
            let held = earlier.and_then(|endpoint| endpoint.model().ok());
            let found = find(workspace, spec, release, &models, held.as_ref(), state).await;
            match &found {
                Ok(_) => drop(self.told.remove(&Some(name.clone()))),
                Err(error) => self.tell(Some(name), format!("{error:#}")),
            }
            if let (Err(_), Some(earlier), Some(_)) = (&found, earlier, &held) {
                // With its limits and all else of before.
                served.endpoints.insert(name.clone(), earlier.clone());
                continue;
            }
            let endpoint = self.endpoint(workspace, spec, earlier)?;
            let taken_up = match found {
                Ok(Found::New(model)) => endpoint
                    .serve(model.clone())
                    .map(|()| answering.push((name.clone(), Some(model))))
                    .map_err(Into::into),
                Ok(Found::Same(model)) => endpoint.serve(model).map_err(Into::into),
                Ok(Found::Nothing) => {
                    answering.extend(held.map(|_| (name.clone(), None)));
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = taken_up {
                endpoint.set_failure(format!("{error:#}"));
            }
            served.endpoints.insert(name.clone(), Arc::new(endpoint));
        }
        self.deployment.replace(served);
        tell(&answering);
        if let State::Existing(old) = state {
            for model in answering.into_iter().filter_map(|(_, model)| model) {
                // Whoever takes them up lives as long as whoever looks.
                old.send(ToBuild::Version(model)).ok();
            }
        }
        Ok(())
    }

    fn endpoint(
        &self,
        workspace: &Workspace,
        spec: &spec::Endpoint,
        earlier: Option<&Arc<Endpoint>>,
    ) -> Result<Endpoint> {
        let parts = EndpointParts {
            spec: spec.clone(),
            online: workspace.online()?,
            lookups: self.lookups.clone(),
            log: self.log.clone(),
            clock: workspace.clock.clone(),
        };
        Ok(match earlier {
            Some(earlier) => Endpoint::after(earlier, parts),
            None => Endpoint::new(parts),
        })
    }
}

fn tell(answering: &[(Name, Option<Arc<ServingModel>>)]) {
    for (endpoint, model) in answering {
        match model {
            Some(model) => {
                let version = format!("{}/{}", model.name.model, model.name.version);
                tracing::info!(%endpoint, version, "a version answers");
            }
            None => tracing::warn!(%endpoint, "its alias was taken away: no version answers any more"),
        }
    }
}

/// The version under the endpoint's alias, its online state built if there is none.
async fn find(
    workspace: &Workspace,
    spec: &spec::Endpoint,
    release: &Release,
    models: &[RegisteredModel],
    held: Option<&Arc<ServingModel>>,
    state: State<'_>,
) -> Result<Found> {
    let model = models.iter().find(|model| model.name == spec.model.as_str());
    let Some(number) = model.and_then(|model| model.aliases.get(spec.alias.as_str()).copied()) else {
        return Ok(Found::Nothing);
    };
    let same = |held: &ServingModel| {
        held.name.model == spec.model && held.name.version == number && held.name.release == release.number
    };
    if let Some(held) = held.filter(|held| same(held)) {
        return Ok(Found::Same(held.clone()));
    }
    let version = workspace.registry.version(&spec.model, number).await?;
    let release = (release.number, release.digest.clone());
    let model = artifact::serving_model(workspace, &version, release).await?;
    let answers_at_once = match state {
        State::Newest => false,
        State::Existing(_) => materialize::is_there(workspace, &model.pinned)?,
    };
    if !answers_at_once {
        materialize::pinned(workspace, &model.pinned, &version.label()).await?;
    }
    Ok(Found::New(Arc::new(model)))
}
