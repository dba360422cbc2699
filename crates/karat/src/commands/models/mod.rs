//! `karat models`: versions, who permitted them, and which one answers.

mod approve;
mod card;
mod moves;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use karat_core::Name;
use karat_jobs::{Usage, Workspace, register};
use karat_registry::{ModelSearch, ModelVersion, Reference, RegisteredModel};

use super::{Context, train};
use crate::args::ModelsCommand;
use crate::output::{Sheet, table};

pub async fn run(context: &Context, command: ModelsCommand) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    match command {
        ModelsCommand::List { filter, order_by, limit } => {
            let asked = ModelSearch { filter, order_by, most: limit, page_token: None };
            let found = workspace.registry.search_models(&asked).await?.items;
            let models: Vec<RegisteredModel> = found.into_iter().map(|(model, _)| model).collect();
            context.output.print_list(&models, |models| listed(models), |models| sheet(models))?;
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Register { run, model, path } => {
            let trial = register::run(&workspace, &run, model.as_deref(), path.as_deref()).await?;
            train::print(context, &workspace, &trial).await
        }
        ModelsCommand::Show { model } => show::run(context, &workspace, &model).await,
        ModelsCommand::Card { model, output, prediction } => {
            card::run(context, &workspace, &model, output.as_deref(), prediction.as_deref()).await
        }
        ModelsCommand::Approve { model, alias, why } => {
            approve::run(context, &workspace, &model, alias.as_deref(), why.as_deref()).await
        }
        ModelsCommand::Reject { model, why } => approve::reject(context, &workspace, &model, &why).await,
        ModelsCommand::Alias { model, alias, delete: true, why } => {
            moves::delete(context, &workspace, &model, &alias, &why).await
        }
        ModelsCommand::Alias { model, alias, delete: false, why } => {
            moves::alias(context, &workspace, &model, &alias, &why).await
        }
        ModelsCommand::Rollback { model, alias, why } => {
            moves::rollback(context, &workspace, &model, &alias, &why).await
        }
    }
}

/// The version a command is about; a model's name alone means its newest version.
async fn version(workspace: &Workspace, text: &str) -> Result<ModelVersion> {
    match text.parse::<Reference>()? {
        Reference::Model { model } => {
            match workspace.registry.versions(&model).await?.into_iter().next() {
                Some(newest) => Ok(newest),
                // A model without versions is told what to do by the registry.
                None => Ok(workspace.registry.version(&model, 0).await?),
            }
        }
        Reference::Version { .. } | Reference::Alias { .. } => Ok(workspace.registry.resolve(text).await?),
    }
}

fn sheet(models: &[RegisteredModel]) -> Sheet {
    let header = ["name", "approval", "versions", "aliases", "description", "creation_time_ms", "last_update_time_ms"];
    let rows = models.iter().map(|model| {
        vec![
            model.name.clone(),
            model.approval.to_string(),
            model.versions.to_string(),
            aliases(model),
            model.description.clone(),
            model.creation_time_ms.to_string(),
            model.last_update_time_ms.to_string(),
        ]
    });
    Sheet { header: header.map(str::to_owned).to_vec(), rows: rows.collect() }
}

fn alias_name(text: &str) -> Result<Name> {
    Name::new(text).map_err(|error| Usage(format!("alias {error}")).into())
}

/// The aliases on a line: `champion → 2`.
fn aliases(model: &RegisteredModel) -> String {
    let held: Vec<String> = model.aliases.iter().map(|(alias, version)| format!("{alias} = {version}")).collect();
    held.join(", ")
}

fn listed(models: &[RegisteredModel]) -> String {
    if models.is_empty() {
        return "no registered models yet: `karat train MODEL` registers one".to_owned();
    }
    let rows = models.iter().map(|model| {
        [
            model.name.clone(),
            model.versions.to_string(),
            aliases(model),
            model.approval.to_string(),
            model.description.clone(),
        ]
    });
    table(["model", "newest", "aliases", "approval", ""], &[1], rows)
}
