//! `karat features`: values as known at an instant.

mod get;
mod list;
mod materialize;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::verify::Extent;
use karat_jobs::{Workspace, features_get, training_set};

use super::{Context, instant};
use crate::args::FeaturesCommand;
use crate::output::{count, thousands};

pub use materialize::table_of as materialized;

pub async fn run(context: &Context, command: FeaturesCommand) -> Result<ExitCode> {
    let as_of = match &command {
        FeaturesCommand::Get { as_of, .. } | FeaturesCommand::Verify { as_of, .. } => {
            instant("--as-of", as_of.as_deref())?
        }
        _ => None,
    };
    let known_at = match &command {
        FeaturesCommand::Get { known_at, .. } => instant("--known-at", known_at.as_deref())?,
        _ => None,
    };
    let workspace = context.workspace().await?;
    match command {
        FeaturesCommand::List => list::run(context, &workspace),
        FeaturesCommand::Get { view, key, .. } => {
            let features = features_get::run(&workspace, &view, &key, as_of, known_at).await?;
            context.output.print(&features, |features| get::human(features, &workspace))?;
            Ok(ExitCode::SUCCESS)
        }
        FeaturesCommand::Materialize { views } => materialize::run(context, &workspace, &views).await,
        FeaturesCommand::Verify { views, pairs, seed, .. } => {
            verify::run(context, &workspace, &views, Extent { as_of, pairs, seed }).await
        }
        FeaturesCommand::TrainingSet { model, output } => training_set(context, &workspace, &model, &output).await,
    }
}

async fn training_set(context: &Context, workspace: &Workspace, model: &str, output: &Path) -> Result<ExitCode> {
    let written = training_set::run(workspace, model, output).await?;
    context.output.print(&written, |written| {
        let refused = match written.refused {
            0 => String::new(),
            rows => format!("\nleft out {} rows that a check of their features refuses to decide on", thousands(rows)),
        };
        format!(
            "wrote {}: {} rows of {}, {}{refused}\ndigest {}",
            written.output,
            thousands(written.rows),
            count(written.entities as usize, "key", "keys"),
            count(written.columns.len(), "column", "columns"),
            written.digest.short()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
