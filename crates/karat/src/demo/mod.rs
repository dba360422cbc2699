//! `karat demo`: from files to a served decision, step by step, of the project at hand or of the shipped example; every
//! figure is computed as it is told.

mod data;
mod decision;
mod http;
mod model;
mod own;
mod place;
mod report;
mod story;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;

use crate::args::DemoArgs;
use crate::commands::Context;
use crate::{output, prompt};

use story::Story;

pub async fn run(context: &Context, args: &DemoArgs) -> Result<ExitCode> {
    let mut story = Story::begin(context.output);
    story.step("Project");
    let found = place::find(context, args, &mut story)?;
    let workspace = Arc::new(context.within(&found.root).workspace().await?);
    story.end_step();

    data::tell(&workspace, &found, &mut story).await?;
    let version = model::tell(&workspace, &found.model, &mut story).await?;
    let answer = if args.yes || !prompt::is_attended() || context.output.is_for_programs() {
        model::Asking::Yes
    } else {
        model::Asking::Person
    };
    if !model::approve(&workspace, &version, answer, &mut story).await? {
        return Ok(ExitCode::SUCCESS);
    }
    let ending = if args.once || !prompt::is_attended() { decision::Ending::Once } else { decision::Ending::ServeOn };
    let holds = decision::tell(&workspace, &found, args.port, ending, &mut story).await?;
    if context.output.is_for_programs() {
        output::line(&serde_json::to_string_pretty(&story.figures())?);
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
