//! Cases on disk in spine order.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef, UInt64Type};

use super::super::cases::Cases;
use super::whole_keys::{Gathering, WholeKeys};
use crate::Workspace;
use crate::spill::{self, Blocks, BlocksWriter, Reading};

/// Times and labels stand after the spine's own columns, by place: a column of the spine may have any name.
const BESIDE: [&str; 3] = ["as_of", "label", "label_time"];

/// Cases with columns beside them, on their way to disk.
pub(super) struct CasesWriter {
    schema: Option<SchemaRef>,
    cases: BlocksWriter,
    beside: usize,
}

pub(super) struct CasesSpool {
    schema: SchemaRef,
    cases: Blocks,
    beside: usize,
}

impl CasesWriter {
    pub fn new(workspace: &Workspace) -> Result<CasesWriter> {
        let cases = BlocksWriter::new(&workspace.temporary()?, 1, spill::blocks(workspace))?;
        Ok(CasesWriter { schema: None, cases, beside: 0 })
    }

    pub fn push(&mut self, cases: &Cases, beside: Vec<ArrayRef>) -> Result<()> {
        let own: [ArrayRef; 3] =
            [Arc::new(cases.as_of.clone()), cases.label.clone(), Arc::new(cases.label_time.clone())];
        self.beside = beside.len();
        let mut fields: Vec<Field> = cases.rows.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        fields
            .extend(BESIDE.iter().zip(&own).map(|(name, column)| Field::new(*name, column.data_type().clone(), true)));
        fields.extend(beside.iter().map(|column| Field::new("", column.data_type().clone(), true)));
        let columns = cases.rows.columns().iter().cloned().chain(own).chain(beside).collect();
        let schema = self.schema.get_or_insert_with(|| Arc::new(Schema::new(fields)));
        let batch = RecordBatch::try_new(schema.clone(), columns)?;
        self.cases.push(0, batch)
    }

    pub fn finish(self) -> Result<CasesSpool> {
        let schema = self.schema.context("a spine has rows")?;
        Ok(CasesSpool { schema, cases: self.cases.finish()?, beside: self.beside })
    }
}

impl CasesSpool {
    pub fn rows(&self) -> u64 {
        self.cases.rows(0) as u64
    }

    /// The cases in batches, each with what stands beside them; one without rows, where there are none.
    pub fn batches(&self, gathering: Gathering) -> impl Iterator<Item = Result<(Cases, Vec<ArrayRef>)>> {
        let none = (self.rows() == 0).then(|| Ok(RecordBatch::new_empty(self.schema.clone())));
        WholeKeys::new(self.cases.read(0), gathering).chain(none).map(|batch| self.cases_of(&batch?))
    }

    fn cases_of(&self, batch: &RecordBatch) -> Result<(Cases, Vec<ArrayRef>)> {
        let spine = batch.num_columns() - BESIDE.len() - self.beside;
        let times = |place: usize| batch.column(spine + place).as_primitive::<Int64Type>().clone();
        let cases = Cases {
            rows: batch.project(&(0..spine).collect::<Vec<_>>())?,
            as_of: times(0),
            label: batch.column(spine + 1).clone(),
            label_time: times(2),
        };
        Ok((cases, batch.columns()[spine + BESIDE.len()..].to_vec()))
    }
}

/// Rows are written so many at once.
const ROWS: usize = 8192;

/// Numbers of rows on their way to disk, ascending.
pub(super) struct RowsWriter {
    waiting: Vec<u64>,
    rows: BlocksWriter,
}

impl RowsWriter {
    pub fn new(workspace: &Workspace) -> Result<RowsWriter> {
        Ok(RowsWriter {
            waiting: Vec::new(),
            rows: BlocksWriter::new(&workspace.temporary()?, 1, spill::blocks(workspace))?,
        })
    }

    pub fn push(&mut self, row: u64) -> Result<()> {
        self.waiting.push(row);
        if self.waiting.len() == ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let rows: ArrayRef = Arc::new(UInt64Array::from(std::mem::take(&mut self.waiting)));
        self.rows.write(0, &RecordBatch::try_from_iter([("row", rows)])?)
    }

    pub fn finish(mut self) -> Result<RowsSpool> {
        self.write()?;
        Ok(RowsSpool { batches: self.rows.finish()?.read(0), rows: Vec::new().into_iter(), next: None, before: 0 })
    }
}

/// The numbers, to be gone through once.
pub(super) struct RowsSpool {
    batches: Reading,
    rows: std::vec::IntoIter<u64>,
    next: Option<u64>,
    before: u64,
}

impl RowsSpool {
    /// Of the next so many rows, whether each is among these.
    pub fn flags(&mut self, rows: usize) -> Result<Vec<bool>> {
        let mut flags = vec![false; rows];
        let end = self.before + rows as u64;
        while let Some(row) = self.peek()?.filter(|row| *row < end) {
            flags[(row - self.before) as usize] = true;
            self.next = None;
        }
        self.before = end;
        Ok(flags)
    }

    fn peek(&mut self) -> Result<Option<u64>> {
        while self.next.is_none() {
            self.next = self.rows.next();
            if self.next.is_none() {
                let Some(batch) = self.batches.next() else { return Ok(None) };
                self.rows = batch?.column(0).as_primitive::<UInt64Type>().values().to_vec().into_iter();
            }
        }
        Ok(self.next)
    }
}
