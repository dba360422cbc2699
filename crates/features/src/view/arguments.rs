use karat_core::{DataType, Schema};

use super::Argument;
use crate::expression::{Expression, ExpressionError};

/// What is computed of each event, every expression once.
pub(super) struct Arguments<'a> {
    schema: &'a Schema,
    pub(super) all: Vec<Argument>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(schema: &'a Schema) -> Arguments<'a> {
        Arguments { schema, all: Vec::new() }
    }

    pub(super) fn add(&mut self, sql: &str) -> Result<usize, ExpressionError> {
        let sql = sql.trim();
        if let Some(known) = self.all.iter().position(|argument| argument.expression.sql() == sql) {
            return Ok(known);
        }
        let expression = Expression::compile(sql, self.schema)?;
        // `"a"` and `a` are one column.
        if let Some(name) = expression.as_column() {
            let same = |argument: &Argument| argument.expression.as_column() == Some(name);
            if let Some(known) = self.all.iter().position(same) {
                return Ok(known);
            }
        }
        let data_type = expression.data_type();
        self.all.push(Argument { expression, data_type });
        Ok(self.all.len() - 1)
    }

    pub(super) fn data_type(&self, argument: usize) -> DataType {
        self.all[argument].data_type
    }
}
