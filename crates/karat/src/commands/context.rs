//! What every command begins with: the project, its stores open, who asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use karat_core::{OnlineStore, SystemClock};
use karat_jobs::{Observer, Surroundings, Usage, Workspace};
use karat_online::{LmdbOptions, LmdbStore, RedisOptions, RedisStore};
use karat_project::Project;

use crate::args::Global;
use crate::output::Output;
use crate::progress;

#[derive(Debug, Clone)]
pub struct Context {
    pub output: Output,
    project: Option<PathBuf>,
    environment: Option<String>,
}

impl Context {
    pub fn new(global: Global) -> Context {
        Context { output: Output::new(global.format), project: global.project, environment: global.environment }
    }

    /// The same, in another project folder.
    pub fn within(&self, project: &Path) -> Context {
        Context { project: Some(project.to_owned()), ..self.clone() }
    }

    /// The project folder that was named, whatever is in it.
    pub fn named_project(&self) -> Option<&Path> {
        self.project.as_deref()
    }

    pub fn root(&self) -> Result<PathBuf> {
        if let Some(named) = &self.project {
            return Ok(named.clone());
        }
        let here = std::env::current_dir()?;
        Project::find(&here).ok_or_else(|| {
            let missing = format!(
                "there is no karat.yaml in {} or above it: name the project with --project, or make one with `karat init DIR`",
                here.display()
            );
            Usage(missing).into()
        })
    }

    /// The project, read and valid.
    pub fn load(&self) -> Result<Project> {
        Ok(Project::load(&self.root()?, self.environment.as_deref())?)
    }

    /// Whose overlay of `karat.yaml` counts, if one was named.
    pub fn environment(&self) -> Option<String> {
        self.environment.clone()
    }

    pub async fn workspace(&self) -> Result<Workspace> {
        Box::pin(Workspace::open(self.load()?, around(progress::observer()))).await
    }
}

/// What a project is opened with.
pub fn around(observer: Arc<dyn Observer>) -> Surroundings {
    Surroundings { observer, clock: Arc::new(SystemClock), actor: actor(), open_online: Box::new(open_online) }
}

/// Who acts, as approvals and the audit chain name them.
fn actor() -> String {
    let named = ["KARAT_ACTOR", "USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.map(|name| name.trim().to_owned()).find(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// The back ends of online state, by scheme. The URI may hold a password: no message repeats it.
fn open_online(uri: &str) -> Result<Arc<dyn OnlineStore>> {
    match uri.split_once("://") {
        Some(("lmdb", path)) => Ok(Arc::new(LmdbStore::open(path, LmdbOptions::default())?)),
        Some(("redis" | "rediss", _)) => Ok(Arc::new(RedisStore::open(uri, RedisOptions::default())?)),
        _ => Err(Usage("online state lives under lmdb://PATH or redis://HOST:PORT/DATABASE".to_owned()).into()),
    }
}
