//! `karat sources`: contracts and history.

mod compact;
mod diff;
mod list;
mod profile;
mod report;
mod tags;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::compact::Extent;
use karat_jobs::ingest::{self, Checked, Each, Ingested, Insisting};
use karat_jobs::tags::{Snapshot, Taken};
use serde::Serialize;

use super::{Context, exit};
use crate::args::SourcesCommand;
use crate::failure;
use crate::output::{duration, failed, heading, indent, thousands};

pub use report::{left_out, rows};

pub async fn run(context: &Context, command: SourcesCommand) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    match command {
        SourcesCommand::List => list::run(context, &workspace).await,
        SourcesCommand::Check { names } => {
            let Each { done: checked, failed } = ingest::check(&workspace, &names).await?;
            print_done(context, &checked, &failed, |checked| {
                checked.iter().map(human_checked).collect::<Vec<_>>().join("\n\n")
            })?;
            ended(failed, || exit(checked.iter().all(|one| one.refused.is_none())))
        }
        SourcesCommand::Profile { name, output, model } => {
            profile::run(context, &workspace, &name, output.as_deref(), model.as_deref()).await
        }
        SourcesCommand::Snapshot { names, tag, commit, take, why } => {
            let taken = if take { Taken::Moved } else { Taken::Refused };
            let asked = Snapshot { names: &names, tag: &tag, commit, taken, why: &why };
            tags::snapshot(context, &workspace, &asked).await
        }
        SourcesCommand::Compact { names, dry_run, retain } => {
            let extent = if dry_run { Extent::Plan } else { Extent::Compact };
            compact::run(context, &workspace, &names, retain, extent).await
        }
        SourcesCommand::Tags { names } => tags::list(context, &workspace, &names).await,
        SourcesCommand::Diff { name, from, to, samples } => {
            diff::run(context, &workspace, &name, (&from, &to), samples).await
        }
        SourcesCommand::Ingest { names, rebuild, any_volume } => {
            let insisting = Insisting { rebuild, any_volume };
            let Each { done: ingested, failed } = ingest::run_each(&workspace, &names, insisting).await?;
            let root = workspace.project.root();
            print_done(context, &ingested, &failed, |ingested| {
                if ingested.is_empty() {
                    return "no source of this project keeps a history: there is nothing to ingest".to_owned();
                }
                ingested.iter().map(|one| human_ingested(one, root)).collect::<Vec<_>>().join("\n\n")
            })?;
            ended(failed, || ExitCode::SUCCESS)
        }
    }
}

/// Where all failed there is nothing to print but why.
fn print_done<T: Serialize>(
    context: &Context,
    done: &Vec<T>,
    failed: &[anyhow::Error],
    human: impl FnOnce(&Vec<T>) -> String,
) -> Result<()> {
    if done.is_empty() && !failed.is_empty() {
        return Ok(());
    }
    context.output.print(done, human)
}

/// What was done is told: the failures follow, and the last of them is the command's.
fn ended(mut failed: Vec<anyhow::Error>, code: impl FnOnce() -> ExitCode) -> Result<ExitCode> {
    let Some(last) = failed.pop() else { return Ok(code()) };
    for error in &failed {
        failure::report(error);
    }
    Err(last)
}

fn human_checked(checked: &Checked) -> String {
    let mut lines =
        vec![heading(&format!("{} ({})", checked.source, duration(checked.seconds))), indent(&rows(&checked.report))];
    lines.extend(report::rules(&checked.report).map(|rules| indent(&rules)));
    lines.extend(left_out(&checked.report).into_iter().map(|line| indent(&line)));
    if let Some(reason) = &checked.refused {
        lines.push(indent(&format!("{}: this delivery would be refused: {reason}", failed())));
    }
    lines.join("\n")
}

fn human_ingested(ingested: &Ingested, root: &Path) -> String {
    let counts = &ingested.counts;
    let mut changed: Vec<String> = [
        (counts.new, "new"),
        (counts.revised, "revised"),
        (counts.removed, "removed"),
        (counts.kept, "kept as they were, their rows being quarantined"),
        (counts.superseded, "superseded by later rows of the same delivery"),
        (counts.unchanged, "unchanged"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{} {what}", thousands(number)))
    .collect();
    if changed.is_empty() {
        changed.push("no rows".to_owned());
    }
    let commit = match ingested.commit {
        Some(commit) if ingested.new_commit => format!("commit {commit}"),
        Some(commit) => format!("nothing new; commit {commit} stays the newest"),
        None => "nothing to commit".to_owned(),
    };
    let mut lines = vec![
        heading(&format!("{} ({})", ingested.source, duration(ingested.seconds))),
        indent(&rows(&ingested.report)),
        indent(&format!("{commit}: {}", changed.join(", "))),
    ];
    lines.extend(ingested.anew.iter().map(|why| indent(&format!("the history was written anew: {why}"))));
    lines.extend(ingested.warnings.iter().map(|warning| indent(warning)));
    lines.extend(report::rules(&ingested.report).map(|rules| indent(&rules)));
    lines.extend(left_out(&ingested.report).into_iter().map(|line| indent(&line)));
    if let Some(quarantine) = &ingested.quarantine {
        lines.push(indent(&format!("quarantined rows: {}", relative(quarantine, root))));
    }
    lines.join("\n")
}

/// A path as one types it in the project folder.
pub fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
