//! The feature catalogue: what features there are, who uses each, how fresh they are, what their values look like, what is
//! odd about them and what to do about that; and the lineage from files to endpoints. Reads only: it ingests, applies and
//! materializes nothing.

mod flags;
mod lineage;
mod uses;

use std::sync::Arc;

use anyhow::{Context, Result};
use indexmap::IndexMap;
use karat_core::statistics::ViewStatistics;
use karat_core::{Clock, Name, OnlineStore};
use karat_history::{Artifacts, History};
use karat_project::Project;
use karat_registry::Registry;
use karat_report::catalogue::{FeatureEntry, Freshness, StateEntry, ViewEntry};
use karat_report::lineage::Lineage;
use karat_serving::StateNote;
use serde_json::json;
use tokio::sync::Mutex;

use crate::catalog::PlannedView;
use crate::{Catalog, NotFound, Workspace, released, statistics};
use uses::{Services, Taken, versions};

/// Reads the catalogue of a project: of the folder at hand, or of the current release.
pub struct CatalogueReader {
    registry: Registry,
    history: History,
    artifacts: Artifacts,
    clock: Arc<dyn Clock>,
    /// `None` where nothing was ever materialized: then no store is made to find that out.
    online: Option<Arc<dyn OnlineStore>>,
}

/// As [`CatalogueReader`], of whatever release is current: what a server tells.
pub struct ReleasedCatalogue {
    reader: CatalogueReader,
    /// What the folder's files cannot say of a release: where it lies, and how this server is configured.
    located: Project,
    /// The release read last, by its number.
    last: Mutex<Option<(u64, Arc<Described>)>>,
}

/// A project and what it compiles to.
struct Described {
    project: Project,
    catalog: Catalog,
}

/// Of the project's folder, as it stands.
pub async fn views(workspace: &Workspace) -> Result<Vec<ViewEntry>> {
    let catalog = workspace.catalog()?;
    CatalogueReader::of(workspace).await?.views(&workspace.project, &catalog).await
}

/// One view of the project's folder.
pub async fn view(workspace: &Workspace, name: &str) -> Result<ViewEntry> {
    named(views(workspace).await?, name)
}

/// From the files of the project's folder to its endpoints.
pub async fn lineage(workspace: &Workspace) -> Result<Lineage> {
    let catalog = workspace.catalog()?;
    CatalogueReader::of(workspace).await?.lineage(&workspace.project, &catalog).await
}

fn named(views: Vec<ViewEntry>, name: &str) -> Result<ViewEntry> {
    let names: Vec<Name> = views.iter().map(|view| view.view.clone()).collect();
    let found = views.into_iter().find(|view| view.view.as_str() == name);
    found.ok_or_else(|| NotFound::named("feature view", name, names.iter()).into())
}

impl CatalogueReader {
    /// Over the workspace's stores. The online one is opened only where something was materialized.
    pub async fn of(workspace: &Workspace) -> Result<CatalogueReader> {
        let registry = workspace.registry.clone();
        let online = match statistics::were_taken(&registry).await? {
            // A store that does not answer keeps nobody from reading what is known without it.
            true => workspace.online().inspect_err(|error| tracing::warn!("{error:#}")).ok(),
            false => None,
        };
        Ok(CatalogueReader {
            registry,
            history: workspace.history.clone(),
            artifacts: workspace.artifacts.clone(),
            clock: workspace.clock.clone(),
            online,
        })
    }

    async fn views(&self, project: &Project, catalog: &Catalog) -> Result<Vec<ViewEntry>> {
        let taken = versions(self, project, catalog).await?;
        let services = uses::services(project, catalog);
        let files = uses::files(project, catalog);
        let mut views = Vec::with_capacity(catalog.views.len());
        for (name, planned) in &catalog.views {
            let statistics = statistics::newest(&self.registry, &planned.digest).await?;
            let newest = self.history.snapshot(&planned.spec.source, None).await?;
            let mut entry = ViewEntry {
                view: name.clone(),
                description: planned.spec.description.clone(),
                owner: planned.spec.owner.clone(),
                tags: planned.spec.tags.clone(),
                entities: planned.spec.entities.clone(),
                keys: planned.view.key_columns().iter().map(|column| column.name.clone()).collect(),
                source: planned.spec.source.clone(),
                definition: planned.digest.clone(),
                ttl: planned.spec.ttl,
                stale_after: planned.spec.stale_after,
                online_horizon: planned.spec.online_horizon,
                state: self.state(planned, statistics.as_ref())?,
                newest_commit: newest.map(|snapshot| snapshot.commit),
                freshness: statistics.as_ref().map(Freshness::of).unwrap_or_default(),
                used_by: uses::of_view(&taken, name),
                services: uses::serving(&services, name, None),
                flags: Vec::new(),
                features: features(planned, &taken, &services, statistics.as_ref()),
            };
            let zone = &planned.view.definition().source.time_zone;
            flags::raise(&mut entry, &planned.spec, &files, zone, self.clock.now());
            views.push(entry);
        }
        Ok(views)
    }

    /// As the note beside it has it; where the store does not answer, as the last statistics have it.
    fn state(&self, planned: &PlannedView, taken: Option<&ViewStatistics>) -> Result<Option<StateEntry>> {
        let told = taken.map(|taken| StateEntry { commit: taken.commit, at: taken.at, keys: taken.keys, records: 0 });
        let Some(online) = &self.online else { return Ok(told) };
        let note = match tokio::task::block_in_place(|| online.note(&planned.digest)) {
            Ok(note) => note,
            Err(error) => {
                tracing::warn!("{error}");
                return Ok(told);
            }
        };
        let note = note.map(|note| StateNote::parse(&note)).transpose()?;
        Ok(note.map(|note| StateEntry { commit: note.commit, at: note.at, keys: note.keys, records: note.records }))
    }
}

fn features(
    planned: &PlannedView,
    taken: &[Taken],
    services: &Services,
    statistics: Option<&ViewStatistics>,
) -> IndexMap<String, FeatureEntry> {
    let outputs = planned.view.outputs().iter();
    let entry = |output: &karat_features::Output| {
        let feature = &planned.spec.features[&output.name];
        let statistics = statistics.and_then(|taken| taken.feature(&output.name)).cloned();
        FeatureEntry {
            data_type: output.value_type.to_string(),
            definition: feature.how(),
            words: feature.words.clone(),
            description: feature.description.clone(),
            checks: feature.checks.iter().map(|check| json!(check)).collect(),
            used_by: uses::of_feature(taken, &planned.spec.name, &output.name),
            services: uses::serving(services, &planned.spec.name, Some(&output.name)),
            statistics,
            flags: Vec::new(),
        }
    };
    outputs.map(|output| (output.name.clone(), entry(output))).collect()
}

impl ReleasedCatalogue {
    pub async fn of(workspace: &Workspace) -> Result<ReleasedCatalogue> {
        let mut reader = CatalogueReader::of(workspace).await?;
        reader.online = Some(workspace.online()?);
        let located = Project::from_manifest(&workspace.project.manifest())
            .context("the project cannot be read back")?
            .located(workspace.project.root(), workspace.project.config().clone());
        Ok(ReleasedCatalogue { reader, located, last: Mutex::default() })
    }

    pub async fn views(&self) -> Result<Vec<ViewEntry>> {
        let described = self.current().await?;
        self.reader.views(&described.project, &described.catalog).await
    }

    pub async fn view(&self, name: &str) -> Result<ViewEntry> {
        named(self.views().await?, name)
    }

    pub async fn lineage(&self) -> Result<Lineage> {
        let described = self.current().await?;
        self.reader.lineage(&described.project, &described.catalog).await
    }

    /// Compiled once for each release.
    async fn current(&self) -> Result<Arc<Described>> {
        let (release, project) = released::current(&self.reader.registry, &self.located).await?;
        let mut last = self.last.lock().await;
        if let Some((_, described)) = last.as_ref().filter(|(number, _)| *number == release.number) {
            return Ok(described.clone());
        }
        let catalog = tokio::task::block_in_place(|| Catalog::compile(&project))?;
        let described = Arc::new(Described { project, catalog });
        *last = Some((release.number, described.clone()));
        Ok(described)
    }
}
