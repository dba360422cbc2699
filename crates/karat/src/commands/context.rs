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
        Context {
            output: Output::new(global.format),
            project: global.project,
            environment: global.environment.filter(|name| !name.is_empty()),
        }
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
    let named = named.map(|name| name.trim().to_owned()).find(|name| !name.is_empty());
    named.or_else(user_of_process).unwrap_or_else(|| "unknown".to_owned())
}

/// Where no variable names anybody, as in containers: the user that the process runs as.
fn user_of_process() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let id = std::fs::metadata("/proc/self").ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of_user(&users, id).unwrap_or_else(|| format!("uid {id}")))
}

/// `root` of the line `root:x:0:0:root:/root:/bin/bash`, whose third field is the id.
fn name_of_user(users: &str, id: u32) -> Option<String> {
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    });
    found.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The back ends of online state, by scheme. The URI may hold a password: no message repeats it.
fn open_online(uri: &str) -> Result<Arc<dyn OnlineStore>> {
    match uri.split_once("://") {
        Some(("lmdb", path)) => Ok(Arc::new(LmdbStore::open(path, LmdbOptions::default())?)),
        Some(("redis" | "rediss", _)) => Ok(Arc::new(RedisStore::open(uri, RedisOptions::default())?)),
        _ => Err(Usage("online state lives under lmdb://PATH or redis://HOST:PORT/DATABASE".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_variables_is_named_by_the_system() {
        let users = "root:x:0:0:root:/root:/bin/bash\n\n# note\nkarat:x:10001:0::/srv:/sbin/nologin\n";
        assert_eq!(name_of_user(users, 10001).as_deref(), Some("karat"));
        assert_eq!(name_of_user(users, 0).as_deref(), Some("root"));
        assert_eq!(name_of_user(users, 7), None);
        assert!(user_of_process().is_some_and(|name| !name.is_empty()) || !Path::new("/proc/self").exists());
    }
}
