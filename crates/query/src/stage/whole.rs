//! Checks of a delivery as a whole: whether it fails, and what was found, in words.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute;
use arrow::datatypes::{DataType as ArrowType, Date32Type, TimestampMicrosecondType};
use karat_core::{Instant, Window, Zone};

use super::Occasion;

/// The greatest value of a column of dates or timestamps, as an instant.
pub(super) fn newest(array: &ArrayRef, zone: &Zone) -> Option<i64> {
    match array.data_type() {
        ArrowType::Date32 => compute::max(array.as_primitive::<Date32Type>()).map(|day| zone.midnight(day).micros()),
        _ => compute::max(array.as_primitive::<TimestampMicrosecondType>()),
    }
}

pub(super) fn freshness(newest: Option<i64>, within: Window, occasion: &Occasion, zone: &Zone) -> (bool, String) {
    let oldest = within.start(occasion.at, zone);
    match newest.map(Instant::from_micros) {
        None => (true, "there is no value, so nothing is fresh".to_owned()),
        Some(newest) if newest < oldest => {
            (true, format!("the newest value, {newest}, is older than {within} before {}", occasion.at))
        }
        Some(newest) => (false, format!("the newest value is {newest}")),
    }
}

pub(super) fn volume(rows: u64, last: usize, tolerance: f64, occasion: &Occasion) -> (bool, String) {
    let earlier = &occasion.earlier[occasion.earlier.len().saturating_sub(last)..];
    if earlier.is_empty() {
        return (false, "there is no delivery to compare with yet".to_owned());
    }
    let mean = earlier.iter().map(|rows| *rows as f64).sum::<f64>() / earlier.len() as f64;
    let off = (rows as f64 - mean).abs() > tolerance * mean;
    let deliveries =
        if earlier.len() == 1 { "the delivery".to_owned() } else { format!("the {} deliveries", earlier.len()) };
    let found = format!("{rows} rows, where {deliveries} before had {mean:.0} on average");
    let text = if off { format!("{found}: off by more than {} %", tolerance * 100.0) } else { found };
    (off, text)
}
