//! A spine's rows: who, as of when, and which of them are learned from.

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};
use karat_core::{DataType, Zone};
use karat_project::spec::{Keep, KeepEnd, Model, key_columns};
use karat_query::{Table, Tables};

use crate::catalog::entities;
use crate::{Catalog, Workspace, reading};

pub(super) struct SpineRows {
    pub rows: RecordBatch,
    pub commit: u64,
    /// Of its bare dates.
    pub zone: Zone,
}

/// The spine's columns, in [their order](karat_features::in_spine_order); what is read beside them changes that order only
/// where rows are alike in all of them.
pub(super) async fn rows(
    workspace: &Workspace,
    catalog: &Catalog,
    model: &Model,
    also: &[&str],
    up_to: Option<u64>,
) -> Result<SpineRows> {
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
    let (commit, zone) = (snapshot.commit, reading::zone(planned, &snapshot)?);
    let mut tables = Tables::new();
    tables.insert(source.as_str(), Table::current(&reading::shape(planned, &snapshot)?, Some(snapshot)));
    let sql = format!("SELECT {columns} FROM {}", quoted(source));
    let rows = workspace.engine.query(&sql, &tables).await?.whole().await?;
    if rows.num_rows() == 0 {
        bail!("source {source} has no rows: nothing can be learned from it");
    }
    let rows = tokio::task::block_in_place(|| karat_features::in_spine_order(rows))?;
    Ok(SpineRows { rows, commit, zone })
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn declared_as_of(column: &ArrayRef, zone: &Zone, model: &Model, name: &str) -> Result<Int64Array> {
    let as_of = instants(column, zone)?;
    if as_of.null_count() > 0 {
        let (rows, source) = (as_of.null_count(), &model.spine.source);
        bail!("{rows} rows of {source} have no {name}: forbid that in its contract (check: not_null)");
    }
    Ok(as_of)
}

/// Which rows a spine keeps of each key.
pub(super) struct Kept {
    pub rows: Vec<bool>,
    /// Keys of which others than those kept have the same as_of.
    pub tied: u64,
}

/// Chooses among the rows that are `eligible`; rows are in spine order, so a key's stand together, the earliest first.
pub(super) fn keep(keep: Keep, keys: &[ArrayRef], as_of: &Int64Array, eligible: &[bool]) -> Result<Kept> {
    let (end, count) = keep.rows();
    let mut kept = Kept { rows: vec![false; as_of.len()], tied: 0 };
    for range in arrow::compute::partition(keys)?.ranges() {
        let rows: Vec<usize> = range.filter(|row| eligible[*row]).collect();
        let cut = match end {
            KeepEnd::First => count.min(rows.len()),
            KeepEnd::Last => rows.len().saturating_sub(count),
        };
        let chosen = match end {
            KeepEnd::First => &rows[..cut],
            KeepEnd::Last => &rows[cut..],
        };
        chosen.iter().for_each(|row| kept.rows[*row] = true);
        let at = |place: usize| as_of.value(rows[place]);
        kept.tied += u64::from(cut > 0 && cut < rows.len() && at(cut - 1) == at(cut));
    }
    Ok(kept)
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

    #[test]
    fn so_many_rows_of_each_key_are_kept_by_their_time() {
        let key: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 1, 2, 3, 3, 3]));
        let as_of = Int64Array::from(vec![1, 2, 2, 3, 1, 4, 5, 5]);
        let all = [true; 8];
        let keep = |text: &str, eligible: &[bool]| {
            let kept =
                super::keep(serde_json::from_str(text).unwrap(), std::slice::from_ref(&key), &as_of, eligible).unwrap();
            let rows: Vec<usize> = (0..8).filter(|row| kept.rows[*row]).collect();
            (rows, kept.tied)
        };
        assert_eq!(keep("\"first\"", &all), (vec![0, 4, 5], 0));
        // Key 3 has two rows at its last time: the later in the spine's order.
        assert_eq!(keep("\"last\"", &all), (vec![3, 4, 7], 1));
        assert_eq!(keep("2", &all), (vec![2, 3, 4, 6, 7], 1));
        assert_eq!(keep("9", &all), ((0..8).collect(), 0));
        // Rows that are not eligible take nobody's place.
        let some = [true, true, false, false, false, true, true, false];
        assert_eq!(keep("\"last\"", &some), (vec![1, 6], 0));
    }
}
