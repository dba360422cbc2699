//! `karat audit`: the chain of who changed what and when.

use std::process::ExitCode;

use anyhow::Result;
use karat_core::Instant;
use karat_core::time::MICROS_PER_DAY;
use karat_jobs::Usage;
use karat_metadata::audit::{self, Entry, Filter, Head, Verdict};
use karat_registry::Held;
use karat_registry::gates::GateResult;
use serde_json::json;

use super::{Context, exit};
use crate::args::AuditCommand;
use crate::output::{Sheet, count, failed, passed, short_instant, table};

pub async fn run(context: &Context, command: AuditCommand) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    let mut connection = workspace.registry.metadata().read().await?;
    match command {
        AuditCommand::List { model: Some(model), at: Some(at), .. } => {
            let held = workspace.registry.held_at(&model, end_of(&at)?).await?;
            context.output.print_list(&held, |held| held_by(held, &at), |held| sheet_of_held(held))?;
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::List { model, limit, .. } => {
            let subject_kind = model.is_some().then(|| "model".to_owned());
            let filter = Filter { limit: Some(limit), subject_kind, subject_name: model, ..Filter::default() };
            let entries = audit::list(&mut connection, &filter).await?;
            context.output.print_list(&entries, |entries| human(entries), |entries| sheet(entries))?;
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

/// A date alone is the whole day.
fn end_of(text: &str) -> Result<Instant> {
    let begins = Instant::parse(text).map_err(|error| Usage(format!("--at: {error}")))?;
    let is_date = text.trim().len() == "2026-03-31".len();
    Ok(if is_date { begins.saturating_add_micros(MICROS_PER_DAY - 1) } else { begins })
}

fn held_by(held: &[Held], at: &str) -> String {
    if held.is_empty() {
        return format!("no alias pointed anywhere on {at}");
    }
    let rows = held.iter().map(|one| {
        let approval = one.approval.as_ref();
        let evidence = approval.map(|approval| {
            let gate = |gate: &GateResult| match gate.measured {
                Some(measured) => format!("{} ({measured:.4})", gate.gate),
                None => gate.gate.clone(),
            };
            approval.gates.iter().map(gate).collect::<Vec<_>>().join(", ")
        });
        [
            one.alias.clone(),
            one.version.to_string(),
            short_instant(one.moved.at),
            one.moved.actor.clone(),
            approval.map_or_else(|| "nobody had to".to_owned(), |approval| approval.actor.clone()),
            approval.map(|approval| short_instant(approval.at)).unwrap_or_default(),
            evidence.unwrap_or_default(),
            approval.map(|approval| approval.why.clone()).unwrap_or_default(),
        ]
    });
    table(["alias", "version", "since", "moved by", "approved by", "at", "on", "because"], &[1], rows)
}

fn sheet_of_held(held: &[Held]) -> Sheet {
    let header = ["alias", "version", "since", "moved_by", "moved_why", "approved_by", "approved_at", "approved_why"];
    let rows = held.iter().map(|one| {
        let approval = one.approval.as_ref();
        vec![
            one.alias.clone(),
            one.version.to_string(),
            one.moved.at.to_string(),
            one.moved.actor.clone(),
            one.moved.why.clone(),
            approval.map(|approval| approval.actor.clone()).unwrap_or_default(),
            approval.map(|approval| approval.at.to_string()).unwrap_or_default(),
            approval.map(|approval| approval.why.clone()).unwrap_or_default(),
        ]
    });
    Sheet { header: header.map(str::to_owned).to_vec(), rows: rows.collect() }
}

fn sheet(entries: &[Entry]) -> Sheet {
    let header = ["id", "at", "actor", "action", "kind", "name", "version", "details", "hash"];
    let rows = entries.iter().map(|entry| {
        vec![
            entry.id.to_string(),
            entry.at.to_string(),
            entry.actor.clone(),
            entry.action.clone(),
            entry.subject.kind.clone(),
            entry.subject.name.clone(),
            entry.subject.version.clone().unwrap_or_default(),
            entry.details.to_string(),
            entry.hash.to_string(),
        ]
    });
    Sheet { header: header.map(str::to_owned).to_vec(), rows: rows.collect() }
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
            "{}: {} together; head {head}\nwithout a kept head (--head) nobody can tell whether the whole chain was written anew",
            passed(),
            count(head.id as usize, "entry holds", "entries hold")
        ),
        Verdict::Intact { head } => format!(
            "{}: {} together, and the kept head is among them; head {head}",
            passed(),
            count(head.id as usize, "entry holds", "entries hold")
        ),
        Verdict::Broken { id, breach } => format!("{}: entry {id} {breach}", failed()),
    }
}
