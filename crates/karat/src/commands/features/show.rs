use std::process::ExitCode;

use anyhow::Result;
use karat_core::nearest;
use karat_core::profile::{Bin, Summary};
use karat_core::statistics::FigureOf;
use karat_jobs::{NotFound, Workspace, catalogue};
use karat_report::catalogue::{FeatureEntry, ViewEntry};
use karat_report::words::number;

use super::how;
use super::list::{flags, short, state, title, told, users};
use crate::commands::Context;
use crate::output::{count, heading, indent, percent, quoted, short_instant, table, thousands};

/// The widest bar of a histogram.
const BAR: f64 = 32.0;

pub async fn run(context: &Context, workspace: &Workspace, view: &str, feature: Option<&str>) -> Result<ExitCode> {
    let entry = catalogue::view(workspace, view).await?;
    match feature {
        None => context.output.print(&entry, whole)?,
        Some(name) => {
            let feature = entry.features.get(name).ok_or_else(|| missing(&entry, name))?;
            context.output.print(feature, |feature| one(&entry, name, feature))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn missing(entry: &ViewEntry, name: &str) -> NotFound {
    let hint = nearest(name, entry.features.keys().map(String::as_str)).map(|like| format!("; did you mean `{like}`?"));
    NotFound(format!("view {} has no feature `{name}`{}", entry.view, hint.unwrap_or_default()))
}

fn whole(entry: &ViewEntry) -> String {
    let mut lines = vec![heading(&title(entry))];
    lines.extend(entry.description.as_ref().map(|description| indent(description)));
    let mut facts = Vec::new();
    if !entry.tags.is_empty() {
        let tags: Vec<String> = entry.tags.iter().map(|(name, text)| format!("{name}: {text}")).collect();
        facts.push(["tags".to_owned(), tags.join(", ")]);
    }
    facts.push(["online".to_owned(), state(entry)]);
    facts.extend(entry.ttl.map(|window| ["ttl".to_owned(), window.to_string()]));
    facts.extend(entry.stale_after.map(|window| ["stale after".to_owned(), window.to_string()]));
    facts.extend(entry.online_horizon.map(|window| ["online horizon".to_owned(), window.to_string()]));
    if let (Some(as_of), Some(keys)) = (entry.freshness.as_of, entry.freshness.keys) {
        let mut text = format!("of {} as of {}", count(keys as usize, "key", "keys"), short_instant(as_of));
        for (number, what) in [(entry.freshness.no_history, "without history"), (entry.freshness.stale_keys, "stale")] {
            text.extend(number.filter(|number| *number > 0).map(|number| format!(", {} {what}", thousands(number))));
        }
        facts.push(["figures".to_owned(), text]);
    }
    facts.extend(entry.used_by.iter().map(|used| {
        let endpoints: Vec<&str> = used.endpoints.iter().map(|endpoint| endpoint.as_str()).collect();
        let answers =
            if endpoints.is_empty() { String::new() } else { format!(", answering at {}", endpoints.join(", ")) };
        ["used by".to_owned(), format!("{}{answers}", used.label())]
    }));
    facts.extend(entry.services.iter().map(|service| ["used by".to_owned(), format!("feature service {service}")]));
    lines.push(indent(&table(["", ""], &[], facts)));
    lines.push(String::new());
    let rows = entry.features.iter().map(|(name, feature)| {
        let (missing, values) = told(feature);
        [name.clone(), how(&feature.definition), feature.data_type.clone(), missing, values, users(feature)]
    });
    lines.push(indent(&table(["feature", "how", "type", "missing", "values", "used by"], &[3], rows)));
    let odd = flags(entry);
    if !odd.is_empty() {
        lines.push(String::new());
        lines.extend(odd.into_iter().map(|line| indent(&line)));
    }
    lines.join("\n")
}

fn one(entry: &ViewEntry, name: &str, feature: &FeatureEntry) -> String {
    let mut lines = vec![heading(&format!("{name} of {} ({})", entry.view, feature.data_type))];
    lines.extend(feature.words.as_ref().map(|words| indent(words)));
    lines.extend(feature.description.as_ref().map(|description| indent(description)));
    let mut facts = vec![["how".to_owned(), how(&feature.definition)]];
    facts.extend(feature.checks.iter().map(|check| ["check".to_owned(), how(check)]));
    let used = users(feature);
    facts.push(["used by".to_owned(), if used.is_empty() { "no model".to_owned() } else { used }]);
    if let Some(statistics) = &feature.statistics {
        if statistics.of == FigureOf::Lengths {
            facts.push(["figures".to_owned(), "how many values each key's list has".to_owned()]);
        }
        facts.extend(figures(&statistics.summary));
    }
    lines.push(indent(&table(["", ""], &[], facts)));
    if let Some(statistics) = feature.statistics.as_ref().filter(|statistics| !statistics.histogram.is_empty()) {
        lines.push(String::new());
        lines.push(indent(&histogram(&statistics.histogram)));
    }
    if feature.statistics.is_none() {
        lines.push(indent(&format!("its values are looked at by `karat features materialize {}`", entry.view)));
    }
    lines
        .extend(feature.flags.iter().map(|flag| indent(&format!("{}: {}", flag.flag.replace('_', " "), flag.message))));
    lines.join("\n")
}

fn figures(summary: &Summary) -> Vec<[String; 2]> {
    let fact = |name: &str, text: String| [name.to_owned(), text];
    let about = if summary.distinct_exact { "" } else { "about " };
    let mut facts = vec![
        fact("keys", thousands(summary.rows)),
        fact("missing", format!("{} ({})", thousands(summary.nulls), percent(summary.null_share()))),
        fact("different", format!("{about}{}", thousands(summary.distinct))),
    ];
    if !summary.min.is_null() {
        facts.push(fact("from", format!("{} to {}", short(&summary.min), short(&summary.max))));
    }
    facts.extend(summary.mean.map(|mean| {
        let deviation = summary.std.map(|std| format!(", standard deviation {}", number(std))).unwrap_or_default();
        fact("mean", format!("{}{deviation}", number(mean)))
    }));
    if !summary.quantiles.is_empty() {
        let quantiles = summary.quantiles.iter().map(|q| format!("{} at {}", short(&q.value), percent(q.share)));
        facts.push(fact("quantiles", quantiles.collect::<Vec<_>>().join(", ")));
    }
    let few = summary.distinct > 0 && !summary.top.is_empty();
    facts.extend(few.then(|| {
        let top = summary.top.iter().take(5).map(|top| format!("{} ({})", quoted(&top.value), thousands(top.rows)));
        fact("most frequent", top.collect::<Vec<_>>().join(", "))
    }));
    facts
}

fn histogram(bins: &[Bin]) -> String {
    let most = bins.iter().map(|bin| bin.rows).max().unwrap_or_default().max(1) as f64;
    let bar = |rows: u64| "█".repeat((rows as f64 / most * BAR).ceil() as usize);
    let rows = bins.iter().map(|bin| [bin.name.clone(), thousands(bin.rows), bar(bin.rows)]);
    table(["value", "keys", ""], &[1], rows)
}
