//! `karat audit`: the chain of who changed what and when.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Usage;
use karat_metadata::audit::{self, Entry, Filter, Head, Verdict};
use serde_json::json;

use super::{Context, exit};
use crate::args::AuditCommand;
use crate::output::{count, failed, passed, short_instant, table};

pub async fn run(context: &Context, command: AuditCommand) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    let mut connection = workspace.registry.metadata().read().await?;
    match command {
        AuditCommand::List { limit } => {
            let filter = Filter { limit: Some(limit), ..Filter::default() };
            let entries = audit::list(&mut connection, &filter).await?;
            context.output.print(&entries, |entries| human(entries))?;
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Head => {
            let head = audit::head(&mut connection).await?;
            context.output.print(&json!({"head": head.to_string()}), |_| head.to_string())?;
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Verify { head } => {
            let kept = match head {
                Some(text) => text.parse::<Head>().map_err(|error| Usage(error.to_string()))?,
                None => Head::genesis(),
            };
            let verdict = audit::verify(&mut connection, &kept).await?;
            let (intact, document) = match &verdict {
                Verdict::Intact { head } => (true, json!({"intact": true, "head": head.to_string()})),
                Verdict::Broken { id, breach } => {
                    (false, json!({"intact": false, "entry": id, "breach": breach.to_string()}))
                }
            };
            context.output.print(&document, |_| told(&verdict, &kept))?;
            Ok(exit(intact))
        }
    }
}

fn human(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "nothing was changed yet".to_owned();
    }
    let rows = entries.iter().map(|entry| {
        let version = entry.subject.version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
        let why = entry.details.get("why").and_then(|why| why.as_str()).unwrap_or_default();
        [
            entry.id.to_string(),
            short_instant(entry.at),
            entry.actor.clone(),
            entry.action.clone(),
            format!("{} {}{version}", entry.subject.kind, entry.subject.name),
            why.to_owned(),
        ]
    });
    table(["entry", "at", "who", "did", "to", "why"], &[0], rows)
}

fn told(verdict: &Verdict, kept: &Head) -> String {
    match verdict {
        Verdict::Intact { head } if *kept == Head::genesis() => format!(
            "{}: {} hold together; head {head}\nwithout a kept head (--head) nobody can tell whether the whole chain was written anew",
            passed(),
            count(head.id as usize, "entry", "entries")
        ),
        Verdict::Intact { head } => format!(
            "{}: {} hold together, and the kept head is among them; head {head}",
            passed(),
            count(head.id as usize, "entry", "entries")
        ),
        Verdict::Broken { id, breach } => format!("{}: entry {id} {breach}", failed()),
    }
}
