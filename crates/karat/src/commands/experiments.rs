//! `karat experiments`: what runs belong to.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_registry::{Experiment, ExperimentSearch, Lifecycle, RegistryError, Run, RunSearch, View};
use serde::Serialize;
use serde_json::json;

use super::Context;
use crate::args::{ExperimentsCommand, SearchArgs};
use crate::output::{Sheet, heading, indent, millis, table};

/// Runs beside an experiment.
const NEWEST: u32 = 10;

#[derive(Debug, Serialize)]
struct Shown {
    experiment: Experiment,
    /// The newest first.
    runs: Vec<Run>,
}

pub async fn run(context: &Context, command: ExperimentsCommand) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    match command {
        ExperimentsCommand::List { search } => list(context, &workspace, &search).await?,
        ExperimentsCommand::Show { experiment } => show(context, &workspace, &experiment).await?,
        ExperimentsCommand::Rename { experiment, name } => {
            let id = named(&workspace, &experiment).await?.id;
            workspace.registry.rename_experiment(id, &name, workspace.clock.now()).await?;
            context.output.print(&json!({"id": id, "name": name}), |_| format!("experiment {id} is `{name}` now"))?;
        }
        ExperimentsCommand::Delete { experiment } => {
            move_to(context, &workspace, &experiment, Lifecycle::Deleted).await?;
        }
        ExperimentsCommand::Restore { experiment } => {
            move_to(context, &workspace, &experiment, Lifecycle::Active).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The experiment of a name, else of an id.
pub async fn named(workspace: &Workspace, text: &str) -> Result<Experiment, RegistryError> {
    match workspace.registry.experiment(text).await {
        Err(error @ RegistryError::NotFound(_)) => match text.parse() {
            Ok(id) => workspace.registry.experiment_by_id(id).await,
            Err(_) => Err(error),
        },
        found => found,
    }
}

pub fn view(search: &SearchArgs) -> View {
    match (search.all, search.deleted) {
        (true, _) => View::All,
        (_, true) => View::Deleted,
        _ => View::Active,
    }
}

async fn list(context: &Context, workspace: &Workspace, search: &SearchArgs) -> Result<()> {
    let asked = ExperimentSearch {
        filter: search.filter.clone(),
        order_by: search.order_by.clone(),
        view: view(search),
        most: search.limit,
        page_token: None,
    };
    let found = workspace.registry.search_experiments(&asked).await?.items;
    context.output.print_list(&found, |found| human(found), |found| sheet(found))
}

fn human(found: &[Experiment]) -> String {
    if found.is_empty() {
        return "no experiments: `karat train MODEL` makes one, and so do MLflow's clients".to_owned();
    }
    let rows = found.iter().map(|one| {
        let tags: Vec<String> = one.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        [one.id.to_string(), one.name.clone(), stage(one), millis(one.creation_time_ms), tags.join(" ")]
    });
    table(["id", "experiment", "", "made", "tags"], &[0], rows)
}

fn stage(experiment: &Experiment) -> String {
    match experiment.lifecycle_stage {
        Lifecycle::Active => String::new(),
        Lifecycle::Deleted => "deleted".to_owned(),
    }
}

fn sheet(found: &[Experiment]) -> Sheet {
    let header = ["id", "name", "lifecycle_stage", "creation_time_ms", "last_update_time_ms", "artifact_location"];
    let rows = found.iter().map(|one| {
        vec![
            one.id.to_string(),
            one.name.clone(),
            one.lifecycle_stage.to_string(),
            one.creation_time_ms.to_string(),
            one.last_update_time_ms.to_string(),
            one.artifact_location.clone(),
        ]
    });
    Sheet { header: header.map(str::to_owned).to_vec(), rows: rows.collect() }
}

async fn show(context: &Context, workspace: &Workspace, text: &str) -> Result<()> {
    let experiment = named(workspace, text).await?;
    let asked = RunSearch { experiment_ids: vec![experiment.id], most: NEWEST, ..RunSearch::default() };
    let runs = workspace.registry.search_runs(&asked).await?.items;
    context.output.print(&Shown { experiment, runs }, |shown| {
        let Shown { experiment, runs } = shown;
        let mut lines =
            vec![heading(&format!("experiment {}: {} {}", experiment.id, experiment.name, stage(experiment)))];
        let facts = [("made", millis(experiment.creation_time_ms)), ("files", experiment.artifact_location.clone())];
        let facts = facts.map(|(name, value)| [name.to_owned(), value]);
        let tags = experiment.tags.iter().map(|(key, value)| [key.clone(), value.clone()]);
        lines.push(indent(&table(["", ""], &[], facts.into_iter().chain(tags))));
        let rows = runs.iter().map(|run| {
            [run.run_id.to_string(), run.name.clone(), run.status.to_string().to_lowercase(), millis(run.start_time_ms)]
        });
        lines.push(indent(&table(["run", "name", "status", "started"], &[], rows)));
        lines.join("\n")
    })
}

async fn move_to(context: &Context, workspace: &Workspace, text: &str, to: Lifecycle) -> Result<()> {
    let experiment = named(workspace, text).await?;
    workspace.registry.move_experiment(experiment.id, to, &workspace.actor, workspace.clock.now()).await?;
    let done = if to == Lifecycle::Deleted { "deleted" } else { "restored" };
    let document = json!({done: {"id": experiment.id, "name": experiment.name}});
    context.output.print(&document, |_| format!("experiment {} ({}) is {done}", experiment.id, experiment.name))
}
