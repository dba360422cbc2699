//! `karat models`: versions, who permitted them, and which one answers.

mod approve;
mod card;
mod moves;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use karat_core::Name;
use karat_jobs::{Usage, Workspace};
use karat_registry::{ModelVersion, Reference, RegisteredModel};

use super::Context;
use crate::args::ModelsCommand;
use crate::output::table;

pub async fn run(context: &Context, command: ModelsCommand) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    match command {
        ModelsCommand::List => {
            let models = workspace.registry.models().await?;
            context.output.print(&models, |models| listed(models))?;
            Ok(ExitCode::SUCCESS)
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
            let held = workspace.registry.model(&model).await?;
            // A model without versions is told what to do by the registry.
            Ok(workspace.registry.version(&model, held.versions).await?)
        }
        Reference::Version { .. } | Reference::Alias { .. } => Ok(workspace.registry.resolve(text).await?),
    }
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
