use std::process::ExitCode;

use anyhow::Result;
use karat_core::profile::Summary;
use karat_core::statistics::FigureOf;
use karat_jobs::catalog::listed;
use karat_jobs::{Workspace, catalogue};
use karat_report::catalogue::{FeatureEntry, Flag, Use, ViewEntry};
use karat_report::words::number;
use serde_json::Value as Json;

use crate::commands::Context;
use crate::output::{Sheet, heading, indent, percent, quoted, short_instant, table, thousands};

pub async fn run(context: &Context, workspace: &Workspace) -> Result<ExitCode> {
    let views = catalogue::views(workspace).await?;
    let told = |views: &Vec<ViewEntry>| match views.is_empty() {
        true => "no feature views yet: each is a file in features/".to_owned(),
        false => views.iter().map(human).collect::<Vec<_>>().join("\n\n"),
    };
    context.output.print_list(&views, told, |views| sheet(views))?;
    Ok(ExitCode::SUCCESS)
}

/// A line a feature.
fn sheet(views: &[ViewEntry]) -> Sheet {
    let header = ["view", "feature", "type", "entities", "source", "definition", "commit", "used_by", "flags"];
    let line = |entry: &ViewEntry, name: &String, feature: &FeatureEntry| {
        let flags: Vec<&str> = entry.flags.iter().chain(&feature.flags).map(|flag| flag.flag).collect();
        vec![
            entry.view.to_string(),
            name.clone(),
            feature.data_type.clone(),
            entry.entities.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            entry.source.to_string(),
            entry.definition.to_string(),
            entry.state.as_ref().map(|state| state.commit.to_string()).unwrap_or_default(),
            users(feature),
            flags.join(" "),
        ]
    };
    let rows = views.iter().flat_map(|entry| entry.features.iter().map(move |(name, of)| line(entry, name, of)));
    Sheet { header: header.map(str::to_owned).to_vec(), rows: rows.collect() }
}

fn human(entry: &ViewEntry) -> String {
    let mut lines = vec![heading(&title(entry)), indent(&state(entry))];
    let rows = entry.features.iter().map(|(name, feature)| {
        let (missing, values) = told(feature);
        [name.clone(), feature.data_type.clone(), missing, values, users(feature)]
    });
    lines.push(indent(&table(["feature", "type", "missing", "values", "used by"], &[2], rows)));
    lines.extend(flags(entry).into_iter().map(|line| indent(&line)));
    lines.join("\n")
}

/// `payment_history of client from loans, owner risk (definition 6b7f31c0)`
pub fn title(entry: &ViewEntry) -> String {
    let owner = entry.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
    format!(
        "{} of {} from {}{owner} (definition {})",
        entry.view,
        listed(&entry.entities),
        entry.source,
        entry.definition.short()
    )
}

/// What the online store has.
pub fn state(entry: &ViewEntry) -> String {
    let newest = entry.freshness.newest_event.map(|newest| format!(", newest event {}", short_instant(newest)));
    match &entry.state {
        Some(state) => format!(
            "{} keys up to commit {}, materialized {}{}",
            thousands(state.keys),
            state.commit,
            short_instant(state.at),
            newest.unwrap_or_default()
        ),
        None => "nothing online".to_owned(),
    }
}

/// Missing and typical values, in few words.
pub fn told(feature: &FeatureEntry) -> (String, String) {
    let Some(statistics) = &feature.statistics else { return ("".to_owned(), "".to_owned()) };
    let summary = &statistics.summary;
    if statistics.of == FigureOf::Lengths {
        return ("".to_owned(), format!("lists of {}", values(summary)));
    }
    (percent(summary.null_share()), values(summary))
}

/// The middle nine tenths of many values; the most frequent of a few.
fn values(summary: &Summary) -> String {
    if let (Some(low), Some(middle), Some(high)) =
        (summary.quantile(0.05), summary.quantile(0.5), summary.quantile(0.95))
    {
        return format!("{} … {} … {}", short(low), short(middle), short(high));
    }
    let all = (summary.rows - summary.nulls).max(1) as f64;
    let top =
        summary.top.iter().take(3).map(|top| format!("{} {}", quoted(&top.value), percent(top.rows as f64 / all)));
    let more = if summary.distinct > 3 { ", …" } else { "" };
    format!("{}{more}", top.collect::<Vec<_>>().join(", "))
}

pub fn short(value: &Json) -> String {
    match value {
        Json::Number(float) => float.as_f64().map_or_else(|| float.to_string(), number),
        other => quoted(other),
    }
}

pub fn users(feature: &FeatureEntry) -> String {
    let services = feature.services.iter().map(|service| format!("service {service}"));
    feature.used_by.iter().map(Use::label).chain(services).collect::<Vec<_>>().join(", ")
}

/// What is odd and what to do; features of which the same is to be said stand together.
pub fn flags(entry: &ViewEntry) -> Vec<String> {
    let mut lines: Vec<String> =
        entry.flags.iter().map(|flag| format!("{}: {}", flag.flag.replace('_', " "), flag.message)).collect();
    let mut said: Vec<(&Flag, Vec<&str>)> = Vec::new();
    for (name, flag) in
        entry.features.iter().flat_map(|(name, feature)| feature.flags.iter().map(move |flag| (name, flag)))
    {
        match said.iter_mut().find(|(other, _)| *other == flag) {
            Some((_, names)) => names.push(name),
            None => said.push((flag, vec![name])),
        }
    }
    let line = |(flag, names): (&Flag, Vec<&str>)| {
        format!("{}: {}: {}", flag.flag.replace('_', " "), names.join(", "), flag.message)
    };
    lines.extend(said.into_iter().map(line));
    lines
}
