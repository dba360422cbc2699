//! SQL over other sources' current rows: planned for its columns, run for its rows, and reconciled.

mod left_out;
mod schema;

use arrow::array::{BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use futures::stream::BoxStream;
use karat_core::{Schema, Zone, hidden};

use crate::engine::{Engine, Tables, plan};
use crate::read::{BadRow, ReadBatch, conform, failures, printed, raw_row};
use crate::{QueryError, Result};

pub use left_out::{LeftOut, LeftOutBy};
pub(crate) use schema::plan_query;
pub use schema::plan_sql;

/// A source's query over the tables it names.
pub(crate) struct Query {
    context: SessionContext,
    plan: LogicalPlan,
    versions: Vec<String>,
}

impl Query {
    pub(crate) async fn new(engine: &Engine, tables: &Tables, text: &str) -> Result<Query> {
        let context = engine.session(tables)?;
        let plan = plan(&context, text).await?;
        let read = schema::tables_read(&plan)?;
        let versions = tables
            .iter()
            .filter(|(name, _)| read.contains(*name))
            .map(|(name, table)| format!("{name}: {}", table.version()))
            .collect();
        Ok(Query { context, plan, versions })
    }

    /// What the rows depend on: each table read and its version.
    pub(crate) fn versions(&self) -> &[String] {
        &self.versions
    }

    /// The result's rows, numbered, in the types planned.
    pub(crate) async fn typed(&self, schema: &Schema, zone: &Zone) -> Result<BoxStream<'static, Result<ReadBatch>>> {
        let stream = self.context.execute_logical_plan(self.plan.clone()).await?.execute_stream().await?;
        let (schema, zone) = (schema.clone(), zone.clone());
        let mut before = 0;
        let batches = stream.map(move |batch| {
            let batch = batch.map_err(QueryError::from)?;
            let typed = typed(&schema, &zone, &batch, before)?;
            before += batch.num_rows() as i64;
            Ok(typed)
        });
        Ok(batches.boxed())
    }

    pub(crate) async fn left_out(&self) -> Result<Vec<LeftOut>> {
        left_out::find(&self.context, &self.plan).await
    }
}

fn typed(schema: &Schema, zone: &Zone, batch: &RecordBatch, before: i64) -> Result<ReadBatch> {
    let shown: Vec<usize> = (0..batch.num_columns())
        .filter(|index| !hidden::ALL.contains(&batch.schema().field(*index).name().as_str()))
        .collect();
    let batch = batch.project(&shown)?;
    let lines = Int64Array::from_iter_values(before + 1..before + 1 + batch.num_rows() as i64);
    let mut columns = Vec::with_capacity(schema.columns().len());
    let mut good = vec![true; batch.num_rows()];
    let mut bad = Vec::new();
    for (column, array) in schema.columns().iter().zip(batch.columns()) {
        let conformed = conform(array, column.data_type, zone)?;
        columns.push(conformed.array);
        for row in failures(conformed.failed.as_ref()) {
            if std::mem::replace(&mut good[row], false) {
                bad.push(BadRow {
                    file: 0,
                    line: lines.value(row),
                    column: Some(column.name.clone()),
                    value: Some(printed(array, row)),
                    reason: format!("does not fit {}", column.data_type),
                    row: raw_row(&batch, row),
                });
            }
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let rows = RecordBatch::try_new_with_options(schema.arrow(), columns, &options)?;
    let all_good = bad.is_empty();
    let typed = ReadBatch { rows, file: 0, numbers: lines.clone(), lines, rows_before: 0, bad };
    if all_good { Ok(typed) } else { typed.filter(&BooleanArray::from(good)) }
}
