use std::process::ExitCode;

use anyhow::Result;
use karat_core::Instant;
use karat_jobs::Workspace;
use karat_project::spec::{Delivery, Origin};
use serde::Serialize;
use serde_json::json;

use crate::commands::Context;
use crate::output::{Sheet, quoted, short_instant, table, thousands};

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    description: Option<String>,
    /// A path, or `sql`.
    from: String,
    keys: Vec<String>,
    event_time: Option<String>,
    delivery: Delivery,
    keep: bool,
    /// The newest commit of its history.
    commit: Option<u64>,
    /// Records of its history: rows, revisions and removals.
    records: u64,
    ingested: Option<Instant>,
}

pub async fn run(context: &Context, workspace: &Workspace) -> Result<ExitCode> {
    let mut listed = Vec::new();
    for source in workspace.project.sources().values() {
        let snapshot = workspace.history.snapshot(&source.name, None).await?.filter(|snapshot| snapshot.commit > 0);
        listed.push(Listed {
            name: source.name.to_string(),
            description: source.description.clone(),
            from: match source.origin() {
                Origin::Path(paths) => paths.to_string(),
                Origin::Postgres(postgres) => match &postgres.table {
                    Some(table) => format!("PostgreSQL table {table}"),
                    None => "PostgreSQL query".to_owned(),
                },
                Origin::Command(command) => command.run.join(" "),
                Origin::Lookup(lookup) => format!("look-ups at {}", lookup.url),
                Origin::Pushed => "pushes".to_owned(),
                Origin::Sql(_) => {
                    let read: Vec<String> =
                        workspace.project.upstream(source).iter().map(ToString::to_string).collect();
                    format!("SQL over {}", read.join(", "))
                }
            },
            keys: source.keys.clone(),
            event_time: source.event_time.clone(),
            delivery: source.delivery(),
            keep: source.keep,
            commit: snapshot.as_ref().map(|snapshot| snapshot.commit),
            records: snapshot.as_ref().map_or(0, |snapshot| snapshot.rows()),
            ingested: snapshot.map(|snapshot| snapshot.at),
        });
    }
    context.output.print_list(&listed, |listed| human(listed), |listed| sheet(listed))?;
    Ok(ExitCode::SUCCESS)
}

fn sheet(listed: &[Listed]) -> Sheet {
    let header =
        ["name", "description", "from", "keys", "event_time", "delivery", "keep", "commit", "records", "ingested"];
    let rows = listed.iter().map(|source| {
        vec![
            source.name.clone(),
            source.description.clone().unwrap_or_default(),
            source.from.clone(),
            source.keys.join(" "),
            source.event_time.clone().unwrap_or_default(),
            quoted(&json!(source.delivery)),
            source.keep.to_string(),
            source.commit.map(|commit| commit.to_string()).unwrap_or_default(),
            source.records.to_string(),
            source.ingested.map(|at| at.to_string()).unwrap_or_default(),
        ]
    });
    Sheet { header: header.map(str::to_owned).to_vec(), rows: rows.collect() }
}

fn human(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "no sources yet: each is a file in sources/ (`karat schema source` says what it may hold)".to_owned();
    }
    let rows = listed.iter().map(|source| {
        [
            source.name.clone(),
            source.from.clone(),
            source.keys.join(", "),
            source.event_time.clone().unwrap_or_default(),
            match source.commit {
                Some(commit) => commit.to_string(),
                None if source.keep => "not ingested".to_owned(),
                None => "read in place".to_owned(),
            },
            if source.commit.is_some() { thousands(source.records) } else { String::new() },
            source.ingested.map(short_instant).unwrap_or_default(),
        ]
    });
    table(["source", "from", "keys", "event time", "commit", "records", "ingested"], &[5], rows)
}
