//! What pins a version: data, definitions, code, seed.

use anyhow::Result;
use karat_core::Instant;
use karat_project::spec;
use karat_registry::{ModelVersion, Run};
use karat_report::card::SourceRead;

use crate::Workspace;
use crate::artifact::Loaded;

/// Name and value in the order in which a reader asks.
pub fn lineage(
    version: &ModelVersion,
    loaded: &Loaded,
    run: Option<&Run>,
    spec: Option<&spec::Model>,
) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            facts.push((name.to_owned(), value));
        }
    };
    let seconds = |millis: i64| Instant::from_micros(millis.div_euclid(1000).saturating_mul(1_000_000)).to_string();
    add("model digest", loaded.model.digest().to_string());
    add("training set digest", loaded.lineage.training_set.to_string());
    if let Some(run) = run {
        add("run", run.run_id.to_string());
        add("trained", format!("{} by {}", seconds(run.start_time_ms), run.user));
    }
    let trees = loaded.model.trees().trees().len();
    add("estimator", format!("LightGBM, {trees} trees, scored by Karat with LightGBM's bits"));
    if let Some(spec) = spec {
        let spec::Estimator::Lightgbm(estimator) = &spec.estimator;
        add(
            "parameters",
            format!(
                "learning rate {}, {} leaves, at most {} rounds, early stopping after {} ({})",
                estimator.learning_rate,
                estimator.num_leaves,
                estimator.rounds,
                estimator.early_stopping,
                estimator.metric
            ),
        );
        add("seed", spec.seed.to_string());
        add("owner", spec.owner.clone().unwrap_or_default());
    }
    for (view, digest) in loaded.pinned.digests() {
        add(&format!("definition of {view}"), digest.to_string());
    }
    if let Some(last) = loaded.lineage.last_label_time.filter(|last| *last != karat_core::Instant::ALWAYS) {
        add("last label learned from", last.to_string());
    }
    let tag = |name: &str| run.and_then(|run| run.tags.get(name)).cloned().unwrap_or_default();
    add("release", tag("karat.release"));
    let changes = if tag("karat.git.uncommitted_changes") == "true" { ", with changes not committed" } else { "" };
    match tag("mlflow.source.git.commit") {
        none if none.is_empty() => {}
        commit => add("git commit of the project", format!("{commit}{changes}")),
    }
    add("Karat", format!("{}, {}", loaded.lineage.karat, tag("karat.os")));
    add("files", version.source.clone());
    facts
}

pub async fn sources(workspace: &Workspace, loaded: &Loaded) -> Result<Vec<SourceRead>> {
    let mut sources = Vec::new();
    for (source, commit) in &loaded.lineage.commits {
        let commits = workspace.history.commits(source).await?;
        let info = commits.iter().find(|info| info.number == *commit);
        sources.push(SourceRead {
            source: source.to_string(),
            commit: *commit,
            delivery: info.map(|info| info.delivery.to_string()).unwrap_or_default(),
            ingested: info.map(|info| info.at),
        });
    }
    Ok(sources)
}
