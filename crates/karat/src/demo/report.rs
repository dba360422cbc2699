//! The story's end on one page: what one would put before a credit committee.

use anyhow::Result;
use karat_jobs::{Workspace, card, pages};

use super::story::Story;

pub async fn tell(workspace: &Workspace, model: &str, prediction: &str, story: &mut Story) -> Result<()> {
    story.step("Report: all of it on one page, to be read, printed and filed");
    let card = card::run(workspace, model, card::Shown::Prediction(prediction)).await?;
    let place = pages::place(workspace, "report");
    pages::write(&place, &card.html()?)?;
    story.say(&format!("{} and this decision: {}", card.label(), place.display()));
    story.keep("report", place.display().to_string());
    story.end_step();
    Ok(())
}
