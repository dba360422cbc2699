//! One row of a model's spine as a request would ask about it: what a person tries first.

use anyhow::{Context, Result};
use karat_core::{Instant, Value, key};
use karat_project::spec::{Model, key_columns};
use karat_query::{Table, Tables};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::Workspace;
use crate::catalog::entities;
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
    let keys = key_columns(&entities(&workspace.project, &model.spine.entities));
    let mut names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    names.extend(model.request.keys().map(String::as_str));
    names.extend(model.spine.as_of.as_deref());
    let columns = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let latest = model.spine.as_of.iter().map(|name| format!("{} DESC, ", quoted(name))).collect::<String>();
    let positive =
        model.spine.label.column().map(|label| format!("CAST({} AS BIGINT) DESC NULLS LAST, ", quoted(label)));
    let of_keys =
        |after: &str, between: &str| keys.iter().map(|key| quoted(&key.name) + after).collect::<Vec<_>>().join(between);
    let sql = format!(
        "SELECT {columns} FROM {} WHERE {} ORDER BY {}{latest}{} LIMIT 1",
        quoted(source),
        of_keys(" IS NOT NULL", " AND "),
        positive.unwrap_or_default(),
        of_keys("", ", ")
    );
    let batches = workspace.engine.query(&sql, &tables).await?.collect().await?;
    let row = batches.into_iter().find(|batch| batch.num_rows() > 0);
    let row = row.with_context(|| format!("source {source} has no rows: there is nobody to ask about"))?;
    let cell = |place: usize| Value::from_array(row.column(place), 0);
    let key: Vec<Value> = (0..keys.len()).map(cell).collect();
    let fields = model.request.keys().enumerate();
    let fields = fields.map(|(place, name)| (name.clone(), cell(place + keys.len()).to_json())).collect();
    let as_of = match &model.spine.as_of {
        None => None,
        Some(_) => {
            let zone = workspace.project.sources()[source].zone();
            Some(Instant::from_micros(instants(row.column(names.len() - 1), &zone)?.value(0)))
        }
    };
    Ok(Example { key: key::to_json(&keys, &key), as_of, fields })
}
