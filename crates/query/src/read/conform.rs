//! Brings a column of any Arrow type into one of Karat's, cell by cell where cells can fail.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::FormatOptions;
use karat_core::time::MICROS_PER_SECOND;
use karat_core::{DataType, Zone};

use super::cells::{CellBuilder, Written};
use crate::Result;

pub(crate) struct Conformed {
    pub array: ArrayRef,
    /// True where there was a value and it has none in the wanted type; absent where all went well.
    pub failed: Option<BooleanArray>,
}

/// Whether columns of `from` can be read as `wanted` at all.
pub(crate) fn can_become(from: &ArrowType, wanted: DataType) -> bool {
    match (DataType::of_arrow(from), wanted) {
        (Some(same), wanted) if same == wanted => true,
        (Some(DataType::Int), DataType::Float) | (Some(DataType::Float), DataType::Int) => true,
        (Some(DataType::Text), _) => true,
        _ => false,
    }
}

/// `array` must be one that [`can_become`] `wanted`.
pub(crate) fn conform(array: &ArrayRef, wanted: DataType, zone: &Zone) -> Result<Conformed> {
    if array.data_type() == &wanted.arrow() {
        return Ok(Conformed { array: array.clone(), failed: None });
    }
    let from = DataType::of_arrow(array.data_type());
    let array = match array.data_type() {
        ArrowType::Dictionary(_, value) => cast(array, value)?,
        _ => array.clone(),
    };
    let converted = match (from, wanted) {
        (Some(DataType::Text), DataType::Text) => cast(&array, &ArrowType::Utf8)?,
        (Some(DataType::Text), _) => parse(&cast(&array, &ArrowType::Utf8)?, wanted, zone),
        (Some(DataType::Float), DataType::Int) => whole_numbers(&cast(&array, &ArrowType::Float64)?),
        (_, DataType::Timestamp) => instants(&array, zone)?,
        _ => cast(&array, &wanted.arrow())?,
    };
    let failed = (converted.null_count() > array.logical_null_count()).then(|| {
        let lost = |row| converted.is_null(row) && !array.is_null(row);
        BooleanArray::from((0..array.len()).map(lost).collect::<Vec<bool>>())
    });
    Ok(Conformed { array: converted, failed })
}

/// With nulls where a value does not fit.
fn cast(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef> {
    Ok(cast_with_options(array, to, &CastOptions { safe: true, format_options: FormatOptions::default() })?)
}

fn parse(array: &ArrayRef, wanted: DataType, zone: &Zone) -> ArrayRef {
    let mut builder = CellBuilder::new(wanted);
    let written = Written::plainly(zone.clone());
    for text in array.as_string::<i32>() {
        match text {
            Some(text) => {
                builder.append(text.as_bytes(), &written);
            }
            None => builder.append_null(),
        }
    }
    builder.finish()
}

fn whole_numbers(array: &ArrayRef) -> ArrayRef {
    // 2^63 is the first float too large; -2^63 itself is an i64.
    let fits = |x: f64| x.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x);
    let floats: &Float64Array = array.as_primitive::<Float64Type>();
    Arc::new(floats.iter().map(|x| x.filter(|x| fits(*x)).map(|x| x as i64)).collect::<Int64Array>())
}

/// Naive timestamps are read in `zone`; nanoseconds are cut to microseconds, towards the past.
fn instants(array: &ArrayRef, zone: &Zone) -> Result<ArrayRef> {
    let ArrowType::Timestamp(unit, offset) = array.data_type() else {
        return cast(array, &DataType::Timestamp.arrow());
    };
    let ticks = cast(array, &ArrowType::Int64)?;
    let naive = offset.is_none() && !zone.is_utc();
    let micros: TimestampMicrosecondArray = ticks
        .as_primitive::<arrow::datatypes::Int64Type>()
        .iter()
        .map(|tick| {
            let micros = match unit {
                TimeUnit::Second => tick?.checked_mul(MICROS_PER_SECOND)?,
                TimeUnit::Millisecond => tick?.checked_mul(1000)?,
                TimeUnit::Microsecond => tick?,
                TimeUnit::Nanosecond => tick?.div_euclid(1000),
            };
            if naive { in_zone(micros, zone) } else { Some(micros) }
        })
        .collect();
    Ok(Arc::new(micros.reinterpret_cast::<TimestampMicrosecondType>().with_data_type(DataType::Timestamp.arrow())))
}

fn in_zone(micros: i64, zone: &Zone) -> Option<i64> {
    let civil = Zone::utc().civil(karat_core::Instant::from_micros(micros))?;
    Some(zone.instant(civil).micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{StringViewArray, TimestampNanosecondArray, UInt64Array};
    use karat_core::Value;

    fn cells(array: ArrayRef, wanted: DataType, zone: &Zone) -> (Vec<String>, Vec<bool>) {
        assert!(can_become(array.data_type(), wanted));
        let conformed = conform(&array, wanted, zone).unwrap();
        let failed = match conformed.failed {
            Some(failed) => failed.iter().map(|f| f.unwrap()).collect(),
            None => vec![false; array.len()],
        };
        ((0..array.len()).map(|row| Value::from_array(&conformed.array, row).to_string()).collect(), failed)
    }

    #[test]
    fn values_that_do_not_fit_are_told() {
        let (values, failed) =
            cells(Arc::new(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)])), DataType::Int, &Zone::utc());
        assert_eq!((values, failed), (vec!["1".into(), "null".into(), "null".into()], vec![false, false, true]));
        let floats = Float64Array::from(vec![2.0, 2.5, -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0]);
        let (values, failed) = cells(Arc::new(floats), DataType::Int, &Zone::utc());
        assert_eq!(values, ["2", "null", "-9223372036854775808", "null"]);
        assert_eq!(failed, [false, true, false, true]);
        let texts = StringViewArray::from(vec!["3021-09-18", "soon"]);
        let (values, failed) = cells(Arc::new(texts), DataType::Date, &Zone::utc());
        assert_eq!((values[0].as_str(), failed), ("3021-09-18", vec![false, true]));
    }

    #[test]
    fn naive_timestamps_are_read_in_the_zone_and_nanoseconds_cut_to_the_past() {
        let prague = Zone::named("Europe/Prague").unwrap();
        let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1, 0]));
        let (values, _) = cells(array, DataType::Timestamp, &prague);
        assert_eq!(values, ["1969-12-31T22:59:59.999999Z", "1969-12-31T23:00:00Z"]);
    }
}
