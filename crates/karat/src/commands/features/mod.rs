//! `karat features`: values as known at an instant.

mod get;
mod list;
mod lookup;
mod materialize;
mod push;
mod show;
mod states;
mod training_set;
mod verify;
mod why;

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::features_get;
use karat_jobs::features_why::{self, Question};
use karat_jobs::verify::Extent;

use super::{Context, instant};
use crate::args::FeaturesCommand;
use crate::output::quoted;

pub use materialize::table_of as materialized;

pub async fn run(context: &Context, command: FeaturesCommand) -> Result<ExitCode> {
    let as_of = match &command {
        FeaturesCommand::Get { as_of, .. }
        | FeaturesCommand::Why { as_of, .. }
        | FeaturesCommand::Verify { as_of, .. } => instant("--as-of", as_of.as_deref())?,
        _ => None,
    };
    let known_at = match &command {
        FeaturesCommand::Get { known_at, .. } | FeaturesCommand::Why { known_at, .. } => {
            instant("--known-at", known_at.as_deref())?
        }
        _ => None,
    };
    let workspace = context.workspace().await?;
    match command {
        FeaturesCommand::List => list::run(context, &workspace).await,
        FeaturesCommand::Show { view, feature } => show::run(context, &workspace, &view, feature.as_deref()).await,
        FeaturesCommand::Get { view, key, .. } => {
            let features = features_get::run(&workspace, &view, &key, as_of, known_at).await?;
            context.output.print(&features, |features| get::human(features, &workspace))?;
            Ok(ExitCode::SUCCESS)
        }
        FeaturesCommand::Lookup { source, keys, of } => {
            lookup::run(context, &workspace, &source, keys.as_deref(), of.as_deref()).await
        }
        FeaturesCommand::Push { source, file } => push::run(context, &workspace, &source, &file).await,
        FeaturesCommand::Why { view, key, feature, limit, .. } => {
            let question = Question { view: &view, key: &key, feature: &feature, as_of, known_at, limit };
            let why = features_why::run(&workspace, question).await?;
            context.output.print(&why, why::human)?;
            Ok(ExitCode::SUCCESS)
        }
        FeaturesCommand::Materialize { views } => materialize::run(context, &workspace, &views).await,
        FeaturesCommand::States { drop_unused } => states::run(context, &workspace, drop_unused).await,
        FeaturesCommand::Verify { views, pairs, seed, .. } => {
            verify::run(context, &workspace, &views, Extent { as_of, pairs, seed }).await
        }
        FeaturesCommand::TrainingSet { model, output, at } => {
            training_set::run(context, &workspace, &model, &output, at.as_deref()).await
        }
    }
}

/// What computes a feature, in one line.
fn how(definition: &serde_json::Value) -> String {
    let fields = definition.as_object().into_iter().flatten();
    fields.map(|(name, value)| format!("{name}: {}", quoted(value))).collect::<Vec<_>>().join(", ")
}
