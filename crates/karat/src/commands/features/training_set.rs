use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_jobs::training_set::{self, Manifest, Written};

use crate::commands::Context;
use crate::output::{count, table, thousands};

pub async fn run(
    context: &Context,
    workspace: &Workspace,
    model: &str,
    output: &Path,
    tag: Option<&str>,
) -> Result<ExitCode> {
    let written = training_set::run(workspace, model, output, tag).await?;
    context.output.print(&written, human)?;
    Ok(ExitCode::SUCCESS)
}

fn human(written: &Written) -> String {
    let mut lines = vec![format!(
        "wrote {}: {} rows of {}, {}",
        written.output,
        thousands(written.rows),
        count(written.entities as usize, "key", "keys"),
        count(written.columns.len(), "column", "columns")
    )];
    lines.extend(written.manifest.as_ref().map(parts));
    let left_out = match &written.manifest {
        None => vec![
            (written.refused, "that a check of their features refuses to decide on"),
            (written.open, "that are open: what defines their label may still come"),
            (written.not_kept, "beside those that the spine keeps of their key"),
        ],
        Some(Manifest { left_out, .. }) => vec![
            (left_out.unlabelled, "without a label"),
            (left_out.open, "that are open: what defines their label may still come"),
            (left_out.not_kept, "beside those that the spine keeps of their key"),
            (left_out.purged, "whose label was known only after the next part began"),
            (left_out.refused, "that a check of their features refuses to decide on"),
        ],
    };
    let left_out = left_out.into_iter().filter(|(rows, _)| *rows > 0);
    lines.extend(left_out.map(|(rows, which)| format!("left out {} rows {which}", thousands(rows))));
    lines.extend(written.warnings.iter().map(|warning| format!("warning: {warning}")));
    let runs = written.manifest.iter().flat_map(|manifest| &manifest.runs);
    let runs: Vec<String> = runs.map(|run| run.as_str()[..8].to_owned()).collect();
    let learned = if runs.is_empty() { String::new() } else { format!(", learned from by {}", runs.join(", ")) };
    lines.push(format!("digest {}{learned}", written.digest.short()));
    lines.join("\n")
}

fn parts(manifest: &Manifest) -> String {
    let rows = manifest
        .parts
        .iter()
        .map(|(part, file)| [part.to_string(), thousands(file.rows), thousands(file.positives), file.path.clone()]);
    table(["part", "rows", "positives", "file"], &[1, 2], rows)
}
