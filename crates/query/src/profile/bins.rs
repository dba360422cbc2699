//! Where a value falls: value by value where there are few, else between edges.

use hashbrown::HashMap;
use karat_core::DataType;
use karat_core::profile::{Bin, LabelBin};
use serde_json::Value as Json;

use super::code::{self, Cell};
use super::column::{Column, counted_text};

/// A column of so many values or fewer has a bin for each.
const FEW_VALUES: u64 = 20;
/// Bins of a histogram by width.
const WIDTHS: usize = 24;
/// Bins of about equal size.
const TENTHS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const OTHER: &str = "all others";

pub(super) enum Bins {
    /// Codes in their order.
    Codes(Vec<i64>, DataType),
    /// Texts by frequency, then a bin for all others where there are any.
    Texts { places: HashMap<Box<str>, usize>, names: Vec<Box<str>>, others: bool },
    /// One bin fewer than edges; `edges[i] <= code < edges[i + 1]`, the last end included.
    Edges(Vec<i64>, DataType),
}

impl Bins {
    /// For a picture: of equal width, with wider ones at the ends where tails are long.
    pub(super) fn by_width(column: &Column) -> Bins {
        Bins::few(column).unwrap_or_else(|| Bins::Edges(even_edges(column), column.data_type()))
    }

    /// Of about equal size.
    pub(super) fn by_size(column: &Column) -> Bins {
        Bins::few(column).unwrap_or_else(|| {
            let Some((low, high)) = column.ends() else { return Bins::Edges(Vec::new(), column.data_type()) };
            let mut edges = vec![low];
            edges.extend(column.quantiles(&TENTHS).into_iter().filter(|edge| (low..high).contains(edge)));
            edges.push(high);
            edges.dedup();
            if edges.len() == 1 {
                edges.push(high);
            }
            Bins::Edges(edges, column.data_type())
        })
    }

    fn few(column: &Column) -> Option<Bins> {
        if column.data_type() == DataType::Text {
            let names = column.top_texts(FEW_VALUES as usize);
            let places = names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
            let others = column.distinct() > names.len() as u64;
            return Some(Bins::Texts { places, names, others });
        }
        let all = column.all_values().filter(|all| all.len() as u64 <= FEW_VALUES)?;
        Some(Bins::Codes(all.into_iter().map(|(value, _)| value).collect(), column.data_type()))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Bins::Codes(codes, _) => codes.len(),
            Bins::Texts { names, others, .. } => names.len() + usize::from(*others),
            Bins::Edges(edges, _) => edges.len().saturating_sub(1),
        }
    }

    /// Which bin; `None` for null and for what is no number.
    pub(super) fn place(&self, cell: Cell<'_>) -> Option<usize> {
        match (self, cell) {
            (Bins::Codes(codes, _), Cell::Code(code)) => codes.binary_search(&code).ok(),
            (Bins::Texts { places, names, others }, Cell::Text(text)) => {
                let found = places.get(counted_text(text).as_ref()).copied();
                found.or_else(|| others.then_some(names.len()))
            }
            (Bins::Edges(edges, _), Cell::Code(code)) if edges.len() > 1 => {
                let above = edges.partition_point(|edge| *edge <= code);
                Some(above.saturating_sub(1).min(edges.len() - 2))
            }
            _ => None,
        }
    }

    /// A bin's name and its ends.
    fn named(&self, place: usize) -> (String, Json, Json) {
        match self {
            Bins::Codes(codes, data_type) => {
                (code::value(codes[place], *data_type).to_string(), Json::Null, Json::Null)
            }
            Bins::Texts { names, .. } => {
                let name = names.get(place).map_or(OTHER, AsRef::as_ref);
                (name.to_owned(), Json::Null, Json::Null)
            }
            Bins::Edges(edges, data_type) => {
                let ends = [edges[place], edges[place + 1]].map(|edge| code::value(edge, *data_type));
                let words = ends.clone().map(|end| match end {
                    // An edge is a place to cut at: more digits than these say nothing.
                    karat_core::Value::Float(edge) => short(edge),
                    karat_core::Value::Timestamp(_) => end.to_string().replace("T00:00:00Z", ""),
                    other => other.to_string(),
                });
                let [from, to] = ends;
                (format!("{} – {}", words[0], words[1]), from.to_json(), to.to_json())
            }
        }
    }

    pub(super) fn histogram(&self, rows: &[u64]) -> Vec<Bin> {
        let bin = |(place, rows): (usize, &u64)| {
            let (name, from, to) = self.named(place);
            Bin { name, from, to, rows: *rows }
        };
        rows.iter().enumerate().map(bin).collect()
    }

    /// Bins with training rows and, of these, positives.
    pub(super) fn labelled(&self, counts: &[(u64, u64)]) -> Vec<LabelBin> {
        let bin = |(place, (rows, positives)): (usize, &(u64, u64))| {
            let (name, from, to) = self.named(place);
            LabelBin { name, from, to, rows: *rows, positives: *positives }
        };
        counts.iter().enumerate().map(bin).collect()
    }
}

/// Six digits.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let places = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Round edges over where the values are; the ends of a long tail are one bin each.
fn even_edges(column: &Column) -> Vec<i64> {
    let data_type = column.data_type();
    let Some((low, high)) = column.ends() else { return Vec::new() };
    let at = |code| code::position(code, data_type);
    let trimmed = column.quantiles(&[0.01, 0.99]);
    let (mut from, mut to) = (at(low), at(high));
    if let [first, last] = trimmed[..]
        && !(to - from <= 3.0 * (at(last) - at(first)) && (to - from).is_finite())
    {
        (from, to) = (at(first), at(last));
    }
    let mut edges = vec![low];
    let whole = data_type != DataType::Float;
    if to > from && (to - from).is_finite() {
        let mut step = round_step((to - from) / WIDTHS as f64);
        if whole {
            step = step.ceil().max(1.0);
        }
        let first = (from / step).floor() as i64;
        for number in 0..=(WIDTHS as i64 + 2) {
            let edge = (first + number) as f64 * step;
            if edge > to {
                break;
            }
            edges.push(code::at_position(edge, data_type));
        }
    }
    edges.push(high);
    edges.retain(|edge| (low..=high).contains(edge));
    edges.sort_unstable();
    edges.dedup();
    if edges.len() == 1 {
        edges.push(high);
    }
    edges
}

/// The next of 1, 2, 5, 10… that is no smaller.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let digits = step / power;
    [1.0, 2.0, 5.0].into_iter().find(|round| digits <= round + 1e-9).unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::*;

    fn seen(array: ArrayRef) -> Column {
        let mut column = Column::new(DataType::of_arrow(array.data_type()).unwrap());
        column.add(&array);
        column
    }

    fn counted(bins: &Bins, array: ArrayRef) -> u64 {
        let mut placed = 0;
        code::each(&array, |_, cell| placed += u64::from(bins.place(cell).is_some_and(|place| place < bins.len())));
        placed
    }

    #[test]
    fn every_value_has_its_bin() {
        let mut floats: Vec<f64> = (0..5000).map(|i| f64::from(i * 7919 % 5003) / 7.0).collect();
        floats.extend([-1e300, 1e300, f64::INFINITY, 0.0]);
        let floats: ArrayRef = Arc::new(Float64Array::from(floats));
        let ints: ArrayRef = Arc::new(Int64Array::from_iter_values((0..100).chain([i64::MIN, i64::MAX])));
        let few: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|i| i % 7)));
        let one: ArrayRef = Arc::new(Int64Array::from(vec![5; 10]));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|i| format!("t{}", i * i % 97))));
        for array in [floats, ints, few, one, texts] {
            let column = seen(array.clone());
            for bins in [Bins::by_width(&column), Bins::by_size(&column)] {
                assert_eq!(counted(&bins, array.clone()), array.len() as u64, "{array:?}");
                assert!(bins.len() <= 28, "{}", bins.len());
                bins.histogram(&vec![0; bins.len()]);
            }
        }
    }

    #[test]
    fn edges_are_round_and_tails_are_one_bin() {
        let values = (0..1000).map(|i| f64::from(i % 240) / 10.0).chain([9_000.0]);
        let column = seen(Arc::new(Float64Array::from_iter_values(values)));
        let bins = Bins::by_width(&column);
        let named = bins.histogram(&vec![0; bins.len()]);
        assert_eq!((named[0].name.as_str(), named[1].name.as_str()), ("0 – 1", "1 – 2"));
        assert_eq!(named[named.len() - 1].to, 9000.0);
    }
}
