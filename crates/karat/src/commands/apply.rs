//! `karat apply`: the folder recorded as a numbered release.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::apply::{self, Applied};

use super::Context;
use crate::output::count;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Show what would change.
    Plan,
    Record,
}

pub async fn run(context: &Context, extent: Extent) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    let applied = match extent {
        Extent::Plan => apply::plan(&workspace).await?,
        Extent::Record => apply::run(&workspace).await?,
    };
    context.output.print(&applied, |applied| human(applied, extent))?;
    Ok(ExitCode::SUCCESS)
}

fn human(applied: &Applied, extent: Extent) -> String {
    let digest = applied.digest.short();
    let changes = count(applied.changes.len(), "change", "changes");
    let number = applied.release.map(|number| number.to_string()).unwrap_or_default();
    let mut text = match (applied.new, extent) {
        (false, _) => return format!("nothing to do: release {number} ({digest}) holds this folder"),
        (true, Extent::Record) => format!("release {number} ({digest}): {changes}"),
        (true, Extent::Plan) => format!("would record a new release ({digest}): {changes}"),
    };
    for change in &applied.changes {
        text.push_str(&format!("\n  {change}"));
    }
    match extent {
        Extent::Plan => text.push_str("\nnothing was recorded; `karat apply` records it"),
        Extent::Record => text.push_str("\nservers take it up by themselves"),
    }
    text
}
