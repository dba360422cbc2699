//! Values as whole numbers in their order, so that counting, ranking and binning are written once.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use karat_core::{DataType, Instant, Value};

/// Of a float: the order of numbers, `-0.0` being `0.0`.
fn of_float(value: f64) -> i64 {
    flip((value + 0.0).to_bits() as i64)
}

/// Its own inverse.
fn flip(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// Of a number on the scale that [`position`] gives.
pub(super) fn at_position(position: f64, data_type: DataType) -> i64 {
    match data_type {
        DataType::Float => of_float(position),
        // A cast saturates.
        _ => position.round() as i64,
    }
}

/// Where a code stands on a scale of even steps: the number itself, days, microseconds.
pub(super) fn position(code: i64, data_type: DataType) -> f64 {
    match data_type {
        DataType::Float => f64::from_bits(flip(code) as u64),
        _ => code as f64,
    }
}

pub(super) fn value(code: i64, data_type: DataType) -> Value {
    match data_type {
        DataType::Bool => Value::Bool(code != 0),
        DataType::Float => Value::Float(f64::from_bits(flip(code) as u64)),
        DataType::Date => Value::Date(i32::try_from(code).unwrap_or(if code < 0 { i32::MIN } else { i32::MAX })),
        DataType::Timestamp => Value::Timestamp(Instant::from_micros(code)),
        DataType::Int | DataType::Text => Value::Int(code),
    }
}

/// What a row of a column holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    /// A float that is none.
    Nan,
    Code(i64),
    Text(&'a str),
}

/// Every row of a column in Karat's types.
pub(super) fn each<'a>(array: &'a ArrayRef, mut take: impl FnMut(usize, Cell<'a>)) {
    macro_rules! walk {
        ($values:expr, $cell:expr) => {{
            let values = $values;
            for row in 0..values.len() {
                take(row, if values.is_null(row) { Cell::Null } else { $cell(values.value(row)) });
            }
        }};
    }
    match DataType::of_arrow(array.data_type()) {
        Some(DataType::Bool) => walk!(array.as_boolean(), |v: bool| Cell::Code(i64::from(v))),
        Some(DataType::Int) => walk!(array.as_primitive::<Int64Type>(), Cell::Code),
        Some(DataType::Float) => walk!(array.as_primitive::<Float64Type>(), |v: f64| if v.is_nan() {
            Cell::Nan
        } else {
            Cell::Code(of_float(v))
        }),
        Some(DataType::Text) => walk!(array.as_string::<i32>(), Cell::Text),
        Some(DataType::Date) => walk!(array.as_primitive::<Date32Type>(), |v: i32| Cell::Code(i64::from(v))),
        Some(DataType::Timestamp) => walk!(array.as_primitive::<TimestampMicrosecondType>(), Cell::Code),
        None => unreachable!("columns are brought to Karat's types where they enter"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_the_order_of_floats() {
        let floats = [f64::NEG_INFINITY, -1e300, -2.5, -1e-300, 0.0, 1e-300, 2.5, 1e300, f64::INFINITY];
        let codes = floats.map(of_float);
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
        for (float, code) in floats.into_iter().zip(codes) {
            assert_eq!(position(code, DataType::Float), float);
        }
        assert_eq!(of_float(-0.0), of_float(0.0));
    }
}
