use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use karat_jobs::Workspace;
use karat_jobs::push::{Once, push_file};

use crate::commands::Context;
use crate::output::{count, thousands};

pub async fn run(context: &Context, workspace: &Workspace, source: &str, file: &Path) -> Result<ExitCode> {
    let mut lines = lines_of(file)?;
    let once = push_file(workspace, source, lines.as_mut()).await?;
    context.output.print(&once, human)?;
    Ok(ExitCode::SUCCESS)
}

/// The lines of a file; `-` means the standard input.
pub(super) fn lines_of(file: &Path) -> Result<Box<dyn BufRead + Send>> {
    Ok(match file.to_str() {
        Some("-") => Box::new(BufReader::new(io::stdin())),
        _ => Box::new(BufReader::new(File::open(file).with_context(|| format!("{} cannot be read", file.display()))?)),
    })
}

fn human(once: &Once) -> String {
    let rows = |number: u64, word: &str| format!("{} {word}", thousands(number));
    let mut text = format!(
        "pushed to {}: {}, {}, {}; commit {}",
        once.source,
        rows(once.accepted, "accepted"),
        count(once.duplicates as usize, "duplicate", "duplicates"),
        rows(once.quarantined.len() as u64, "quarantined"),
        once.commit
    );
    for fault in &once.quarantined {
        let column = fault.column.as_deref().unwrap_or("");
        let value = fault.value.as_deref().unwrap_or("null");
        text.push_str(&format!("\n  row {}: {column} `{value}` {}", fault.row, fault.reason));
    }
    text
}
