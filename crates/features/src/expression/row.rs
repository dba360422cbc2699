//! An expression over one row, without arrays: a decision computes a handful of features, and a column of one cell
//! costs more than what is computed of it.
//!
//! Covers what most features are made of. What it does not cover, or is not sure of (an overflow, a NaN, a date beyond
//! what timestamps name), is left to the evaluation over columns, whose word is law; where this one says anything, it
//! says the same, bit for bit.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::Schema as ArrowSchema;
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use karat_core::time::MICROS_PER_DAY;
use karat_core::{DataType, Instant, Value};

use super::calendar;
use super::calendar_functions::{CalendarFunction, Count, Moment};

/// An expression of which every node is known here.
#[derive(Debug)]
pub(super) enum RowExpression {
    Column(usize),
    Literal(Value),
    Binary(Binary, Box<[RowExpression; 2]>),
    Unary(Unary, Box<RowExpression>),
    /// Conditions with their results, and what holds where none is true.
    Case(Vec<[RowExpression; 2]>, Option<Box<RowExpression>>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Binary {
    Compare(fn(Ordering) -> bool),
    And,
    Or,
    Add,
    Subtract,
    Multiply,
    Divide,
    NullIf,
    Between(Count),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Unary {
    Not,
    IsNull,
    IsNotNull,
    /// From an int or a float.
    ToFloat,
    /// From a date or a timestamp.
    ToTimestamp,
}

/// A value that may be looked at and passed on.
#[derive(Debug, Clone, Copy)]
enum Cell<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'v Arc<str>),
    Date(i32),
    Timestamp(i64),
}

impl RowExpression {
    /// `None` where a node is not known here.
    pub(super) fn compile(physical: &Arc<dyn PhysicalExpr>, input: &ArrowSchema) -> Option<RowExpression> {
        let inner = |node: &Arc<dyn PhysicalExpr>| RowExpression::compile(node, input);
        // Of another width than Karat's, a value is one that columns still cast.
        let arrow = physical.data_type(input).ok()?;
        let data_type = DataType::of_arrow(&arrow).filter(|data_type| data_type.arrow() == arrow)?;
        let unary = |unary: Unary, of: &Arc<dyn PhysicalExpr>| Some(RowExpression::Unary(unary, Box::new(inner(of)?)));
        if let Some(column) = physical.downcast_ref::<Column>() {
            Some(RowExpression::Column(column.index()))
        } else if let Some(literal) = physical.downcast_ref::<Literal>() {
            literal_value(literal.value()).map(RowExpression::Literal)
        } else if let Some(node) = physical.downcast_ref::<BinaryExpr>() {
            Some(RowExpression::Binary(binary(*node.op())?, Box::new([inner(node.left())?, inner(node.right())?])))
        } else if let Some(node) = physical.downcast_ref::<CaseExpr>() {
            if node.expr().is_some() {
                return None;
            }
            let branches = node.when_then_expr().iter().map(|(when, then)| Some([inner(when)?, inner(then)?]));
            let otherwise = match node.else_expr() {
                Some(node) => Some(Box::new(inner(node)?)),
                None => None,
            };
            Some(RowExpression::Case(branches.collect::<Option<_>>()?, otherwise))
        } else if let Some(node) = physical.downcast_ref::<CastExpr>() {
            match data_type {
                DataType::Float => unary(Unary::ToFloat, node.expr()),
                DataType::Timestamp => unary(Unary::ToTimestamp, node.expr()),
                _ => None,
            }
        } else if let Some(node) = physical.downcast_ref::<NotExpr>() {
            unary(Unary::Not, node.arg())
        } else if let Some(node) = physical.downcast_ref::<IsNullExpr>() {
            unary(Unary::IsNull, node.arg())
        } else if let Some(node) = physical.downcast_ref::<IsNotNullExpr>() {
            unary(Unary::IsNotNull, node.arg())
        } else if let Some(node) = physical.downcast_ref::<ScalarFunctionExpr>() {
            let [first, second] = node.args() else { return None };
            let binary = match node.fun().inner().downcast_ref::<CalendarFunction>() {
                Some(function) => Binary::Between(function.count()?),
                None if node.name() == "nullif" => Binary::NullIf,
                None => return None,
            };
            Some(RowExpression::Binary(binary, Box::new([inner(first)?, inner(second)?])))
        } else {
            None
        }
    }

    /// Over the values of the columns; `None` where the columns have to say.
    pub(super) fn evaluate(&self, values: &[Value]) -> Option<Value> {
        Some(match self.cell(values)? {
            Cell::Null => Value::Null,
            Cell::Bool(bool) => Value::Bool(bool),
            Cell::Int(int) => Value::Int(int),
            Cell::Float(float) => Value::Float(float),
            Cell::Text(text) => Value::Text(text.clone()),
            Cell::Date(days) => Value::Date(days),
            Cell::Timestamp(micros) => Value::Timestamp(Instant::from_micros(micros)),
        })
    }

    fn cell<'v>(&'v self, values: &'v [Value]) -> Option<Cell<'v>> {
        match self {
            RowExpression::Column(place) => Cell::of(values.get(*place)?),
            RowExpression::Literal(value) => Cell::of(value),
            RowExpression::Unary(unary, of) => unary.of(of.cell(values)?),
            RowExpression::Binary(binary, sides) => {
                let [left, right] = sides.as_ref();
                match (binary, left.cell(values)?) {
                    // The right side is not looked at, not even for whether it fails.
                    (Binary::And, Cell::Bool(false)) => Some(Cell::Bool(false)),
                    (Binary::Or, Cell::Bool(true)) => Some(Cell::Bool(true)),
                    (binary, left) => binary.of(left, right.cell(values)?),
                }
            }
            RowExpression::Case(branches, otherwise) => {
                for [when, then] in branches {
                    match when.cell(values)? {
                        Cell::Bool(true) => return then.cell(values),
                        Cell::Bool(false) | Cell::Null => {}
                        _ => return None,
                    }
                }
                otherwise.as_ref().map_or(Some(Cell::Null), |otherwise| otherwise.cell(values))
            }
        }
    }
}

fn one_zero(float: f64) -> f64 {
    if float == 0.0 { 0.0 } else { float }
}

/// Days that columns cast to timestamps: a little less than the calendar of their library has, and 64 bits of microseconds.
const CAST_DAYS: Range<i32> = -90_000_000..90_000_000;

fn literal_value(scalar: &ScalarValue) -> Option<Value> {
    match scalar {
        scalar if scalar.is_null() => Some(Value::Null),
        ScalarValue::Boolean(Some(bool)) => Some(Value::Bool(*bool)),
        ScalarValue::Int64(Some(int)) => Some(Value::Int(*int)),
        ScalarValue::Float64(Some(float)) => Some(Value::Float(*float)),
        ScalarValue::Utf8(Some(text)) => Some(Value::text(text)),
        ScalarValue::Date32(Some(days)) => Some(Value::Date(*days)),
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Some(Value::Timestamp(Instant::from_micros(*micros))),
        _ => None,
    }
}

fn binary(operator: Operator) -> Option<Binary> {
    Some(match operator {
        Operator::Eq => Binary::Compare(Ordering::is_eq),
        Operator::NotEq => Binary::Compare(Ordering::is_ne),
        Operator::Lt => Binary::Compare(Ordering::is_lt),
        Operator::LtEq => Binary::Compare(Ordering::is_le),
        Operator::Gt => Binary::Compare(Ordering::is_gt),
        Operator::GtEq => Binary::Compare(Ordering::is_ge),
        Operator::And => Binary::And,
        Operator::Or => Binary::Or,
        Operator::Plus => Binary::Add,
        Operator::Minus => Binary::Subtract,
        Operator::Multiply => Binary::Multiply,
        Operator::Divide => Binary::Divide,
        _ => return None,
    })
}

impl Unary {
    fn of(self, cell: Cell<'_>) -> Option<Cell<'_>> {
        Some(match (self, cell) {
            (Unary::IsNull, cell) => Cell::Bool(matches!(cell, Cell::Null)),
            (Unary::IsNotNull, cell) => Cell::Bool(!matches!(cell, Cell::Null)),
            (Unary::Not | Unary::ToFloat | Unary::ToTimestamp, Cell::Null) => Cell::Null,
            (Unary::Not, Cell::Bool(bool)) => Cell::Bool(!bool),
            (Unary::ToFloat, Cell::Int(int)) => Cell::Float(int as f64),
            (Unary::ToFloat, float @ Cell::Float(_)) => float,
            (Unary::ToTimestamp, Cell::Date(days)) if CAST_DAYS.contains(&days) => {
                Cell::Timestamp(i64::from(days) * MICROS_PER_DAY)
            }
            (Unary::ToTimestamp, timestamp @ Cell::Timestamp(_)) => timestamp,
            _ => return None,
        })
    }
}

impl Binary {
    fn of<'v>(self, left: Cell<'v>, right: Cell<'v>) -> Option<Cell<'v>> {
        Some(match (self, left, right) {
            (Binary::And, _, Cell::Bool(false)) => Cell::Bool(false),
            (Binary::Or, _, Cell::Bool(true)) => Cell::Bool(true),
            (Binary::NullIf, left, Cell::Null) => left,
            (_, Cell::Null, _) | (_, _, Cell::Null) => Cell::Null,
            (Binary::And | Binary::Or, Cell::Bool(left), Cell::Bool(right)) => {
                // What is short is decided above: of AND both are true now, of OR both false.
                debug_assert_eq!(left, right);
                Cell::Bool(left)
            }
            (Binary::Compare(holds), left, right) => Cell::Bool(holds(left.compare(right)?)),
            // To nullif they are two, but not always.
            (Binary::NullIf, Cell::Float(0.0), Cell::Float(0.0)) => return None,
            (Binary::NullIf, left, right) if left.compare(right)?.is_eq() => Cell::Null,
            (Binary::NullIf, left, _) => left,
            (Binary::Between(count), left, right) => Cell::Int(count.between(left.moment()?, right.moment()?)),
            (operation, Cell::Int(left), Cell::Int(right)) => Cell::Int(operation.ints(left, right)?),
            (operation, Cell::Float(left), Cell::Float(right)) => Cell::Float(operation.floats(left, right)?),
            _ => return None,
        })
    }

    fn ints(self, left: i64, right: i64) -> Option<i64> {
        match self {
            Binary::Add => left.checked_add(right),
            Binary::Subtract => left.checked_sub(right),
            Binary::Multiply => left.checked_mul(right),
            Binary::Divide => left.checked_div(right),
            _ => None,
        }
    }

    /// Which NaN comes of two is for the machine to say, and so for one piece of code.
    fn floats(self, left: f64, right: f64) -> Option<f64> {
        let computed = match self {
            Binary::Add => left + right,
            Binary::Subtract => left - right,
            Binary::Multiply => left * right,
            Binary::Divide => left / right,
            _ => return None,
        };
        (!computed.is_nan()).then_some(computed)
    }
}

impl<'v> Cell<'v> {
    fn of(value: &'v Value) -> Option<Cell<'v>> {
        Some(match value {
            Value::Null => Cell::Null,
            Value::Bool(bool) => Cell::Bool(*bool),
            Value::Int(int) => Cell::Int(*int),
            Value::Float(float) => Cell::Float(*float),
            Value::Text(text) => Cell::Text(text),
            Value::Date(days) => Cell::Date(*days),
            Value::Timestamp(instant) => Cell::Timestamp(instant.micros()),
            Value::List(_) => return None,
        })
    }

    /// Floats in IEEE's total order, but for the two zeros, which are one.
    fn compare(self, other: Cell<'_>) -> Option<Ordering> {
        match (self, other) {
            (Cell::Bool(one), Cell::Bool(other)) => Some(one.cmp(&other)),
            (Cell::Int(one), Cell::Int(other)) | (Cell::Timestamp(one), Cell::Timestamp(other)) => {
                Some(one.cmp(&other))
            }
            (Cell::Float(one), Cell::Float(other)) => Some(one_zero(one).total_cmp(&one_zero(other))),
            (Cell::Text(one), Cell::Text(other)) => Some(one.cmp(other)),
            (Cell::Date(one), Cell::Date(other)) => Some(one.cmp(&other)),
            _ => None,
        }
    }

    fn moment(self) -> Option<Moment> {
        match self {
            Cell::Date(days) => Some((i64::from(days), 0)),
            Cell::Timestamp(micros) => Some(calendar::day_of(micros)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use karat_core::{Column, Schema};

    use super::*;
    use crate::Expression;

    #[test]
    fn what_features_are_made_of_is_known() {
        let columns = [
            ("birthday", DataType::Date),
            ("as_of", DataType::Timestamp),
            ("nb", DataType::Int),
            ("x", DataType::Float),
        ];
        let schema = Schema::new(columns.map(|(name, data_type)| Column::new(name, data_type)).to_vec());
        for sql in [
            "years_between(birthday, as_of)",
            "CASE WHEN birthday <= as_of THEN years_between(birthday, as_of) END",
            "nb / nullif(CAST(nb AS FLOAT), 0)",
            "coalesce(x, 0) * 2.5 - nb",
            "x IS NULL OR NOT (nb >= 3 AND x < 1)",
        ] {
            let expression = Expression::compile(sql, &schema).expect("compiles");
            assert!(expression.row.is_some(), "{sql}: {:?}", expression.physical);
        }
    }
}
