//! Rows of a text file on their way into a [`ReadBatch`], whatever the file's form.

use arrow::array::{AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::SchemaRef;

use super::cells::CellBuilder;
use super::{BATCH_ROWS, BadRow, FileRead, Place, ReadBatch, Sink, WantedColumn, schema_of};
use crate::{Progress, Result};

pub(super) struct BatchBuilder {
    pub(super) builders: Vec<CellBuilder>,
    file: u32,
    rows_before: i64,
    schema: SchemaRef,
    lines: Vec<i64>,
    numbers: Vec<i64>,
    /// Per row in the builders: every cell was read.
    good: Vec<bool>,
    bad: Vec<BadRow>,
    /// Rows begun since the last were sent, those that could not be read included.
    taken: usize,
}

impl BatchBuilder {
    pub(super) fn new(read: &FileRead, place: &Place) -> BatchBuilder {
        BatchBuilder { file: place.index, rows_before: place.rows_before as i64, ..BatchBuilder::of(&read.columns) }
    }

    /// Of rows that stand in no file.
    pub(super) fn of(columns: &[WantedColumn]) -> BatchBuilder {
        BatchBuilder {
            builders: columns.iter().map(|column| CellBuilder::new(column.data_type)).collect(),
            file: 0,
            rows_before: 0,
            schema: schema_of(columns).arrow(),
            lines: Vec::new(),
            numbers: Vec::new(),
            good: Vec::new(),
            bad: Vec::new(),
            taken: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.taken >= BATCH_ROWS
    }

    pub(super) fn begin_row(&mut self) {
        self.taken += 1;
    }

    /// Ends a row of which every builder has its cell; one that is not good was rejected beside.
    pub(super) fn end_row(&mut self, line: u64, number: i64, good: bool) {
        self.lines.push(line as i64);
        self.numbers.push(number);
        self.good.push(good);
    }

    pub(super) fn reject(
        &mut self,
        line: u64,
        column: Option<String>,
        value: Option<String>,
        reason: String,
        row: String,
    ) {
        self.bad.push(BadRow { file: self.file, line: line as i64, column, value, reason, row });
    }

    /// Sends what has gathered on its way.
    pub(super) fn send(&mut self, progress: &dyn Progress, sink: &mut Sink) -> Result<()> {
        progress.rows(self.taken as u64);
        sink(self.flush()?)
    }

    pub(super) fn flush(&mut self) -> Result<ReadBatch> {
        let columns = self.builders.iter_mut().map(CellBuilder::finish).collect();
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        let lines = Int64Array::from(std::mem::take(&mut self.lines));
        let numbers = Int64Array::from(std::mem::take(&mut self.numbers));
        let good = BooleanArray::from(std::mem::take(&mut self.good));
        let bad = std::mem::take(&mut self.bad);
        self.taken = 0;
        let batch = ReadBatch { rows, file: self.file, lines, numbers, rows_before: self.rows_before, bad };
        if good.true_count() == good.len() { Ok(batch) } else { batch.filter(&good) }
    }
}

impl ReadBatch {
    /// Only the rows where `keep` is true.
    pub(crate) fn filter(self, keep: &BooleanArray) -> Result<ReadBatch> {
        Ok(ReadBatch {
            rows: filter_record_batch(&self.rows, keep)?,
            lines: filter(&self.lines, keep)?.as_primitive().clone(),
            numbers: filter(&self.numbers, keep)?.as_primitive().clone(),
            ..self
        })
    }
}
