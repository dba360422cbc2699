use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::lookup::{Keys, Once, ask_once};
use karat_jobs::{Usage, Workspace};

use super::push::lines_of;
use crate::commands::Context;
use crate::output::{count, thousands};

/// The exit code says whether every key has an answer.
pub async fn run(
    context: &Context,
    workspace: &Workspace,
    source: &str,
    keys: Option<&Path>,
    of: Option<&str>,
) -> Result<ExitCode> {
    let once = match (keys, of) {
        (Some(file), _) => ask_once(workspace, source, Keys::Lines(lines_of(file)?.as_mut())).await?,
        (None, Some(model)) => ask_once(workspace, source, Keys::Of(model)).await?,
        (None, None) => return Err(Usage("say whom to ask about: `--keys FILE` or `--of MODEL`".to_owned()).into()),
    };
    context.output.print(&once, human)?;
    Ok(if once.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn human(once: &Once) -> String {
    let failed: u64 = once.failed.values().sum();
    let mut text = format!(
        "asked {} about {}: {} fresh, {} answered, {} failed; commit {}",
        once.source,
        count(once.keys as usize, "key", "keys"),
        thousands(once.fresh),
        thousands(once.answered),
        thousands(failed),
        once.commit
    );
    for failure in &once.failures {
        text.push_str(&format!("\n  {failure}"));
    }
    if once.left > 0 {
        text.push_str(&format!(
            "\n  the service failed too often: {} left; run this again to go on",
            count(once.left as usize, "key is", "keys are")
        ));
    } else if failed > 0 {
        text.push_str("\n  run this again to ask about those that failed");
    }
    text
}
