//! SQL over the sources' current rows and the prediction log.

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use karat_history::log::{self, RecordEncoder};
use karat_query::{Table, Tables};
use karat_serving::{PredictionEncoder, prediction_columns};

use crate::Workspace;

/// The table of logged predictions.
const PREDICTIONS: &str = "predictions";

/// The rows of an answer; none may still have columns.
#[derive(Debug)]
pub struct Answered {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

/// Answers from what was ingested and logged so far; ingests nothing.
pub async fn run(workspace: &Workspace, sql: &str) -> Result<Answered> {
    let catalog = workspace.catalog()?;
    let mut tables = Tables::new();
    for (name, planned) in &catalog.sources {
        if let Some(snapshot) = workspace.history.snapshot(name, None).await? {
            tables.insert(name.as_str(), Table::current(planned.plan.shape(), Some(snapshot)));
        }
    }
    if tables.get(PREDICTIONS).is_none() && sql.to_ascii_lowercase().contains(PREDICTIONS) {
        tables.insert(PREDICTIONS, predictions(workspace)?);
    }
    let answer = workspace.engine.query(sql, &tables).await?;
    Ok(Answered { schema: answer.schema.clone(), batches: answer.collect().await? })
}

fn predictions(workspace: &Workspace) -> Result<Table> {
    let mut batches = Vec::new();
    if workspace.predictions().exists() {
        let payloads = log::read(workspace.predictions())?.collect::<Result<Vec<_>, _>>()?;
        for chunk in payloads.chunks(8192) {
            let chunk: Vec<&[u8]> = chunk.iter().map(AsRef::as_ref).collect();
            batches.push(PredictionEncoder.encode(&chunk).map_err(anyhow::Error::from_boxed)?);
        }
    }
    Ok(Table::batches(prediction_columns(), batches)?)
}
