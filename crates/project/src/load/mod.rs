//! From a folder to a [`Project`], or to everything that is wrong with it.

mod config;
mod folder;
mod resource;
mod tests;

use std::path::{Path, PathBuf};

pub use tests::LocatedTest;

use crate::draft::Draft;
use crate::kind::{Kind, PLANNED};
use crate::problem::{Problem, Problems};
use crate::{Project, check};

/// What makes a folder a project.
pub(crate) const CONFIG_FILE: &str = "karat.yaml";

impl Project {
    /// Reads the project in `root`, with `environments/ENVIRONMENT.yaml` laid over `karat.yaml` where one is named.
    /// Reports all problems of all files at once.
    pub fn load(root: &Path, environment: Option<&str>) -> Result<Project, Problems> {
        let mut draft = Draft::default();
        config::load(&mut draft, root, environment);
        for kind in Kind::ALL {
            for file in folder::files(&mut draft, root, kind.folder()) {
                resource::load(&mut draft, root, &file, kind.folder());
            }
        }
        for (_, folder) in PLANNED {
            for file in folder::files(&mut draft, root, folder) {
                resource::load(&mut draft, root, &file, folder);
            }
        }
        let mut problems = std::mem::take(&mut draft.problems);
        problems.extend(check::check(&draft));
        match (Problems::of(problems), draft.config.take()) {
            (Some(problems), _) => Err(problems),
            (None, Some(config)) => Ok(Project::from_draft(root.to_owned(), config, draft)),
            (None, None) => {
                Err(Problems::one(Problem::new(format!("there is no {CONFIG_FILE} in {}", root.display()))))
            }
        }
    }

    /// The nearest folder with a `karat.yaml`: `start` itself, or one of its parents.
    pub fn find(start: &Path) -> Option<PathBuf> {
        let start = std::path::absolute(start).ok()?;
        start.ancestors().find(|folder| folder.join(CONFIG_FILE).is_file()).map(Path::to_owned)
    }
}
