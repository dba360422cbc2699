//! Deleting, restoring, and removing for good.

use std::process::ExitCode;

use anyhow::Result;
use karat_core::Window;
use karat_jobs::{Workspace, gc};
use karat_registry::Lifecycle;
use serde_json::json;

use crate::commands::Context;
use crate::output::{count, thousands};

pub async fn move_runs(context: &Context, workspace: &Workspace, ids: &[String], to: Lifecycle) -> Result<ExitCode> {
    // All are looked up first: a typing mistake moves none.
    let mut runs = Vec::with_capacity(ids.len());
    for id in ids {
        runs.push(workspace.registry.run(id).await?.run_id.to_string());
    }
    for run in &runs {
        workspace.registry.move_run(run, to, &workspace.actor, workspace.clock.now()).await?;
    }
    let done = if to == Lifecycle::Deleted { "deleted" } else { "restored" };
    context.output.print(&json!({done: runs}), |_| format!("{done} {}", count(runs.len(), "run", "runs")))?;
    Ok(ExitCode::SUCCESS)
}

pub async fn gc(context: &Context, workspace: &Workspace, older_than: Option<Window>, yes: bool) -> Result<ExitCode> {
    let collected = gc::run(workspace, older_than, if yes { gc::Extent::Remove } else { gc::Extent::Plan }).await?;
    context.output.print(&collected, |collected| human(collected, yes))?;
    Ok(ExitCode::SUCCESS)
}

fn human(collected: &gc::Collected, done: bool) -> String {
    let purged = &collected.purged;
    let mut lines = Vec::new();
    match (purged.is_empty(), done) {
        (true, _) => lines.push("nothing that was deleted is left to remove".to_owned()),
        (false, true) => lines.push("removed for good:".to_owned()),
        (false, false) => lines.push("would be removed for good (`--yes` does it):".to_owned()),
    }
    for (one, several, of) in [
        ("run", "runs", &purged.runs),
        ("logged model", "logged models", &purged.logged_models),
        ("experiment", "experiments", &purged.experiments),
    ] {
        if !of.is_empty() {
            lines.push(format!("  {}", count(of.len(), one, several)));
        }
    }
    if collected.files > 0 {
        lines.push(format!("  {} of {} bytes", count(collected.files, "file", "files"), thousands(collected.bytes)));
    }
    for kept in &purged.kept {
        lines.push(format!("run {} stays: {} comes from it", kept.run_id, kept.version));
    }
    for uri in &collected.elsewhere {
        lines.push(format!("files at {uri} are not ours to remove"));
    }
    lines.join("\n")
}
