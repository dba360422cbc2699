//! A training as a run: what it was given, what it measured, what it left.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use karat_core::{RunId, VERSION};
use karat_project::spec;
use karat_registry::{DatasetInput, Metric, OWN_FILES, RunDraft};
use karat_training::{Round, Trained};
use serde_json::json;

use super::champion::{COMPARISON_FILE, Comparison};
use crate::Workspace;
use crate::training_set::TrainingSet;

/// The model's file as a run was told it, among the run's files.
pub const SPEC_FILE: &str = "model.spec.json";

/// The label's definition, where later events define it, among the run's files.
pub const LABEL_FILE: &str = "label.json";

/// `more`: tags beside those of the environment.
pub async fn start(
    workspace: &Workspace,
    model: &spec::Model,
    release: u64,
    set: &TrainingSet,
    more: BTreeMap<String, String>,
) -> Result<RunId> {
    let run_id = RunId::new();
    let experiment = model.experiment.as_deref().unwrap_or(&model.name);
    let now = workspace.clock.now();
    let experiment = workspace.registry.get_or_create_experiment(experiment, now).await?;
    let mut tags = tags(workspace.project.root(), release);
    tags.extend(more);
    let draft = RunDraft {
        artifact_uri: format!("{OWN_FILES}/runs/{run_id}"),
        run_id: run_id.clone(),
        experiment_id: experiment.id,
        name: format!("{}-{}", model.name, &run_id.as_str()[..8]),
        user: workspace.actor.clone(),
        start: now,
        tags,
    };
    workspace.registry.start_run(&draft).await?;
    let mut inputs = vec![DatasetInput {
        name: format!("{}-training-set", model.name),
        digest: set.digest.to_string(),
        source_type: "karat".to_owned(),
        source: serde_json::to_string(&set.commits)?,
        schema: serde_json::to_string(&columns(set))?,
        profile: json!({"rows": set.data.features.num_rows(), "entities": set.entities}).to_string(),
        context: "training".to_owned(),
        tags: BTreeMap::new(),
    }];
    for (source, commit) in &set.commits {
        let commits = workspace.history.commits(source).await?;
        let delivery = commits.iter().find(|info| info.number == *commit).map(|info| info.delivery.to_string());
        inputs.push(DatasetInput {
            name: source.to_string(),
            digest: delivery.unwrap_or_default(),
            source_type: "karat-history".to_owned(),
            source: format!("{source}@{commit}"),
            schema: String::new(),
            profile: json!({"commit": commit}).to_string(),
            context: "source".to_owned(),
            tags: BTreeMap::new(),
        });
    }
    workspace.registry.log_inputs(&run_id, &inputs).await?;
    Ok(run_id)
}

/// What a training came to.
pub struct Learned<'a> {
    pub set: &'a TrainingSet,
    pub trained: &'a Trained,
    pub metrics: &'a BTreeMap<String, f64>,
    pub comparison: &'a Comparison,
}

pub async fn finish(
    workspace: &Workspace,
    model: &spec::Model,
    run: &RunId,
    learned: &Learned<'_>,
    assembled: Duration,
) -> Result<()> {
    let Learned { set, trained, metrics, comparison } = learned;
    workspace.registry.log_params(run, &params(model, set, trained)).await?;
    workspace.registry.log_metrics(run, &measured(workspace, trained, metrics, assembled)).await?;
    let mut files = trained.model.to_files();
    files.insert("evaluation.json".to_owned(), serde_json::to_vec_pretty(&trained.evaluation)?);
    files.insert("importance.json".to_owned(), serde_json::to_vec_pretty(&trained.importance)?);
    files.insert("explanation.json".to_owned(), serde_json::to_vec_pretty(&trained.explanation)?);
    if let Some(compared) = comparison.recorded() {
        files.insert(COMPARISON_FILE.to_owned(), serde_json::to_vec_pretty(compared)?);
    }
    files.insert("split.json".to_owned(), serde_json::to_vec_pretty(&trained.split)?);
    files.insert("features.json".to_owned(), set.pinned.to_file());
    files.insert(SPEC_FILE.to_owned(), serde_json::to_vec_pretty(model)?);
    if let Some(definition) = &set.label_definition {
        files.insert(LABEL_FILE.to_owned(), serde_json::to_vec_pretty(definition)?);
    }
    workspace.artifacts.put_all(&format!("runs/{run}"), &files).await?;
    Ok(())
}

fn params(model: &spec::Model, set: &TrainingSet, trained: &Trained) -> BTreeMap<String, String> {
    let mut params: BTreeMap<String, String> = trained.parameters.iter().cloned().collect();
    params.insert("seed".to_owned(), model.seed.to_string());
    params.insert("rounds".to_owned(), trained.rounds.to_string());
    params.insert("best_iteration".to_owned(), trained.best_iteration.to_string());
    params.insert("threads".to_owned(), trained.threads.to_string());
    params.insert("features".to_owned(), set.pinned.inputs.len().to_string());
    params.insert("model_digest".to_owned(), trained.model.digest().to_string());
    params.insert("training_set_digest".to_owned(), set.digest.to_string());
    params.extend(set.pinned.digests().iter().map(|(view, digest)| (format!("definition.{view}"), digest.to_string())));
    params.extend(set.label_definition.iter().map(|label| ("label_definition".to_owned(), label.digest().to_string())));
    params.extend(set.commits.iter().map(|(source, commit)| (format!("commit.{source}"), commit.to_string())));
    params
}

fn measured(
    workspace: &Workspace,
    trained: &Trained,
    metrics: &BTreeMap<String, f64>,
    assembled: Duration,
) -> Vec<Metric> {
    let timestamp_ms = workspace.clock.now().micros() / 1000;
    let metric = |key: String, value: f64, step: i64| Metric { key, value, timestamp_ms, step };
    let durations = &trained.durations;
    let seconds = [
        ("assemble", assembled),
        ("split", durations.split),
        ("encode", durations.encode),
        ("fit", durations.fit),
        ("evaluate", durations.evaluate),
    ];
    let curve_key = format!("validation.curve.{}", trained.metric);
    let curve = trained
        .curve
        .iter()
        .map(|Round { round, validation }| metric(curve_key.clone(), *validation, i64::from(*round)));
    let all = metrics.iter().map(|(key, value)| metric(key.clone(), *value, 0));
    let threshold = [metric("threshold".to_owned(), trained.model.threshold(), 0)];
    let seconds = seconds.into_iter().map(|(what, length)| metric(format!("seconds.{what}"), length.as_secs_f64(), 0));
    all.chain(threshold).chain(seconds).chain(curve).collect()
}

fn columns(set: &TrainingSet) -> BTreeMap<&str, String> {
    set.pinned.inputs.iter().map(|input| (input.name.as_str(), input.data_type.to_string())).collect()
}

/// The environment, under MLflow's own names where it has them.
fn tags(root: &Path, release: u64) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::from([
        ("karat.version".to_owned(), VERSION.to_owned()),
        ("karat.release".to_owned(), release.to_string()),
        ("karat.os".to_owned(), format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("mlflow.source.type".to_owned(), "PROJECT".to_owned()),
        ("mlflow.source.name".to_owned(), root.display().to_string()),
    ]);
    if let Some(commit) = git(root, &["rev-parse", "HEAD"]) {
        tags.insert("mlflow.source.git.commit".to_owned(), commit);
        let changed = git(root, &["status", "--porcelain", "."]).is_some_and(|changes| !changes.is_empty());
        tags.insert("karat.git.uncommitted_changes".to_owned(), changed.to_string());
    }
    tags
}

/// `None` outside a repository, or without git.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
