//! A spine's rows: who, and as of when.

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};
use karat_core::{DataType, Name, Zone};
use karat_features::RowOrder;
use karat_project::spec::{Model, key_columns};
use karat_query::{Answer, Table, Tables};

use crate::catalog::entities;
use crate::{Catalog, Workspace, reading};

/// A spine that can be read.
pub(super) struct SpineQuery {
    sql: String,
    tables: Tables,
    pub source: Name,
    pub commit: u64,
    /// Of its bare dates.
    pub zone: Zone,
    /// As many rows as it has at most.
    pub rows: u64,
    /// About how many bytes a row takes.
    pub row_bytes: u64,
}

/// The spine's columns; what is read beside them (`also`) changes [the order of its rows](RowOrder::WHOLE)
/// only where they are alike in all of them.
pub(super) async fn query(
    workspace: &Workspace,
    catalog: &Catalog,
    model: &Model,
    also: &[&str],
    up_to: Option<u64>,
) -> Result<SpineQuery> {
    let source = &model.spine.source;
    let planned = catalog.sources.get(source).with_context(|| format!("source {source} is not in the project"))?;
    let snapshot = workspace.snapshot(source, up_to).await?;
    let keys = key_columns(&entities(&workspace.project, &model.spine.entities));
    // The key, then the time: rows are sorted by their columns, and these two mostly settle it.
    let mut names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    names.extend(model.spine.as_of.as_deref());
    names.extend(model.spine.label.column());
    names.extend(model.spine.label_time.as_deref());
    names.extend(model.request.keys().map(String::as_str));
    names.extend(model.split.column.as_deref());
    names.extend(model.profile.iter().map(String::as_str));
    names.extend(also);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    let columns = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let (commit, zone, rows) = (snapshot.commit, reading::zone(planned, &snapshot)?, snapshot.rows());
    let shape = reading::shape(planned, &snapshot)?;
    let is_text = |name: &&str| shape.schema.column(name).is_some_and(|column| column.data_type == DataType::Text);
    let texts: Vec<&str> = names.iter().copied().filter(is_text).collect();
    let text_bytes: u64 = snapshot.text_bytes(&texts).await.iter().sum();
    let row_bytes = (names.len() * size_of::<u64>()) as u64 + text_bytes;
    let mut tables = Tables::new();
    tables.insert(source.as_str(), Table::current(&shape, Some(snapshot)));
    let sql = format!("SELECT {columns} FROM {}", quoted(source));
    Ok(SpineQuery { sql, tables, source: source.clone(), commit, zone, rows, row_bytes })
}

impl SpineQuery {
    /// All rows in spine order.
    pub async fn held(&self, workspace: &Workspace) -> Result<RecordBatch> {
        let answer = self.answer(workspace).await?;
        let schema = answer.schema.clone();
        let batches = answer.joined().await?;
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return self.has_no_rows();
        }
        Ok(tokio::task::block_in_place(|| RowOrder::WHOLE.sort(&schema, batches))?)
    }

    /// The rows as they come.
    pub async fn answer(&self, workspace: &Workspace) -> Result<Answer> {
        Ok(workspace.engine.query(&self.sql, &self.tables).await?)
    }

    pub fn has_no_rows<T>(&self) -> Result<T> {
        bail!("source {} has no rows: nothing can be learned from it", self.source)
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn declared_as_of(column: &ArrayRef, zone: &Zone, model: &Model, name: &str) -> Result<Int64Array> {
    let as_of = instants(column, zone)?;
    refuse_without_as_of(as_of.null_count(), model, name)?;
    Ok(as_of)
}

/// So many rows are without one.
pub(super) fn refuse_without_as_of(rows: usize, model: &Model, name: &str) -> Result<()> {
    if rows > 0 {
        bail!("{rows} rows of {} have no {name}: forbid that in its contract (check: not_null)", model.spine.source);
    }
    Ok(())
}

/// Microseconds UTC of a date (midnight in `zone`) or timestamp column.
pub(crate) fn instants(column: &ArrayRef, zone: &Zone) -> Result<Int64Array> {
    match DataType::of_arrow(column.data_type()) {
        Some(DataType::Timestamp) => {
            Ok(column.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>())
        }
        Some(DataType::Date) => {
            let days = column.as_primitive::<Date32Type>();
            Ok(days.unary(|day| zone.midnight(day).micros()))
        }
        _ => bail!("a date or timestamp is needed, not {}", column.data_type()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn dates_become_midnight_in_the_sources_zone() {
        let days: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![Some(18_871), None]));
        let utc = instants(&days, &Zone::utc()).unwrap();
        assert_eq!(utc.value(0), 18_871 * 86_400_000_000);
        assert!(utc.is_null(1));
        let prague = instants(&days, &Zone::named("Europe/Prague").unwrap()).unwrap();
        assert_eq!(utc.value(0) - prague.value(0), 2 * 3_600_000_000);
    }
}
