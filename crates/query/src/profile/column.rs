//! One column seen once from top to bottom.

use arrow::array::ArrayRef;
use karat_core::profile::{Quantile, Summary, Top};
use karat_core::{DataType, Value};
use serde_json::Value as Json;

use super::bins::Bins;
use super::code::{self, Cell};
use super::frequent::{Counted, Frequent, State};
use super::ranks::{Ranks, quantiles};
use crate::hash::stable_hash;

/// Seeds hashes that nothing on disk depends on.
const SEED: u64 = 0x7072_6f66_696c_6500;
/// A longer text is counted by its beginning, its length and its hash.
const LONGEST_TEXT: usize = 256;
/// Frequent values that a summary lists.
const TOP: usize = 20;
/// Quantiles that a summary lists.
const SHARES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Code(pub i64);

impl From<&Code> for Code {
    fn from(code: &Code) -> Code {
        *code
    }
}

impl Counted for Code {
    fn bytes(&self) -> usize {
        0
    }

    fn stable_hash(&self) -> u64 {
        stable_hash(&self.0.to_le_bytes(), SEED)
    }
}

impl Counted for str {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn stable_hash(&self) -> u64 {
        stable_hash(self.as_bytes(), SEED)
    }
}

impl Counted for Box<str> {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn stable_hash(&self) -> u64 {
        stable_hash(self.as_bytes(), SEED)
    }
}

enum Values {
    Codes(Frequent<Code>),
    Texts(Frequent<Box<str>>),
}

pub(super) struct Column {
    data_type: DataType,
    rows: u64,
    nulls: u64,
    nans: u64,
    values: Values,
    ends: Option<(i64, i64)>,
    text_ends: Option<(Box<str>, Box<str>)>,
    /// Fed from when values are too many to be counted.
    ranks: Option<Ranks>,
    moments: Moments,
}

/// Running mean and squared deviation (Welford 1962).
#[derive(Default)]
struct Moments {
    count: u64,
    mean: f64,
    deviation: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.deviation += off * (value - self.mean);
    }
}

impl Column {
    pub(super) fn new(data_type: DataType) -> Column {
        let values = match data_type {
            DataType::Text => Values::Texts(Frequent::new()),
            _ => Values::Codes(Frequent::new()),
        };
        let moments = Moments::default();
        Column { data_type, rows: 0, nulls: 0, nans: 0, values, ends: None, text_ends: None, ranks: None, moments }
    }

    pub(super) fn add(&mut self, array: &ArrayRef) {
        self.rows += array.len() as u64;
        let has_moments = matches!(self.data_type, DataType::Int | DataType::Float | DataType::Bool);
        code::each(array, |_, cell| match cell {
            Cell::Null => self.nulls += 1,
            Cell::Nan => self.nans += 1,
            Cell::Text(text) => self.add_text(text),
            Cell::Code(code) => {
                if has_moments {
                    self.moments.add(code::position(code, self.data_type));
                }
                self.add_code(code);
            }
        });
    }

    fn add_code(&mut self, code: i64) {
        self.ends = Some(self.ends.map_or((code, code), |(low, high)| (low.min(code), high.max(code))));
        let Values::Codes(values) = &mut self.values else { unreachable!("only texts are no codes") };
        if let Some(ranks) = &mut self.ranks {
            ranks.add(code);
        }
        if values.add(&Code(code)) == State::Overflowed {
            // What was counted so far is told to the ranks, value by value.
            let mut ranks = Ranks::default();
            let mut counted: Vec<(i64, u64)> = values.counts().map(|(value, count)| (value.0, count)).collect();
            counted.sort_unstable();
            for (value, count) in counted {
                (0..count).for_each(|_| ranks.add(value));
            }
            self.ranks = Some(ranks);
            values.make_room();
        }
    }

    fn add_text(&mut self, text: &str) {
        let long;
        let text = if text.len() > LONGEST_TEXT {
            long = shortened(text);
            long.as_str()
        } else {
            text
        };
        match &mut self.text_ends {
            None => self.text_ends = Some((text.into(), text.into())),
            Some((low, high)) => {
                if text < low.as_ref() {
                    *low = text.into();
                }
                if text > high.as_ref() {
                    *high = text.into();
                }
            }
        }
        let Values::Texts(values) = &mut self.values else { unreachable!("a text column counts texts") };
        if values.add(text) == State::Overflowed {
            values.make_room();
        }
    }

    pub(super) fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The smallest and the greatest value.
    pub(super) fn ends(&self) -> Option<(i64, i64)> {
        self.ends
    }

    /// All values with their counts, in order; `None` where there are too many, or they are texts.
    pub(super) fn all_values(&self) -> Option<Vec<(i64, u64)>> {
        match &self.values {
            Values::Codes(values) if values.is_exact() => {
                let mut all: Vec<(i64, u64)> = values.counts().map(|(value, count)| (value.0, count)).collect();
                all.sort_unstable();
                Some(all)
            }
            _ => None,
        }
    }

    /// The most frequent texts.
    pub(super) fn top_texts(&self, most: usize) -> Vec<Box<str>> {
        match &self.values {
            Values::Texts(values) => values.top(most).into_iter().map(|(text, _)| text.clone()).collect(),
            Values::Codes(_) => Vec::new(),
        }
    }

    pub(super) fn distinct(&self) -> u64 {
        match &self.values {
            Values::Codes(values) => values.distinct(),
            Values::Texts(values) => values.distinct(),
        }
    }

    /// Values at these shares, ascending.
    pub(super) fn quantiles(&self, shares: &[f64]) -> Vec<i64> {
        match (&self.ranks, self.all_values()) {
            (Some(ranks), _) => quantiles(&ranks.weighted(), shares),
            (None, Some(all)) => quantiles(&all, shares),
            (None, None) => Vec::new(),
        }
    }

    /// How many values are in each bin, as far as is known without a second look.
    pub(super) fn counts_in(&self, bins: &Bins) -> Vec<u64> {
        let mut counts = vec![0; bins.len()];
        let mut add = |cell: Cell<'_>, rows: u64| {
            if let Some(place) = bins.place(cell) {
                counts[place] += rows;
            }
        };
        match &self.values {
            Values::Codes(_) => {
                let weighted = self.ranks.as_ref().map(Ranks::weighted).or_else(|| self.all_values());
                weighted.into_iter().flatten().for_each(|(code, rows)| add(Cell::Code(code), rows));
            }
            Values::Texts(values) => {
                let mut told = 0;
                for (text, rows) in values.top(usize::MAX) {
                    add(Cell::Text(text), rows);
                    told += rows;
                }
                // Of those that are counted no longer nothing is known but that there are so many.
                if let Some(others) = counts.last_mut() {
                    *others += (self.rows - self.nulls).saturating_sub(told);
                }
            }
        }
        counts
    }

    pub(super) fn summary(&self) -> Summary {
        let is_ordered = !matches!(self.data_type, DataType::Text | DataType::Bool);
        let json = |code: i64| code::value(code, self.data_type).to_json();
        let (min, max) = match (self.ends, &self.text_ends) {
            (Some((low, high)), _) => (json(low), json(high)),
            (None, Some((low, high))) => (Json::from(low.as_ref()), Json::from(high.as_ref())),
            (None, None) => (Json::Null, Json::Null),
        };
        let quantiles = match is_ordered {
            true => {
                let values = self.quantiles(&SHARES).into_iter();
                SHARES.into_iter().zip(values).map(|(share, code)| Quantile { share, value: json(code) }).collect()
            }
            false => Vec::new(),
        };
        let top = |value: Value, rows: u64| Top { value: value.to_json(), rows };
        let (distinct_exact, top, top_error) = match &self.values {
            Values::Codes(values) => {
                let found = values.top(TOP).into_iter();
                let found = found.map(|(code, rows)| top(code::value(code.0, self.data_type), rows)).collect();
                (values.is_exact(), found, values.error())
            }
            Values::Texts(values) => {
                let found = values.top(TOP).into_iter().map(|(text, rows)| top(Value::text(text), rows)).collect();
                (values.is_exact(), found, values.error())
            }
        };
        let moments = &self.moments;
        Summary {
            rows: self.rows,
            nulls: self.nulls,
            nans: self.nans,
            distinct: self.distinct(),
            distinct_exact,
            min,
            max,
            mean: (moments.count > 0 && moments.mean.is_finite()).then_some(moments.mean),
            std: (moments.count > 1 && moments.deviation.is_finite())
                .then(|| (moments.deviation / (moments.count - 1) as f64).sqrt()),
            quantiles,
            quantile_error: self.ranks.as_ref().map_or(0.0, Ranks::error),
            top,
            top_error,
        }
    }
}

/// Its beginning, its length and its hash: texts that differ stay different.
fn shortened(text: &str) -> String {
    let end = (0..=LONGEST_TEXT / 2).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}… ({} bytes, {:016x})", &text[..end], text.len(), text.stable_hash())
}

/// The text as columns count it.
pub(super) fn counted_text(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() > LONGEST_TEXT { shortened(text).into() } else { text.into() }
}
