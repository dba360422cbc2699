//! `karat import`: moving in.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::import::{self, Artifacts, Imported, Login, Source};

use super::{Context, exit};
use crate::args::ImportCommand;
use crate::output::{count, duration, heading, indent, table, thousands};

/// What is told to people of what was left out; the document has all.
const TOLD: usize = 20;

pub async fn run(context: &Context, command: ImportCommand) -> Result<ExitCode> {
    let ImportCommand::Mlflow { source, artifacts } = command;
    let artifacts = match artifacts {
        None => Artifacts::Unsaid,
        Some(word) if word.as_os_str() == "none" => Artifacts::NotTaken,
        Some(folder) => Artifacts::At(folder),
    };
    let workspace = context.workspace().await?;
    let source = Source { uri: &source, login: login() };
    let imported = import::mlflow(&workspace, source, &artifacts).await?;
    context.output.print(&imported, human)?;
    Ok(exit(imported.reconciled))
}

/// As MLflow's own client takes it.
fn login() -> Login {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("MLFLOW_TRACKING_USERNAME"), variable("MLFLOW_TRACKING_TOKEN")) {
        (Some(name), _) => Login::User { name, password: variable("MLFLOW_TRACKING_PASSWORD").unwrap_or_default() },
        (None, Some(token)) => Login::Token(token),
        (None, None) => Login::Nobody,
    }
}

fn human(imported: &Imported) -> String {
    let rows = imported.counts.iter().map(|(noun, side)| {
        let [there, here, new, left] = [side.there, side.here, side.new, side.left_out].map(thousands);
        let sign = if side.reconciles() { "" } else { "do not agree" };
        [noun.words().to_owned(), there, here, new, left, sign.to_owned()]
    });
    let header = ["", "there", "here", "new here", "left out", ""];
    let mut text =
        heading(&format!("{} (schema {}), in {}", imported.source, imported.schema, duration(imported.seconds)));
    text.push_str(&format!("\n{}", indent(&table(header, &[1, 2, 3, 4], rows))));
    let told = |title: &str, lines: Vec<String>| match lines.is_empty() {
        true => String::new(),
        false => format!("\n\n{}\n{}", heading(title), indent(&lines.join("\n"))),
    };
    let mut left: Vec<String> =
        imported.left_out.iter().take(TOLD).map(|left| format!("{}: {}", left.what, left.why)).collect();
    let more = imported.left_out.len().saturating_sub(TOLD) + imported.more_left_out as usize;
    if more > 0 {
        left.push(format!("and {} more (--format json)", thousands(more as u64)));
    }
    text.push_str(&told("left out", left));
    text.push_str(&told("not for Karat", imported.remarks.clone()));
    let wrong = imported.counts.values().filter(|side| !side.reconciles()).count();
    text.push_str(&match wrong {
        0 => "\n\nboth sides agree".to_owned(),
        wrong => format!(
            "\n\nboth sides disagree in {}: did somebody write meanwhile? The same command again takes what is missing",
            count(wrong, "count", "counts")
        ),
    });
    text
}
