use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use indexmap::IndexMap;
use karat_core::Value;
use karat_jobs::Workspace;
use karat_registry::Run;
use serde::Serialize;

use crate::commands::Context;
use crate::output::{Sheet, difference, dynamic_table, heading, indent, measure};

#[derive(Debug, Serialize)]
struct Comparison {
    runs: Vec<Compared>,
    /// Those that differ; `null` where a run has none.
    params: IndexMap<String, Vec<Option<String>>>,
    metrics: IndexMap<String, Vec<Option<f64>>>,
}

#[derive(Debug, Serialize)]
struct Compared {
    run_id: String,
    name: String,
}

pub async fn run(context: &Context, workspace: &Workspace, ids: &[String]) -> Result<ExitCode> {
    let mut runs = Vec::with_capacity(ids.len());
    for id in ids {
        runs.push(workspace.registry.run(id).await?);
    }
    context.output.print_list(&compared(&runs), human, sheet)?;
    Ok(ExitCode::SUCCESS)
}

fn compared(runs: &[Run]) -> Comparison {
    let params: BTreeSet<&String> = runs.iter().flat_map(|run| run.params.keys()).collect();
    let params = params.into_iter().map(|key| {
        let values: Vec<Option<String>> = runs.iter().map(|run| run.params.get(key).cloned()).collect();
        (key.clone(), values)
    });
    let metrics: BTreeSet<&String> = runs
        .iter()
        .flat_map(|run| &run.metrics)
        .map(|metric| &metric.key)
        .filter(|key| !key.contains(".curve."))
        .collect();
    let metrics = metrics.into_iter().map(|key| {
        let of = |run: &Run| run.metrics.iter().find(|metric| metric.key == *key).map(|metric| metric.value);
        (key.clone(), runs.iter().map(of).collect())
    });
    Comparison {
        runs: runs.iter().map(|run| Compared { run_id: run.run_id.to_string(), name: run.name.clone() }).collect(),
        params: params.filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect(),
        metrics: metrics.collect(),
    }
}

fn human(compared: &Comparison) -> String {
    let titles: Vec<String> = compared.runs.iter().map(|run| format!("{} ({})", &run.run_id[..8], run.name)).collect();
    let pair = compared.runs.len() == 2;
    let mut header = vec![""];
    header.extend(titles.iter().map(String::as_str));
    let params = compared.params.iter().map(|(key, values)| {
        let mut row = vec![key.clone()];
        row.extend(values.iter().map(|value| value.clone().unwrap_or_default()));
        row
    });
    let params = dynamic_table(&header, &[], params);
    if pair {
        header.push("difference");
    }
    let metrics = compared.metrics.iter().map(|(key, values)| {
        let mut row = vec![key.clone()];
        row.extend(values.iter().map(|value| value.map(measure).unwrap_or_default()));
        if let ([Some(first), Some(second)], true) = (values.as_slice(), pair) {
            row.push(difference(second - first));
        }
        row
    });
    let numbers: Vec<usize> = (1..header.len()).collect();
    let metrics = dynamic_table(&header, &numbers, metrics);
    let none = |name: &str| format!("{}\n  none", heading(name));
    let section = |name: &str, table: &str| format!("{}\n{}", heading(name), indent(table));
    let parameters = "parameters that differ";
    [
        if compared.params.is_empty() { none(parameters) } else { section(parameters, &params) },
        if compared.metrics.is_empty() { none("measures") } else { section("measures", &metrics) },
    ]
    .join("\n\n")
}

fn sheet(compared: &Comparison) -> Sheet {
    let mut header = vec!["key".to_owned()];
    header.extend(compared.runs.iter().map(|run| run.run_id.clone()));
    let params = compared.params.iter().map(|(key, values)| {
        let values = values.iter().map(|value| value.clone().unwrap_or_default());
        std::iter::once(format!("params.{key}")).chain(values).collect()
    });
    let metrics = compared.metrics.iter().map(|(key, values)| {
        let values = values.iter().map(|value| value.map(|value| Value::Float(value).to_string()).unwrap_or_default());
        std::iter::once(format!("metrics.{key}")).chain(values).collect()
    });
    Sheet { header, rows: params.chain(metrics).collect() }
}
