//! SQL over the sources' current rows and the prediction log.

use std::path::PathBuf;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use karat_core::nearest;
use karat_history::log;
use karat_project::sql_tables;
use karat_query::{Batches, QueryError, Table, Tables};
use karat_serving::{PredictionEncoder, prediction_columns};

use crate::{Catalog, Workspace, reading};

/// The table of logged predictions.
const PREDICTIONS: &str = "predictions";

/// Of the log, so many records are a batch.
const BATCH_RECORDS: usize = 8192;

/// The rows of an answer; none may still have columns.
#[derive(Debug)]
pub struct Answered {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

/// Answers from what was ingested and logged so far; ingests nothing.
pub async fn run(workspace: &Workspace, sql: &str) -> Result<Answered> {
    let catalog = workspace.catalog()?;
    let named = sql_tables(sql);
    let mut tables = Tables::new();
    for (name, planned) in &catalog.sources {
        let Some(snapshot) = workspace.history.snapshot(name, None).await? else { continue };
        if named.iter().any(|table| table.means(name))
            && let Some((_, changes)) = reading::made_otherwise(planned, &snapshot)?
        {
            workspace.observer.say(&format!(
                "warning: {name} is queried as it was ingested: its definition changed since ({}); `karat sources ingest \
                 {name}` takes it up",
                changes.join("; ")
            ));
        }
        tables.insert(name.as_str(), Table::current(&reading::shape(planned, &snapshot)?, Some(snapshot)));
    }
    if tables.get(PREDICTIONS).is_none() {
        tables.insert(PREDICTIONS, predictions(workspace));
    }
    let answer = match workspace.engine.query(sql, &tables).await {
        Ok(answer) => answer,
        Err(error @ QueryError::Sql(_)) => {
            let missing = named.iter().filter(|table| !tables.iter().any(|(name, _)| table.means(name)));
            let why = missing.filter_map(|table| why_missing(&catalog, &tables, table.name.as_str())).next();
            return Err(why.map(QueryError::Sql).unwrap_or(error).into());
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Answered { schema: answer.schema.clone(), batches: answer.collect().await? })
}

/// Why there is no table of that name, and what to do.
fn why_missing(catalog: &Catalog, tables: &Tables, name: &str) -> Option<String> {
    match catalog.sources.get(name) {
        Some(planned) if !planned.plan.source().keep => Some(format!(
            "source {name} keeps no history (`keep: false`), so there is nothing to query; `karat sources profile {name}` \
             looks at its rows"
        )),
        Some(_) => Some(format!("source {name} was never ingested: run `karat sources ingest {name}`, then query it")),
        None => {
            let names = catalog.sources.keys().map(|name| name.as_str());
            let names: Vec<&str> = names.chain(tables.get(PREDICTIONS).map(|_| PREDICTIONS)).collect();
            let nearest = nearest(name, names.iter().copied())?;
            Some(format!("there is no table `{name}`; did you mean `{nearest}`?"))
        }
    }
}

fn predictions(workspace: &Workspace) -> Table {
    let folder = workspace.predictions();
    Table::streamed(prediction_columns(), bytes_in(&folder), move || {
        if !folder.exists() {
            return Ok(Box::new(std::iter::empty()) as Batches);
        }
        let (mut payloads, encoder) = (log::read(&folder)?, PredictionEncoder::beside(&folder));
        Ok(Box::new(std::iter::from_fn(move || encoded(&mut payloads, &encoder).transpose())))
    })
}

/// The next records of the log; `None` at its end.
fn encoded(payloads: &mut log::Payloads, encoder: &PredictionEncoder) -> Result<Option<RecordBatch>, QueryError> {
    let chunk: Vec<Vec<u8>> = payloads.by_ref().take(BATCH_RECORDS).collect::<Result<_, _>>()?;
    if chunk.is_empty() {
        return Ok(None);
    }
    let chunk: Vec<&[u8]> = chunk.iter().map(AsRef::as_ref).collect();
    let batch = encoder.table(&chunk).map_err(|error| QueryError::Internal(error.to_string()))?;
    Ok(Some(batch))
}

fn bytes_in(folder: &PathBuf) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
