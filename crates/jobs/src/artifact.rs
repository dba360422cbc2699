//! The folder of a model version: scoring files, pinned definitions, lineage.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use karat_core::{Digest, Name, RunId};
use karat_model::{FEATURES_FILE, LINEAGE_FILE, Model, TREES_FILE};
use karat_registry::ModelVersion;
use karat_serving::{Pinned, ServingModel, VersionName};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::Workspace;
use crate::training_set::Commits;

/// Where a version comes from. It stands in no digest: it changes no score.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lineage {
    pub model: Name,
    pub version: u64,
    pub run_id: RunId,
    pub karat: String,
    pub training_set: Digest,
    pub commits: Commits,
    /// When the last label it learned from became known, those of the validation part included: they chose the number of
    /// trees and the threshold.
    pub last_label_time: Option<karat_core::Instant>,
}

pub fn files(model: &Model, pinned: &Pinned, lineage: &Lineage) -> BTreeMap<String, Vec<u8>> {
    let mut files = model.to_files();
    files.insert(FEATURES_FILE.to_owned(), pinned.to_file());
    files.insert(MLMODEL_FILE.to_owned(), mlmodel(lineage).into_bytes());
    let lineage = serde_json::to_vec_pretty(lineage).expect("lineage serialises to JSON");
    files.insert(LINEAGE_FILE.to_owned(), lineage);
    files
}

/// What makes the folder one that MLflow's clients open.
const MLMODEL_FILE: &str = "MLmodel";

/// The trees alone, in LightGBM's flavour: scores are the trees' raw ones through the objective, without reason words,
/// labels or threshold.
fn mlmodel(lineage: &Lineage) -> String {
    format!(
        "artifact_path: model\n\
         flavors:\n  \
           lightgbm:\n    \
             data: {TREES_FILE}\n    \
             model_class: lightgbm.basic.Booster\n  \
           python_function:\n    \
             data: {TREES_FILE}\n    \
             loader_module: mlflow.lightgbm\n\
         run_id: {}\n",
        lineage.run_id
    )
}

/// A version read back from its artifact, checked against what the registry says it is.
pub struct Loaded {
    pub model: Model,
    pub pinned: Pinned,
    pub lineage: Lineage,
}

pub async fn load(workspace: &Workspace, version: &ModelVersion) -> Result<Loaded> {
    let mut files = BTreeMap::new();
    for name in [karat_model::MODEL_FILE, karat_model::TREES_FILE, FEATURES_FILE, LINEAGE_FILE] {
        let path = format!("{}/{name}", version.source);
        let bytes = workspace.artifacts.get(&path).await;
        files.insert(name, bytes.with_context(|| format!("{} has no {name}", version.label()))?);
    }
    let model = Model::from_files(&|name| files.get(name).cloned())
        .with_context(|| format!("the artifact of {} cannot be read", version.label()))?;
    if version.digest.as_ref() != Some(model.digest()) {
        bail!("the artifact of {} is not what was registered: its digest is {}", version.label(), model.digest());
    }
    let pinned = Pinned::from_file(&files[FEATURES_FILE]).map_err(anyhow::Error::msg)?;
    if !pinned.may_be(&version.definitions) {
        bail!("the artifact of {} pins other definitions than were registered", version.label());
    }
    let lineage = serde_json::from_slice(&files[LINEAGE_FILE])
        .with_context(|| format!("the lineage of {} cannot be read", version.label()))?;
    Ok(Loaded { model, pinned, lineage })
}

/// What a version of this model, with this pinned, is registered as. One made before reasons were part of that is known again
/// by its file, where that has the same words, codes and groups.
pub async fn definitions(workspace: &Workspace, name: &Name, model: &Model, pinned: &Pinned) -> Result<Json> {
    let models = workspace.registry.models().await?;
    let held = models.iter().find(|held| held.name == name.as_str()).map_or(0, |held| held.versions);
    for number in (1..=held).rev() {
        let version = workspace.registry.version(name, number).await?;
        if version.digest.as_ref() == Some(model.digest())
            && version.definitions == pinned.values_identity()
            && gives_reasons_of(workspace, &version, pinned).await?
        {
            return Ok(version.definitions);
        }
    }
    Ok(pinned.identity())
}

async fn gives_reasons_of(workspace: &Workspace, version: &ModelVersion, pinned: &Pinned) -> Result<bool> {
    let path = format!("{}/{FEATURES_FILE}", version.source);
    if !workspace.artifacts.exists(&path).await? {
        return Ok(false);
    }
    let its = Pinned::from_file(&workspace.artifacts.get(&path).await?).map_err(anyhow::Error::msg)?;
    Ok(its.reasons_digest() == pinned.reasons_digest())
}

/// A version ready to answer, under the release it is served by.
pub async fn serving_model(
    workspace: &Workspace,
    version: &ModelVersion,
    (release, release_digest): (u64, Digest),
) -> Result<ServingModel> {
    let loaded = load(workspace, version).await?;
    let name = VersionName { model: Name::new(&version.model)?, version: version.version, release, release_digest };
    Ok(ServingModel::new(name, loaded.model, loaded.pinned)?)
}
