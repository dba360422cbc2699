//! The one expression language: DataFusion's scalar SQL, narrowed to an allow-list, compiled once, evaluated on batches.
//!
//! The result is always a column in Karat's own Arrow form. Integer overflow, integer division by zero and a failed
//! `CAST` are evaluation errors that name the expression and the row, for whoever sets such rows apart; a feature is null there.
//! Every row means what it means alone: a batch never makes a row fail that would pass by itself.

mod calendar;
mod calendar_functions;
mod coerce;
mod compile;
mod error;
mod functions;
mod row;
mod syntax;

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::CastOptions;
use arrow::datatypes::SchemaRef;
use datafusion_physical_expr::PhysicalExpr;
use karat_core::{DataType, Schema, Value};
use row::RowExpression;

pub use error::ExpressionError;
pub use functions::function_names;

/// Raised whenever a function of the allow-list, a coercion or an aggregate begins to give other values.
pub const SEMANTICS: u32 = 1;

/// What becomes of a row that an expression fails on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    Refused,
    Null,
}

/// A compiled SQL expression over the columns of one row.
#[derive(Clone)]
pub struct Expression {
    sql: Arc<str>,
    physical: Arc<dyn PhysicalExpr>,
    row: Option<Arc<RowExpression>>,
    data_type: DataType,
    columns: Vec<String>,
    input: SchemaRef,
    plain: bool,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({}: {})", self.sql, self.data_type)
    }
}

impl Expression {
    /// Compiles `sql` over the columns of `schema`. Names of columns are case-sensitive, names of functions are not.
    pub fn compile(sql: &str, schema: &Schema) -> Result<Expression, ExpressionError> {
        compile::compile(sql, schema)
    }

    /// The names `sql` reads, in the order in which they first stand there, whether or not such columns exist.
    pub fn names(sql: &str) -> Result<Vec<String>, ExpressionError> {
        compile::names(sql)
    }

    pub fn sql(&self) -> &str {
        &self.sql
    }

    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The columns read, in the order in which they first stand in the expression.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The column, where the expression is nothing but its name.
    pub fn as_column(&self) -> Option<&str> {
        if self.plain { self.columns.first().map(String::as_str) } else { None }
    }

    /// Evaluates over a batch that has, among others and in any order, the columns read.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, ExpressionError> {
        self.evaluate_columns(self.read(batch)?, batch.num_rows())
    }

    /// As [`Expression::evaluate`], null in rows that it fails on.
    pub fn evaluate_or_null(&self, batch: &RecordBatch) -> Result<ArrayRef, ExpressionError> {
        self.evaluate_columns_or_null(self.read(batch)?, batch.num_rows())
    }

    fn read(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ExpressionError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for name in &self.columns {
            let column = batch.column_by_name(name).ok_or_else(|| self.missing(name))?;
            columns.push(column.clone());
        }
        Ok(columns)
    }

    /// Evaluates over the arrays of [`Expression::columns`], in that order.
    pub fn evaluate_columns(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef, ExpressionError> {
        self.evaluate_batch(columns, rows, Failing::Refused)
    }

    /// As [`Expression::evaluate_columns`], null in rows that it fails on.
    pub fn evaluate_columns_or_null(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef, ExpressionError> {
        self.evaluate_batch(columns, rows, Failing::Null)
    }

    fn evaluate_batch(
        &self,
        columns: Vec<ArrayRef>,
        rows: usize,
        failing: Failing,
    ) -> Result<ArrayRef, ExpressionError> {
        if let (true, Some(column)) = (self.plain, columns.first()) {
            return Ok(column.clone());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.input.clone(), columns, &options)
            .map_err(|error| ExpressionError::evaluate(&self.sql, 0, error))?;
        self.evaluate_rows(&batch, 0, failing)
    }

    /// Evaluates over the values of [`Expression::columns`], in that order: what a batch of that row alone would give.
    pub fn evaluate_row(&self, values: &[Value]) -> Result<Value, ExpressionError> {
        self.evaluate_values(values, Failing::Refused)
    }

    /// As [`Expression::evaluate_row`], null where it fails.
    pub fn evaluate_row_or_null(&self, values: &[Value]) -> Result<Value, ExpressionError> {
        self.evaluate_values(values, Failing::Null)
    }

    fn evaluate_values(&self, values: &[Value], failing: Failing) -> Result<Value, ExpressionError> {
        if let Some(value) = self.row.as_ref().and_then(|row| row.evaluate(values)) {
            return Ok(value);
        }
        let columns = self.input.fields().iter().zip(values).map(|(field, value)| {
            let data_type = DataType::of_arrow(field.data_type()).expect("an input is of one of Karat's types");
            Value::to_array(std::slice::from_ref(value), data_type)
        });
        let column = self.evaluate_batch(columns.collect(), 1, failing)?;
        Ok(Value::from_array(&column, 0))
    }

    /// Where a batch fails, its halves are tried, down to single rows: SQL's `AND`, `OR` and `CASE` shield a row from
    /// an error only when they are evaluated for that row alone.
    fn evaluate_rows(
        &self,
        batch: &RecordBatch,
        first_row: usize,
        failing: Failing,
    ) -> Result<ArrayRef, ExpressionError> {
        match self.evaluate_once(batch) {
            Ok(array) => Ok(array),
            Err(_) if batch.num_rows() <= 1 && failing == Failing::Null => {
                Ok(new_null_array(&self.data_type.arrow(), batch.num_rows()))
            }
            Err(reason) if batch.num_rows() <= 1 => Err(ExpressionError::evaluate(&self.sql, first_row, reason)),
            Err(_) => {
                let half = batch.num_rows() / 2;
                let left = self.evaluate_rows(&batch.slice(0, half), first_row, failing)?;
                let rest = batch.slice(half, batch.num_rows() - half);
                let right = self.evaluate_rows(&rest, first_row + half, failing)?;
                arrow::compute::concat(&[&left, &right])
                    .map_err(|error| ExpressionError::evaluate(&self.sql, first_row, error))
            }
        }
    }

    fn evaluate_once(&self, batch: &RecordBatch) -> Result<ArrayRef, datafusion_common::DataFusionError> {
        let array = self.physical.evaluate(batch)?.into_array(batch.num_rows())?;
        let wanted = self.data_type.arrow();
        if *array.data_type() == wanted {
            return Ok(array);
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        Ok(arrow::compute::cast_with_options(&array, &wanted, &strict)?)
    }

    fn missing(&self, name: &str) -> ExpressionError {
        ExpressionError::Evaluate {
            sql: self.sql.to_string(),
            row: 0,
            reason: format!("the batch has no column `{name}`"),
        }
    }
}
