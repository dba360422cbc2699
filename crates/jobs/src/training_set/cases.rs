//! The spine's rows with their times and labels, and which of them are learned from.

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::Int64Type;
use karat_core::{Column, Instant, Zone};
use karat_project::spec::{Keep, Model};
use karat_training::LeftOut;

use super::always;
use super::keep::Keeping;
use super::spine::{declared_as_of, instants};

/// Rows of a spine in its order, or some that follow each other.
pub(super) struct Cases {
    pub rows: RecordBatch,
    pub as_of: Int64Array,
    pub label: ArrayRef,
    pub label_time: Int64Array,
}

impl Cases {
    /// Where columns of the spine say what came of its rows.
    pub fn by_columns(model: &Model, zone: &Zone, rows: RecordBatch, as_of: Int64Array) -> Result<Cases> {
        let label_time = match &model.spine.label_time {
            Some(name) => instants(column(&rows, name)?, zone)?,
            None => as_of.clone(),
        };
        let label = column(&rows, model.spine.label.name())?.clone();
        Ok(Cases { rows, as_of, label, label_time })
    }

    pub fn filter(&self, wanted: &BooleanArray) -> Result<Cases> {
        let times = |times: &Int64Array| anyhow::Ok(filter(times, wanted)?.as_primitive::<Int64Type>().clone());
        Ok(Cases {
            rows: filter_record_batch(&self.rows, wanted)?,
            as_of: times(&self.as_of)?,
            label: filter(&self.label, wanted)?,
            label_time: times(&self.label_time)?,
        })
    }
}

/// As of when each row is.
pub(super) fn as_of(model: &Model, zone: &Zone, rows: &RecordBatch) -> Result<Int64Array> {
    match &model.spine.as_of {
        Some(name) => declared_as_of(column(rows, name)?, zone, model, name),
        // Rows without a time are all alike in time, whenever they came: splits and digests must not depend on that.
        None => Ok(always(Instant::ALWAYS, rows.num_rows())),
    }
}

pub(super) fn column<'r>(rows: &'r RecordBatch, name: &str) -> Result<&'r ArrayRef> {
    rows.column_by_name(name).with_context(|| format!("the spine has no column {name}"))
}

/// The spine's columns of a key.
pub(super) fn columns_of(rows: &RecordBatch, keys: &[Column]) -> Result<Vec<ArrayRef>> {
    keys.iter().map(|key| column(rows, &key.name).cloned()).collect()
}

/// Says which cases are learned from. They are shown in spine order, batch after batch.
pub(super) struct Choosing {
    keeping: Option<Keeping>,
    rows: u64,
    left_out: LeftOut,
}

/// What [`Choosing`] left out, and what is odd about that without being wrong.
#[derive(Default)]
pub(super) struct Chosen {
    pub left_out: LeftOut,
    pub warnings: Vec<String>,
}

impl Choosing {
    pub fn new(rule: Option<Keep>) -> Choosing {
        Choosing { keeping: rule.map(Keeping::new), rows: 0, left_out: LeftOut::default() }
    }

    /// Takes the next cases with their keys; `open` are those whose label may still change. Gives the numbers of rows that
    /// are learned from, ascending; where some of each key are kept, as soon as that is known.
    pub fn push(
        &mut self,
        keys: &[ArrayRef],
        cases: &Cases,
        open: &[bool],
        mut chosen: impl FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let before = self.rows;
        self.rows += open.len() as u64;
        self.left_out.open += open.iter().filter(|open| **open).count() as u64;
        let Some(keeping) = &mut self.keeping else {
            let closed = (before..).zip(open).filter(|(_, open)| !**open);
            return closed.map(|(row, _)| row).try_for_each(chosen);
        };
        let eligible: Vec<bool> =
            open.iter().enumerate().map(|(row, open)| !open && cases.label.is_valid(row)).collect();
        let closed = open.iter().filter(|open| !**open).count() as u64;
        self.left_out.unlabelled += closed - eligible.iter().filter(|eligible| **eligible).count() as u64;
        keeping.push(keys, &cases.as_of, &eligible, &mut chosen)
    }

    /// How many rows were taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn finish(self, chosen: impl FnMut(u64) -> Result<()>) -> Result<Chosen> {
        let mut left_out = self.left_out;
        let Some(keeping) = self.keeping else { return Ok(Chosen { left_out, warnings: Vec::new() }) };
        let kept = keeping.finish(chosen)?;
        left_out.not_kept = self.rows - left_out.open - left_out.unlabelled - kept.rows;
        let warning = (kept.tied > 0).then(|| {
            format!(
                "{} keys have rows of one as_of of which `keep` takes some: it goes by their other columns, the label first",
                kept.tied
            )
        });
        Ok(Chosen { left_out, warnings: warning.into_iter().collect() })
    }
}
