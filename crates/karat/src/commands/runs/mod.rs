//! `karat runs`: recorded trainings, and what clients logged.

mod compare;
mod lifecycle;
mod list;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::reproduce::{self, Compared, Reproduced};
use karat_registry::Lifecycle;

use super::{Context, exit};
use crate::args::RunsCommand;
use crate::output::{duration, failed, passed, table};

pub async fn run(context: &Context, command: RunsCommand) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    match command {
        RunsCommand::List { experiment, search } => {
            list::run(context, &workspace, experiment.as_deref(), &search).await
        }
        RunsCommand::Compare { runs } => compare::run(context, &workspace, &runs).await,
        RunsCommand::Delete { runs } => lifecycle::move_runs(context, &workspace, &runs, Lifecycle::Deleted).await,
        RunsCommand::Restore { runs } => lifecycle::move_runs(context, &workspace, &runs, Lifecycle::Active).await,
        RunsCommand::Gc { older_than, yes } => lifecycle::gc(context, &workspace, older_than, yes).await,
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
