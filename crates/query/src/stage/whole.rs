//! Checks of a delivery as a whole: whether it fails, and what was found, in words.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute;
use arrow::datatypes::{DataType as ArrowType, Date32Type, TimestampMicrosecondType};
use karat_core::{Instant, Window, Zone};

use karat_project::spec::Delivery;

use super::rules::{CompiledRule, Test};
use super::{ContractReport, Occasion};

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

pub(super) fn volume(rows: u64, what: &str, last: usize, tolerance: f64, occasion: &Occasion) -> (bool, String) {
    let earlier = &occasion.earlier[occasion.earlier.len().saturating_sub(last)..];
    if earlier.is_empty() {
        return (false, "there is no delivery to compare with yet".to_owned());
    }
    let mean = earlier.iter().map(|rows| *rows as f64).sum::<f64>() / earlier.len() as f64;
    let off = (rows as f64 - mean).abs() > tolerance * mean;
    let deliveries =
        if earlier.len() == 1 { "the delivery".to_owned() } else { format!("the {} deliveries", earlier.len()) };
    let found = format!("{rows} {what}, where {deliveries} before had {mean:.0} on average");
    let text = if off { format!("{found}: off by more than {} %", tolerance * 100.0) } else { found };
    (off, text)
}

/// Whether `volume` counts the rows of a delivery that say something new: where it is not all there is, it may hold again
/// what earlier ones brought, as a folder does that only grows.
pub fn counts_news(delivery: Delivery) -> bool {
    matches!(delivery, Delivery::Append | Delivery::Changes)
}

/// What a `volume` check finds before that is known.
pub(super) const NEWS_ARE_COUNTED_LATER: &str = "new rows are counted when they are taken into history";

/// Judges the `volume` checks that wait for the number of rows that say something new.
pub(crate) fn judge_news(report: &mut ContractReport, rules: &[CompiledRule], rows: u64, occasion: &Occasion) {
    for (rule, report) in rules.iter().zip(&mut report.rules) {
        if let Test::Volume { last, tolerance } = rule.test {
            let (failed, reason) = volume(rows, "new rows", last, tolerance, occasion);
            report.examined = rows;
            report.failed = u64::from(failed);
            report.share = f64::from(u8::from(failed));
            report.fired = failed && rule.fail_above.is_some();
            report.reason = reason;
        }
    }
}
