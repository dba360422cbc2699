//! A training from spine to registered version, recorded as a run.

pub(crate) mod champion;
pub(crate) mod metrics;
pub(crate) mod record;

use std::collections::BTreeMap;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::Result;
use karat_core::{Digest, Name, RunId, VERSION};
use karat_project::spec;
use karat_registry::gates::{Gate, GateResult, Required, evaluate};
use karat_registry::{NewVersion, Registered, RunStatus, Source};
use karat_training::split::SplitReport;
use karat_training::{Evaluation, FitOptions, Progress, Trained, threads_from_environment, train};
use serde::Serialize;

use crate::artifact::Lineage;
use crate::training_set::{Commits, TrainingSet, assemble_at};
use crate::{Unit, Workspace, tags};

/// What `karat train` answers with.
#[derive(Debug, Serialize)]
pub struct Trial {
    pub run_id: RunId,
    pub model: Name,
    pub version: u64,
    /// Whether this training gave a version that was not there before.
    pub new_version: bool,
    pub digest: Digest,
    /// Measures of the test part under their own names; those of other parts after `train.`, `validation.`, `unseen.`.
    pub metrics: BTreeMap<String, f64>,
    pub gates: Vec<GateResult>,
    pub data: DataSummary,
    pub threshold: f64,
    pub rounds: u32,
    pub best_iteration: u32,
    pub threads: usize,
    pub warnings: Vec<String>,
    pub seconds: f64,
    #[serde(skip)]
    pub evaluation: Evaluation,
}

/// What was learned from.
#[derive(Debug, Clone, Serialize)]
pub struct DataSummary {
    pub rows: u64,
    pub entities: u64,
    pub digest: Digest,
    pub commits: Commits,
    pub split: SplitReport,
}

/// Applies and ingests what is new, then trains; at a tag of the sources' commits it ingests nothing.
pub async fn run(workspace: &Workspace, model: &str, tag: Option<&str>) -> Result<Trial> {
    let (release, at) = tags::prepare(workspace, model, tag).await?;
    let model = workspace.model(model)?;
    let begun = Stopwatch::now();
    let set = assemble_at(workspace, model, at.as_ref()).await?;
    let assembled = begun.elapsed();
    let tags = tag.map(|tag| ("karat.at".to_owned(), tag.to_owned()));
    let run = record::start(workspace, model, release.number, &set, tags.into_iter().collect()).await?;
    let learning = Learning { workspace, model, run, set, begun, assembled };
    learning.finish(|learning| fit(workspace, model, &learning.set)).await
}

/// A run that has its rows and no trees yet.
pub(crate) struct Learning<'a> {
    pub workspace: &'a Workspace,
    pub model: &'a spec::Model,
    pub run: RunId,
    pub set: TrainingSet,
    pub begun: Stopwatch,
    /// How long its rows took.
    pub assembled: Duration,
}

impl Learning<'_> {
    /// Measures what `learn` gives, and makes it a version behind the model's gates. The run ends finished or failed.
    pub(crate) async fn finish(self, learn: impl FnOnce(&Self) -> Result<Trained>) -> Result<Trial> {
        let Learning { workspace, model, ref run, ref set, begun, assembled } = self;
        let finished = async {
            let trained = learn(&self)?;
            let metrics = metrics::of(&trained);
            let comparison = champion::compare(workspace, model, set, &trained).await?;
            let gates = gates(model, &comparison, &metrics)?;
            let learned = record::Learned { set, trained: &trained, metrics: &metrics, comparison: &comparison };
            record::finish(workspace, model, run, &learned, assembled).await?;
            let (version, registered) = register(workspace, model, run, set, &trained, &gates).await?;
            anyhow::Ok((trained, metrics, gates, version, registered))
        }
        .await;
        let (trained, metrics, gates, version, registered) = match finished {
            Ok(finished) => finished,
            Err(error) => {
                workspace.registry.finish_run(run, RunStatus::Failed, workspace.clock.now()).await?;
                return Err(error);
            }
        };
        workspace.registry.finish_run(run, RunStatus::Finished, workspace.clock.now()).await?;
        let set = self.set;
        Ok(Trial {
            run_id: self.run,
            model: model.name.clone(),
            version,
            new_version: registered == Registered::New,
            digest: trained.model.digest().clone(),
            metrics,
            gates,
            data: DataSummary {
                rows: set.data.features.num_rows() as u64,
                entities: set.entities,
                digest: set.digest,
                commits: set.commits,
                split: trained.split.clone(),
            },
            threshold: trained.model.threshold(),
            rounds: trained.rounds,
            best_iteration: trained.best_iteration,
            threads: trained.threads,
            warnings: set.warnings.into_iter().chain(trained.warnings).collect(),
            seconds: begun.elapsed().as_secs_f64(),
            evaluation: trained.evaluation,
        })
    }
}

/// Fits on this thread: LightGBM brings its own.
pub(crate) fn fit(workspace: &Workspace, model: &spec::Model, set: &TrainingSet) -> Result<Trained> {
    let stage = workspace.observer.begin(&format!("training {}", model.name), 0, Unit::Rounds);
    let progress = |progress: Progress<'_>| {
        if let Progress::Round { of, .. } = progress {
            stage.expect(u64::from(of));
            stage.advance(1);
        }
    };
    let options = FitOptions { threads: threads_from_environment(), progress: &progress };
    Ok(tokio::task::block_in_place(|| train(&set.data, model, &options))?)
}

/// Gates on numbers are measured on the test part, gates on the champion on those of its rows that neither has learned from.
fn gates(
    model: &spec::Model,
    comparison: &champion::Comparison,
    metrics: &BTreeMap<String, f64>,
) -> Result<Vec<GateResult>> {
    let mut results = Vec::with_capacity(model.gates.len());
    for text in &model.gates {
        let gate = [Gate::parse(text)?];
        let measured = match (&gate[0].required, comparison) {
            (Required::OfChampion { .. }, champion::Comparison::On { challenger, .. }) => challenger,
            _ => metrics,
        };
        results.extend(evaluate(&gate, measured, comparison.champion()));
    }
    Ok(results)
}

/// The version's files are in place before it is ready to be approved.
async fn register(
    workspace: &Workspace,
    model: &spec::Model,
    run: &RunId,
    set: &TrainingSet,
    trained: &Trained,
    gates: &[GateResult],
) -> Result<(u64, Registered)> {
    let now = workspace.clock.now();
    let new = NewVersion {
        model: model.name.clone(),
        description: model.description.clone().unwrap_or_default(),
        approval: match model.approval {
            spec::Approval::Required => karat_registry::ApprovalRule::Required,
            spec::Approval::FourEyes => karat_registry::ApprovalRule::FourEyes,
            spec::Approval::None => karat_registry::ApprovalRule::NotRequired,
        },
        run_id: run.clone(),
        digest: trained.model.digest().clone(),
        source: Source::Under(format!("models/{}", model.name)),
        definitions: crate::artifact::definitions(workspace, &model.name, &trained.model, &set.pinned).await?,
        gates: gates.to_vec(),
    };
    let (version, registered) = workspace.registry.register_version(&new, &workspace.actor, now).await?;
    let lineage = Lineage {
        model: model.name.clone(),
        version: version.version,
        run_id: run.clone(),
        karat: VERSION.to_owned(),
        training_set: set.digest.clone(),
        commits: set.commits.clone(),
        last_label_time: champion::last_label_time(&trained.split),
    };
    let files = crate::artifact::files(&trained.model, &set.pinned, &lineage);
    // An existing version without files is a training killed between registering and storing: this one finishes its job.
    let stored = format!("{}/{}", version.source, karat_model::MODEL_FILE);
    if registered == Registered::New || !workspace.artifacts.exists(&stored).await? {
        workspace.artifacts.put_all(&version.source, &files).await?;
    }
    workspace.registry.mark_ready(&model.name, version.version, workspace.clock.now()).await?;
    Ok((version.version, registered))
}
