//! One row of a model's spine as a request would ask about it: what a person tries first.

use anyhow::{Context, Result};
use karat_core::{Instant, Value};
use karat_project::spec::Model;
use karat_query::{Table, Tables};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::Workspace;
use crate::training_set::{instants, quoted};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    pub key: Json,
    /// When the row's decision was made; absent where the spine has no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Instant>,
    /// The request's fields.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Json>,
}

/// The latest row that turned out as predicted, as far as a column says so; of several at once the least key's. Reads what
/// was ingested.
pub async fn run(workspace: &Workspace, model: &Model) -> Result<Example> {
    let source = &model.spine.source;
    let catalog = workspace.catalog()?;
    let planned = catalog.sources.get(source).with_context(|| format!("source {source} is not in the project"))?;
    let snapshot = workspace.history.snapshot(source, None).await?;
    let mut tables = Tables::new();
    tables.insert(source.as_str(), Table::current(planned.plan.shape(), snapshot));
    let key = &workspace.project.entities()[&model.spine.entity].key;
    let mut names = vec![key.as_str()];
    names.extend(model.request.keys().map(String::as_str));
    names.extend(model.spine.as_of.as_deref());
    let columns = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let latest = model.spine.as_of.iter().map(|name| format!("{} DESC, ", quoted(name))).collect::<String>();
    let positive =
        model.spine.label.column().map(|label| format!("CAST({} AS BIGINT) DESC NULLS LAST, ", quoted(label)));
    let sql = format!(
        "SELECT {columns} FROM {} WHERE {} IS NOT NULL ORDER BY {}{latest}{} LIMIT 1",
        quoted(source),
        quoted(key),
        positive.unwrap_or_default(),
        quoted(key)
    );
    let batches = workspace.engine.query(&sql, &tables).await?.collect().await?;
    let row = batches.into_iter().find(|batch| batch.num_rows() > 0);
    let row = row.with_context(|| format!("source {source} has no rows: there is nobody to ask about"))?;
    let cell = |place: usize| Value::from_array(row.column(place), 0).to_json();
    let fields = model.request.keys().enumerate().map(|(place, name)| (name.clone(), cell(place + 1))).collect();
    let as_of = match &model.spine.as_of {
        None => None,
        Some(_) => {
            let zone = workspace.project.sources()[source].zone();
            Some(Instant::from_micros(instants(row.column(names.len() - 1), &zone)?.value(0)))
        }
    };
    Ok(Example { key: cell(0), as_of, fields })
}
