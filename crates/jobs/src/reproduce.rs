//! A recorded run trained again, from the commits it read or from tagged ones.

use anyhow::{Context, Result};
use karat_core::{Digest, RunId};
use karat_features::CompiledView;
use karat_model::FEATURES_FILE;
use karat_project::spec::Model;
use karat_registry::RegistryError;
use karat_serving::Pinned;
use serde::Serialize;

use crate::register::SOURCE_RUN_TAG;
use crate::training_set::{Commits, Pins, assemble_pinned};
use crate::{Workspace, tags, train};

#[derive(Debug, Serialize)]
pub struct Reproduced {
    pub run_id: RunId,
    pub training_set: Compared,
    pub model: Compared,
    pub commits: Commits,
    pub seconds: f64,
}

/// A digest then and now.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub recorded: Digest,
    pub reproduced: Digest,
    pub same: bool,
}

impl Compared {
    fn new(recorded: &str, reproduced: Digest) -> Result<Compared> {
        let recorded = Digest::parse(recorded).context("the run's record holds a broken digest")?;
        Ok(Compared { same: recorded == reproduced, recorded, reproduced })
    }
}

impl Reproduced {
    pub fn holds(&self) -> bool {
        self.training_set.same && self.model.same
    }
}

/// Uses the run's own spec and definitions, kept among its files, not today's folder. At a `tag` it reads the commits that
/// have it, else those that the run read.
pub async fn run(workspace: &Workspace, run: &str, tag: Option<&str>) -> Result<Reproduced> {
    let begun = std::time::Instant::now();
    let run = workspace.registry.run(run).await?;
    if let Some(source) = run.tags.get(SOURCE_RUN_TAG) {
        let message = format!(
            "run {} measured trees that run {source} grew elsewhere: there is nothing to train again",
            run.run_id
        );
        return Err(RegistryError::Refused(message).into());
    }
    let file = async |name: &str| {
        let bytes = workspace.artifacts.get(&format!("runs/{}/{name}", run.run_id)).await;
        bytes.with_context(|| format!("run {} left no {name}: it did not finish", run.run_id))
    };
    let model: Model =
        serde_json::from_slice(&file(train::record::SPEC_FILE).await?).context("the run's model spec")?;
    let pinned = Pinned::from_file(&file(FEATURES_FILE).await?).map_err(anyhow::Error::msg)?;
    for view in &pinned.views {
        CompiledView::compile(view.definition.clone())?;
    }
    let label = match model.spine.label.events() {
        Some(_) => {
            let label = file(train::record::LABEL_FILE).await?;
            Some(serde_json::from_slice(&label).context("the run's definition of its label")?)
        }
        None => None,
    };
    let param = |name: &str| run.params.get(name).with_context(|| format!("run {} has no param {name}", run.run_id));
    let mut commits: Commits = run
        .params
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("commit.")?, value)))
        .map(|(name, value)| Ok((karat_core::Name::new(name)?, value.parse()?)))
        .collect::<Result<_>>()?;
    if let Some(tag) = tag {
        commits = tags::commits_at(workspace, tag, &commits.into_keys().collect()).await?;
    }
    let set = assemble_pinned(workspace, &model, Pins { pinned, label }, Some(&commits)).await?;
    if tag.is_some() {
        tags::refuse_behind(&set.behind, &commits)?;
    }
    let trained = train::fit(workspace, &model, &set)?;
    Ok(Reproduced {
        training_set: Compared::new(param("training_set_digest")?, set.digest.clone())?,
        model: Compared::new(param("model_digest")?, trained.model.digest().clone())?,
        commits,
        seconds: begun.elapsed().as_secs_f64(),
        run_id: run.run_id,
    })
}
