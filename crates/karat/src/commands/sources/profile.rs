use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::profile::{self, LabelOf, Profiled};
use karat_jobs::{Workspace, pages};

use super::{relative, report};
use crate::commands::Context;
use crate::output::{count, duration, heading, indent, percent, thousands};

pub async fn run(
    context: &Context,
    workspace: &Workspace,
    name: &str,
    output: Option<&Path>,
    model: Option<&str>,
) -> Result<ExitCode> {
    let profiled = profile::run(workspace, name, model.map_or(LabelOf::First, LabelOf::Model)).await?;
    let place = output.map_or_else(|| pages::place(workspace, &format!("source-{name}")), Path::to_owned);
    if output.is_some() || !context.output.is_for_programs() {
        pages::write(&place, &profile::html(workspace, &profiled)?)?;
    }
    context.output.print(&profiled, |profiled| {
        format!("{}\npage: {}", human(profiled), relative(&place, workspace.project.root()))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn human(profiled: &Profiled) -> String {
    let profile = &profiled.profile;
    let mut lines = vec![
        heading(&format!("{} ({})", profile.source, duration(profiled.seconds))),
        indent(&report::rows(&profiled.report)),
    ];
    let keys = profile.repeated_keys.as_ref();
    let keys = keys.map(|keys| format!(", {}", count(keys.rows as usize, "repeated key", "repeated keys")));
    lines.push(indent(&format!(
        "{}; {} as read{}",
        count(profile.columns.len(), "column", "columns"),
        count(profile.repeated_rows as usize, "repeated row", "repeated rows"),
        keys.unwrap_or_default()
    )));
    lines.extend(report::rules(&profiled.report).map(|rules| indent(&rules)));
    if let Some(label) = &profile.label {
        lines.push(indent(&format!(
            "{} of model {}: {} of {} training rows ({})",
            label.column,
            label.model,
            thousands(label.positives),
            thousands(label.rows),
            percent(label.positives as f64 / (label.rows as f64).max(1.0))
        )));
        let telling = profile.columns.iter().filter(|column| column.label.as_ref().is_some_and(|l| l.gives_away));
        let telling: Vec<&str> = telling.map(|column| column.name.as_str()).collect();
        if !telling.is_empty() {
            lines.push(indent(&format!("told almost alone by: {}", telling.join(", "))));
        }
    }
    lines.join("\n")
}
