//! A model that a client logged becomes a version of one of the project's models, behind the same gates.

use std::time::Instant as Stopwatch;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use karat_history::files::{FileStore, Found};
use karat_project::yaml_to_json;
use karat_registry::{Lifecycle, RegistryError, Run, VERSION_TAG};
use karat_training::{FitOptions, Progress, adopt, threads_from_environment};

use crate::train::{Learning, Trial, record};
use crate::training_set::assemble_at;
use crate::{Usage, Workspace, tags};

/// The tag of a run that measures another's trees: whose.
pub(crate) const SOURCE_RUN_TAG: &str = "karat.source_run";
const MLMODEL: &str = "MLmodel";

/// Measures the trees that a run logged on the model's own rows and registers them. `path`: where in the run's files the
/// model is, should there be several.
pub async fn run(workspace: &Workspace, source: &str, model: Option<&str>, path: Option<&str>) -> Result<Trial> {
    let model = match model {
        Some(name) => name.to_owned(),
        None => only_model(workspace)?,
    };
    let source = workspace.registry.run(source).await?;
    if source.lifecycle_stage == Lifecycle::Deleted {
        return Err(RegistryError::Refused(format!(
            "run {} is deleted: `karat runs restore {0}` brings it back",
            source.run_id
        ))
        .into());
    }
    let folder = folder(workspace, &source, path).await?;
    let text = trees(workspace.tracked_artifacts().as_ref(), &folder).await?;

    let (release, at) = tags::prepare(workspace, &model, None).await?;
    let spec = workspace.model(&model)?;
    let begun = Stopwatch::now();
    let set = assemble_at(workspace, spec, at.as_ref()).await?;
    let assembled = begun.elapsed();
    let more = [(SOURCE_RUN_TAG.to_owned(), source.run_id.to_string())].into();
    let run = record::start(workspace, spec, release.number, &set, more).await?;
    let learning = Learning { workspace, model: spec, run, set, begun, assembled };
    let silent = |_: Progress<'_>| {};
    let options = FitOptions { threads: threads_from_environment(), progress: &silent };
    let measure =
        |learning: &Learning<'_>| Ok(tokio::task::block_in_place(|| adopt(&learning.set.data, spec, &text, &options))?);
    let trial = learning.finish(measure).await?;
    let batch = karat_registry::Batch {
        tags: vec![(VERSION_TAG.to_owned(), format!("{model}/{}", trial.version))],
        ..karat_registry::Batch::default()
    };
    workspace.registry.log_batch(source.run_id.as_str(), batch).await?;
    Ok(trial)
}

fn only_model(workspace: &Workspace) -> Result<String> {
    let names: Vec<&str> = workspace.project.models().keys().map(|name| name.as_str()).collect();
    match names.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Usage("the project has no model: write one under models/ first".to_owned()).into()),
        several => Err(Usage(format!("which model is it a version of? --model {}", several.join("|"))).into()),
    }
}

/// The folder with the run's `MLmodel`, below what clients upload.
async fn folder(workspace: &Workspace, run: &Run, path: Option<&str>) -> Result<String> {
    let files = workspace.tracked_artifacts().as_ref();
    if let Some(path) = path {
        let folder = below(&format!("{}/{}", run.artifact_uri.trim_end_matches('/'), path.trim_matches('/')))?;
        if !has_model(files, &folder).await? {
            return Err(RegistryError::NotFound(format!("run {} has no model at `{path}`", run.run_id)).into());
        }
        return Ok(folder);
    }
    let mut folders = Vec::new();
    for output in &run.model_outputs {
        let logged = workspace.registry.logged_model(&output.model_id, false).await?;
        folders.push((logged.name.clone(), below(&logged.artifact_location)?));
    }
    // Clients before 3 log models among the run's files.
    if folders.is_empty() {
        let root = below(&run.artifact_uri)?;
        let listed = files.list(&root).await?.into_iter().filter(|entry| entry.found == Found::Folder);
        folders.extend(listed.map(|entry| (entry.name.clone(), format!("{root}/{}", entry.name))));
    }
    let mut with_models = Vec::new();
    for (name, folder) in folders {
        if has_model(files, &folder).await? {
            with_models.push((name, folder));
        }
    }
    match with_models.as_slice() {
        [(_, folder)] => Ok(folder.clone()),
        [] => Err(RegistryError::NotFound(format!(
            "run {} has logged no model: `mlflow.lightgbm.log_model(booster, name=\"model\")` logs one",
            run.run_id
        ))
        .into()),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            Err(Usage(format!("run {} has logged several models: --path {}", run.run_id, names.join("|"))).into())
        }
    }
}

async fn has_model(files: &dyn FileStore, folder: &str) -> Result<bool> {
    Ok(matches!(files.find(&format!("{folder}/{MLMODEL}")).await?, Some(Found::File { .. })))
}

/// The path of a folder behind our server, by its URI.
fn below(uri: &str) -> Result<String> {
    let elsewhere = || {
        RegistryError::Refused(format!(
            "the files at {uri} are not behind this server: log the model into an experiment whose artifacts are"
        ))
    };
    let path = uri.strip_prefix("mlflow-artifacts:/").ok_or_else(elsewhere)?.trim_start_matches('/');
    let safe =
        path.split('/').all(|part| !part.is_empty() && !matches!(part, "." | "..") && !part.contains(['\\', '\0']));
    if safe { Ok(path.to_owned()) } else { Err(elsewhere().into()) }
}

/// LightGBM's text of a folder that MLflow's client logged, or why there is none.
async fn trees(files: &dyn FileStore, folder: &str) -> Result<String> {
    let refused = |message: String| anyhow::Error::from(RegistryError::Refused(message));
    let file = format!("{folder}/{MLMODEL}");
    let text = text(files, &file).await?;
    let model = yaml_to_json(&text).map_err(|error| refused(format!("{}: {error}", files.describe(&file))))?;
    let flavours: Vec<&str> =
        model["flavors"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let Some(flavour) = model["flavors"].get("lightgbm") else {
        return Err(refused(format!(
            "the model is of the flavours {}: Karat scores LightGBM's trees (`mlflow.lightgbm.log_model`)",
            flavours.join(", ")
        )));
    };
    // Of scikit-learn's wrappers MLflow keeps a pickle, which only Python opens.
    let class = flavour["model_class"].as_str().unwrap_or("lightgbm.basic.Booster");
    let data = flavour["data"].as_str().unwrap_or("model.lgb");
    if class != "lightgbm.basic.Booster" || data.contains(['/', '\\']) || data.starts_with('.') {
        return Err(refused(format!(
            "the model is a {class}, kept as a Python pickle: log its booster instead \
             (`mlflow.lightgbm.log_model(model.booster_, …)`)"
        )));
    }
    self::text(files, &format!("{folder}/{data}")).await
}

async fn text(files: &dyn FileStore, path: &str) -> Result<String> {
    let failed = || format!("{} cannot be read", files.describe(path));
    let opened = files.open(path).await.with_context(failed)?;
    let mut bytes = Vec::new();
    let mut pieces = opened.read_all().await.with_context(failed)?;
    while let Some(piece) = pieces.try_next().await.with_context(failed)? {
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).with_context(failed)
}

#[cfg(test)]
mod tests {
    use karat_history::files::in_folder;

    use super::*;

    async fn said(mlmodel: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("model")).unwrap();
        std::fs::write(folder.path().join("model").join(MLMODEL), mlmodel).unwrap();
        std::fs::write(folder.path().join("model/model.lgb"), "tree").unwrap();
        trees(in_folder(folder.path()).as_ref(), "model").await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn what_is_not_a_booster_says_what_to_log() {
        let pickled = "flavors:\n  lightgbm: {data: model.pkl, model_class: lightgbm.sklearn.LGBMClassifier}\n";
        assert!(said(pickled).await.unwrap_err().contains("model.booster_"));
        let other = "flavors:\n  sklearn: {pickled_model: model.pkl}\n  python_function: {}\n";
        assert!(said(other).await.unwrap_err().contains("python_function, sklearn"));
        let outside = "flavors:\n  lightgbm: {data: ../../model.lgb, model_class: lightgbm.basic.Booster}\n";
        assert!(said(outside).await.is_err());
        assert_eq!(said("flavors:\n  lightgbm: {data: model.lgb}\n").await.unwrap(), "tree");
        assert!(said("flavors: [").await.is_err());
    }
}
