//! Training, gates, approval.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use karat_core::{Name, VERSION};
use karat_jobs::{Workspace, train};
use karat_registry::gates::all_passed;
use karat_registry::{CHAMPION, Decision, ModelVersion, Run, RunFilter, RunStatus};

use super::story::Story;
use crate::commands::train as training;
use crate::output::{count, duration, indent, measure, thousands};
use crate::prompt;

/// Who answers whether the version may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    Yes,
    Person,
}

pub async fn tell(workspace: &Workspace, model: &str, story: &mut Story) -> Result<ModelVersion> {
    story.step("Train: measured on rows it has not seen");
    let (version, measures) = match trained_already(workspace, model).await? {
        Some((version, run)) => {
            story.say(&format!("nothing changed since run {}: {} is what training gives", run.run_id, version.label()));
            (version, run.measures())
        }
        None => train(workspace, model, story).await?,
    };
    let of = |name: &str| measures.get(name).copied().with_context(|| format!("the run has no measure {name}"));
    story.say(&format!("{} test rows", thousands(of("rows")? as u64)));
    story.say(&format!("AUC {}", measure(of("auc")?)));
    story.say(&format!("KS {}", measure(of("ks")?)));
    if let Some(unseen) = measures.get("unseen.auc") {
        story.say(&format!("AUC on applicants whose like was never in training: {}", measure(*unseen)));
    }
    for (name, key) in [("test_rows", "rows"), ("auc", "auc"), ("ks", "ks")] {
        story.keep(name, of(key)?);
    }
    story.keep("version", version.label());
    story.keep("digest", &version.digest);
    story.end_step();
    Ok(version)
}

async fn train(workspace: &Workspace, model: &str, story: &mut Story) -> Result<(ModelVersion, BTreeMap<String, f64>)> {
    let trial = train::run(workspace, model, None).await?;
    story.say(&indent(&training::split(&trial.data)));
    story.say(&format!(
        "{} of {} rounds, on {}, in {}; recorded as run {}",
        trial.best_iteration,
        trial.rounds,
        count(trial.threads, "thread", "threads"),
        duration(trial.seconds),
        trial.run_id
    ));
    let version = workspace.registry.version(model, trial.version).await?;
    story.say(&format!("{}, digest {}", version.label(), trial.digest));
    Ok((version, trial.metrics))
}

/// The newest version with the run that gave it, when that run read this very release and these very commits.
async fn trained_already(workspace: &Workspace, name: &str) -> Result<Option<(ModelVersion, Run)>> {
    let models = workspace.registry.models().await?;
    let Some(model) = models.iter().find(|model| model.name == name && model.versions > 0) else { return Ok(None) };
    let version = workspace.registry.version(name, model.versions).await?;
    let release = workspace.registry.current_release().await?.map(|release| release.number.to_string());
    let filter = RunFilter { status: Some(RunStatus::Finished), limit: Some(20), ..RunFilter::default() };
    for run in workspace.registry.runs(&filter).await? {
        let digest = version.digest.as_ref().map(|digest| digest.as_str());
        let same_model = run.params.get("model_digest").map(String::as_str) == digest;
        let same_place = run.tags.get("karat.release") == release.as_ref()
            && run.tags.get("karat.version").is_some_and(|running| running == VERSION);
        if same_model && same_place && read_the_newest(workspace, &run).await? {
            return Ok(Some((version, run)));
        }
    }
    Ok(None)
}

async fn read_the_newest(workspace: &Workspace, run: &Run) -> Result<bool> {
    let commits: Vec<(&str, &String)> =
        run.params.iter().filter_map(|(name, commit)| Some((name.strip_prefix("commit.")?, commit))).collect();
    for (source, commit) in &commits {
        let newest = workspace.history.snapshot(&Name::new(source)?, None).await?;
        if newest.is_none_or(|newest| newest.commit.to_string() != **commit) {
            return Ok(false);
        }
    }
    Ok(!commits.is_empty())
}

/// Shows the gates and gets the version approved; `false` when a person said no.
pub async fn approve(workspace: &Workspace, version: &ModelVersion, asking: Asking, story: &mut Story) -> Result<bool> {
    story.step("Gates: what a version must reach");
    story.say(&indent(&training::gates(&version.gates)));
    story.end_step();
    let label = version.label();
    if !all_passed(&version.gates) {
        bail!(
            "{label} did not pass its gates, so it cannot be approved: look at the measures (`karat runs show`), the features and the gates"
        );
    }
    story.step("Approval: nothing decides that nobody permitted");
    if version.aliases.iter().any(|alias| alias == CHAMPION) {
        if let Some(approval) = version.approvals.last() {
            story.say(&format!("{label} is {CHAMPION} already, approved by {} on {}", approval.actor, approval.at));
        }
        story.end_step();
        return Ok(true);
    }
    let permitted = match asking {
        Asking::Yes => true,
        Asking::Person => prompt::confirm(&format!("Approve {label} as {CHAMPION}?"))?,
    };
    if !permitted {
        story.say(&format!(
            "{label} stays registered, and nothing serves. When you have made up your mind:\n\
             karat models approve {label} --as {CHAMPION} --why \"...\""
        ));
        return Ok(false);
    }
    let why = "the demo's gates are passed";
    let decision = Decision { model: &version.model, version: version.version, who: &workspace.actor, why };
    let champion = Name::new(CHAMPION)?;
    workspace.registry.approve(decision, Some(&champion), workspace.clock.now()).await?;
    story.say(&format!("{label} approved by {} as {CHAMPION}: \"{why}\"", workspace.actor));
    story.end_step();
    Ok(true)
}
