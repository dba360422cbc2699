//! `karat runs`: recorded trainings.

mod show;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_jobs::reproduce::{self, Compared, Reproduced};
use karat_registry::{Run, RunFilter};

use super::{Context, exit};
use crate::args::RunsCommand;
use crate::output::{duration, failed, measure, millis, passed, table};

pub async fn run(context: &Context, command: RunsCommand) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    match command {
        RunsCommand::List { experiment, limit } => list(context, &workspace, experiment.as_deref(), limit).await,
        RunsCommand::Show { run } => {
            let run = workspace.registry.run(&run).await?;
            context.output.print(&run, |run| show::human(run, workspace.artifacts.directory()))?;
            Ok(ExitCode::SUCCESS)
        }
        RunsCommand::Reproduce { run, at } => {
            let reproduced = reproduce::run(&workspace, &run, at.as_deref()).await?;
            context.output.print(&reproduced, human)?;
            Ok(exit(reproduced.holds()))
        }
    }
}

async fn list(context: &Context, workspace: &Workspace, experiment: Option<&str>, limit: u32) -> Result<ExitCode> {
    let experiment_id = match experiment {
        Some(name) => Some(workspace.registry.experiment(name).await?.id),
        None => None,
    };
    let filter = RunFilter { experiment_id, limit: Some(limit), ..RunFilter::default() };
    let runs = workspace.registry.runs(&filter).await?;
    let experiments = workspace.registry.experiments().await?;
    let names: BTreeMap<i64, &str> = experiments.iter().map(|one| (one.id, one.name.as_str())).collect();
    context.output.print(&runs, |runs| listed(runs, &names))?;
    Ok(ExitCode::SUCCESS)
}

fn listed(runs: &[Run], experiments: &BTreeMap<i64, &str>) -> String {
    if runs.is_empty() {
        return "no runs yet: `karat train MODEL` records one".to_owned();
    }
    let rows = runs.iter().map(|run| {
        let measures = run.measures();
        let of = |name: &str| measures.get(name).copied().map(measure).unwrap_or_default();
        let took = run.end_time_ms.map(|end| duration((end - run.start_time_ms) as f64 / 1000.0));
        [
            run.run_id.to_string(),
            experiments.get(&run.experiment_id).copied().unwrap_or_default().to_owned(),
            run.status.to_string().to_lowercase(),
            millis(run.start_time_ms),
            took.unwrap_or_default(),
            of("auc"),
            of("ks"),
            run.params.get("model_digest").map(|digest| digest.chars().take(12).collect()).unwrap_or_default(),
            run.user.clone(),
        ]
    });
    table(["run", "experiment", "status", "started", "took", "AUC", "KS", "digest", "who"], &[4, 5, 6], rows)
}

fn human(reproduced: &Reproduced) -> String {
    let line = |what: &str, compared: &Compared| {
        let verdict = if compared.same { passed() } else { failed() };
        [
            what.to_owned(),
            verdict.to_owned(),
            compared.recorded.short().to_owned(),
            compared.reproduced.short().to_owned(),
        ]
    };
    let rows = [line("training set", &reproduced.training_set), line("model", &reproduced.model)];
    let commits: Vec<String> = reproduced.commits.iter().map(|(source, commit)| format!("{source}@{commit}")).collect();
    format!(
        "run {} trained again from {} in {}\n{}",
        reproduced.run_id,
        commits.join(", "),
        duration(reproduced.seconds),
        table(["digest of", "", "recorded", "reproduced"], &[], rows)
    )
}
