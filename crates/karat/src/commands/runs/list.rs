use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::Result;
use karat_core::Value;
use karat_jobs::Workspace;
use karat_registry::search::{Entity, RUNS, parse_filter, parse_order};
use karat_registry::{Run, RunSearch};

use crate::args::SearchArgs;
use crate::commands::Context;
use crate::commands::experiments::{named, view};
use crate::output::{Sheet, duration, dynamic_table, measure, millis};

/// The measures that are shown where nothing else is asked for, as far as there are any.
const USUAL: [&str; 2] = ["auc", "ks"];
/// Measures in a table; all of them are in the CSV.
const MOST: usize = 4;

pub async fn run(
    context: &Context,
    workspace: &Workspace,
    experiment: Option<&str>,
    search: &SearchArgs,
) -> Result<ExitCode> {
    let experiments = workspace.registry.experiments().await?;
    let names: BTreeMap<i64, &str> = experiments.iter().map(|one| (one.id, one.name.as_str())).collect();
    let experiment_ids = match experiment {
        Some(text) => vec![named(workspace, text).await?.id],
        None => names.keys().copied().collect(),
    };
    let asked = RunSearch {
        experiment_ids,
        filter: search.filter.clone(),
        order_by: search.order_by.clone(),
        view: view(search),
        most: search.limit,
        page_token: None,
    };
    let runs = workspace.registry.search_runs(&asked).await?.items;
    let shown = measures(&runs, search)?;
    context.output.print_list(&runs, |runs| table(runs, &names, &shown), |runs| sheet(runs, &names))?;
    Ok(ExitCode::SUCCESS)
}

/// Those that are filtered and ordered by, then the usual ones, then those that most runs have.
fn measures(runs: &[Run], search: &SearchArgs) -> Result<Vec<String>> {
    let filter = parse_filter(&search.filter, &RUNS)?;
    let order = parse_order(&search.order_by, &RUNS)?;
    let filtered = filter.into_iter().filter(|one| one.entity == Entity::Metric).map(|one| one.key);
    let ordered = order.into_iter().filter(|one| one.entity == Entity::Metric).map(|one| one.key);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for metric in runs.iter().flat_map(|run| &run.metrics).filter(|metric| !metric.key.contains(".curve.")) {
        *counts.entry(&metric.key).or_default() += 1;
    }
    let usual = USUAL.into_iter().filter(|name| counts.contains_key(name)).map(str::to_owned);
    let mut shown: Vec<String> = Vec::new();
    for name in ordered.chain(filtered).chain(usual) {
        if !shown.contains(&name) {
            shown.push(name);
        }
    }
    let mut common: Vec<(&str, usize)> = counts.iter().map(|(name, count)| (*name, *count)).collect();
    common.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    for (name, _) in common {
        if shown.is_empty() || (shown.len() < USUAL.len() && !shown.iter().any(|known| known == name)) {
            shown.push(name.to_owned());
        }
    }
    shown.truncate(MOST);
    Ok(shown)
}

fn table(runs: &[Run], experiments: &BTreeMap<i64, &str>, shown: &[String]) -> String {
    if runs.is_empty() {
        return "no runs: `karat train MODEL` records one, and so do MLflow's clients".to_owned();
    }
    let mut header = vec!["run", "name", "experiment", "status", "started", "took"];
    header.extend(shown.iter().map(String::as_str));
    header.push("who");
    let numbers: Vec<usize> = (5..6 + shown.len()).collect();
    let rows = runs.iter().map(|run| {
        let took = run.end_time_ms.map(|end| duration((end - run.start_time_ms) as f64 / 1000.0));
        let mut row = vec![
            run.run_id.to_string(),
            run.name.clone(),
            experiments.get(&run.experiment_id).copied().unwrap_or_default().to_owned(),
            run.status.to_string().to_lowercase(),
            millis(run.start_time_ms),
            took.unwrap_or_default(),
        ];
        let of = |name: &String| run.metrics.iter().find(|metric| metric.key == *name);
        row.extend(shown.iter().map(|name| of(name).map(|metric| measure(metric.value)).unwrap_or_default()));
        row.push(run.user.clone());
        row
    });
    dynamic_table(&header, &numbers, rows)
}

/// As `mlflow.search_runs` names its columns.
fn sheet(runs: &[Run], experiments: &BTreeMap<i64, &str>) -> Sheet {
    let keys = |of: fn(&Run) -> Vec<&String>| -> Vec<String> {
        let keys: BTreeSet<&String> = runs.iter().flat_map(of).collect();
        keys.into_iter().cloned().collect()
    };
    let metrics = keys(|run| run.metrics.iter().map(|metric| &metric.key).collect());
    let params = keys(|run| run.params.keys().collect());
    let tags = keys(|run| run.tags.keys().collect());
    let fixed = ["run_id", "run_name", "experiment", "status", "start_time_ms", "end_time_ms", "user", "artifact_uri"];
    let mut header: Vec<String> = fixed.map(str::to_owned).to_vec();
    header.extend(metrics.iter().map(|key| format!("metrics.{key}")));
    header.extend(params.iter().map(|key| format!("params.{key}")));
    header.extend(tags.iter().map(|key| format!("tags.{key}")));
    let rows = runs.iter().map(|run| {
        let mut row = vec![
            run.run_id.to_string(),
            run.name.clone(),
            experiments.get(&run.experiment_id).copied().unwrap_or_default().to_owned(),
            run.status.to_string(),
            run.start_time_ms.to_string(),
            run.end_time_ms.map(|end| end.to_string()).unwrap_or_default(),
            run.user.clone(),
            run.artifact_uri.clone(),
        ];
        let metric = |key: &String| run.metrics.iter().find(|metric| metric.key == *key);
        row.extend(
            metrics.iter().map(|key| metric(key).map(|m| Value::Float(m.value).to_string()).unwrap_or_default()),
        );
        row.extend(params.iter().map(|key| run.params.get(key).cloned().unwrap_or_default()));
        row.extend(tags.iter().map(|key| run.tags.get(key).cloned().unwrap_or_default()));
        row
    });
    Sheet { header, rows: rows.collect() }
}
