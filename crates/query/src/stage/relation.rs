use std::collections::BTreeMap;

use arrow::row::{RowConverter, SortField};
use futures::StreamExt;
use karat_core::DataType;

use super::keys::KeySet;
use super::rules::Test;
use crate::engine::{Engine, Tables};
use crate::plan::SourcePlan;
use crate::{QueryError, Result};

/// By a rule's index, the values that stand in the other source's column, encoded.
pub(crate) type Related = BTreeMap<usize, KeySet>;

/// Reads what `relation` checks compare with, once per delivery.
pub(super) async fn load(engine: &Engine, plan: &SourcePlan, tables: &Tables) -> Result<Related> {
    let mut related = Related::new();
    for rule in &plan.0.rules {
        let Test::Relation { source, references, data_type, .. } = &rule.test else { continue };
        let Some(table) = tables.get(source) else {
            let problem = format!("source `{source}` has no rows to compare with yet; ingest it first");
            return Err(QueryError::source(&plan.0.source.name, format!("contract[{}].source", rule.index), problem));
        };
        let mut keys = KeySet::default();
        let converter = converter(*data_type)?;
        let mut batches = engine.scan(table, &[references.as_str()]).await?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let rows = converter.convert_columns(batch.columns())?;
            for row in &rows {
                keys.insert(row.as_ref());
            }
        }
        related.insert(rule.index, keys);
    }
    Ok(related)
}

/// The encoding of one column.
pub(super) fn converter(data_type: DataType) -> Result<RowConverter> {
    Ok(RowConverter::new(vec![SortField::new(data_type.arrow())])?)
}
