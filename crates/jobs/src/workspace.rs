use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use karat_core::{Clock, Name, OnlineStore};
use karat_history::files::{FileStore, in_bucket, in_folder};
use karat_history::{Artifacts, History, Snapshot};
use karat_metadata::Metadata;
use karat_project::Project;
use karat_project::spec::Model;
use karat_query::{Engine, EngineOptions};
use karat_registry::Registry;

use crate::{Catalog, NotFound, Observer};

/// Opens the online store at a URI; the binary knows which back ends there are.
pub type OpenOnline = Box<dyn Fn(&str) -> Result<Arc<dyn OnlineStore>> + Send + Sync>;

/// What a job is given besides its own parameters.
pub struct Surroundings {
    pub observer: Arc<dyn Observer>,
    pub clock: Arc<dyn Clock>,
    /// Who asks, as the audit chain names them.
    pub actor: String,
    pub open_online: OpenOnline,
}

/// A project with its stores open: what every job works in.
pub struct Workspace {
    pub project: Project,
    pub registry: Registry,
    pub history: History,
    pub artifacts: Artifacts,
    pub engine: Engine,
    pub observer: Arc<dyn Observer>,
    pub clock: Arc<dyn Clock>,
    pub actor: String,
    state: PathBuf,
    tracked: Arc<dyn FileStore>,
    open_online: OpenOnline,
    online: OnceLock<Arc<dyn OnlineStore>>,
    catalog: OnceLock<Arc<Catalog>>,
}

/// Beside `karat.yaml`, unless it says otherwise.
pub(crate) const STATE: &str = ".karat";
const TEMPORARY: &str = "tmp";

impl Workspace {
    pub async fn open(project: Project, around: Surroundings) -> Result<Workspace> {
        let state = project.root().join(STATE);
        std::fs::create_dir_all(&state).with_context(|| format!("{} cannot be made", state.display()))?;
        let stores = &project.config().stores;
        let data = match &stores.data {
            Some(uri) => local_path(uri, "file://", project.root())?,
            None => state.clone(),
        };
        let metadata = Metadata::open(&metadata_uri(&project)?).await?;
        let tracked = match &stores.artifacts {
            Some(uri) if uri.starts_with("s3://") => in_bucket(uri)?,
            Some(uri) => in_folder(&local_path(uri, "file://", project.root())?),
            None => in_folder(&data.join("artifacts").join("mlflow")),
        };
        let memory_bytes = usize::try_from(project.config().engine.memory.0)?;
        let engine = Engine::new(EngineOptions { memory_bytes, temp_dir: data.join(TEMPORARY) })?;
        let history = History::open(data.join("history"), metadata.clone())?;
        history.claim().await?;
        Ok(Workspace {
            history,
            artifacts: Artifacts::open(data.join("artifacts"))?,
            registry: match &project.config().stores.default_artifact_root {
                Some(root) => Registry::new(metadata).with_artifact_root(root),
                None => Registry::new(metadata),
            },
            tracked,
            engine,
            observer: around.observer,
            clock: around.clock,
            actor: around.actor,
            state: data,
            open_online: around.open_online,
            online: OnceLock::new(),
            catalog: OnceLock::new(),
            project,
        })
    }

    /// As [`Workspace::open`], of a project that has run before; of another `None`, and nothing is made.
    pub async fn open_existing(project: Project, around: Surroundings) -> Result<Option<Workspace>> {
        match Metadata::exists(&metadata_uri(&project)?).await? {
            true => Ok(Some(Workspace::open(project, around).await?)),
            false => Ok(None),
        }
    }

    /// The online store, opened when first asked for.
    pub fn online(&self) -> Result<Arc<dyn OnlineStore>> {
        if let Some(online) = self.online.get() {
            return Ok(online.clone());
        }
        let uri = match &self.project.config().stores.online {
            // Of the schemes that a project may name, the one that means a path.
            Some(uri) if !uri.starts_with("lmdb://") => uri.clone(),
            Some(uri) => format!("lmdb://{}", local_path(uri, "lmdb://", self.project.root())?.display()),
            None => format!("lmdb://{}", self.state.join("online").display()),
        };
        let online = (self.open_online)(&uri)?;
        Ok(self.online.get_or_init(|| online).clone())
    }

    /// Everything of the folder that is compiled before data is touched.
    pub fn catalog(&self) -> Result<Arc<Catalog>> {
        if let Some(catalog) = self.catalog.get() {
            return Ok(catalog.clone());
        }
        let catalog = Arc::new(Catalog::compile(&self.project)?);
        Ok(self.catalog.get_or_init(|| catalog).clone())
    }

    /// A model of the folder by name.
    pub fn model(&self, name: &str) -> Result<&Model> {
        let models = self.project.models();
        models.get(name).ok_or_else(|| NotFound::named("model", name, models.keys()).into())
    }

    /// What history has of a source, up to this commit or the newest; an error says how to begin.
    pub(crate) async fn snapshot(&self, source: &Name, up_to: Option<u64>) -> Result<Snapshot> {
        let snapshot = self.history.snapshot(source, up_to).await?;
        snapshot.with_context(|| format!("source {source} was never ingested: run `karat sources ingest`"))
    }

    /// The folder of everything this project keeps.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The folder of what does not fit in memory for a while.
    pub(crate) fn temporary(&self) -> Result<PathBuf> {
        let folder = self.state.join(TEMPORARY);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(folder)
    }

    /// The folder of a source's quarantined rows.
    pub fn quarantine(&self, source: &str) -> PathBuf {
        self.state.join("quarantine").join(source)
    }

    /// What MLflow's clients upload.
    pub fn tracked_artifacts(&self) -> &Arc<dyn FileStore> {
        &self.tracked
    }

    pub fn predictions(&self) -> PathBuf {
        self.state.join("predictions")
    }
}

fn metadata_uri(project: &Project) -> Result<String> {
    let file = match &project.config().stores.metadata {
        // Of the schemes that a project may name, the one that means a path.
        Some(uri) if !uri.starts_with("sqlite://") => return Ok(uri.clone()),
        Some(uri) => local_path(uri, "sqlite://", project.root())?,
        None => project.root().join(STATE).join("metadata.db"),
    };
    Ok(format!("sqlite://{}", file.display()))
}

/// The path of a URI of the one scheme this version serves; a relative one begins at the project.
fn local_path(uri: &str, scheme: &str, root: &Path) -> Result<PathBuf> {
    match uri.strip_prefix(scheme) {
        Some(path) => Ok(root.join(path)),
        None => anyhow::bail!("`{uri}`: this version of Karat stores it under {scheme}PATH only"),
    }
}
