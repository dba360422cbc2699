//! A column of cells as 64-bit words: ints, days, microseconds, the bits of a float, the code of a text.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use karat_core::{DataType, Instant, Value};

use super::{Texts, at};

const NULL_FLAG: u8 = 2;

#[derive(Debug, Clone)]
pub(crate) enum Cells {
    /// 0 false, 1 true, 2 null.
    Flags(Vec<u8>),
    /// `valid` is empty while there is no null.
    Words { words: Vec<i64>, valid: Vec<bool> },
    /// All the same so far.
    Same { cell: Option<i64>, len: usize, data_type: DataType, reserved: usize },
}

impl Cells {
    pub(crate) fn new(data_type: DataType) -> Cells {
        match data_type {
            DataType::Bool => Cells::Flags(Vec::new()),
            _ => Cells::Words { words: Vec::new(), valid: Vec::new() },
        }
    }

    /// For columns that are likely to have one value throughout: takes no memory while they do.
    pub(crate) fn uniform(data_type: DataType) -> Cells {
        Cells::same(None, 0, data_type)
    }

    /// One cell, `len` times over.
    pub(crate) fn same(cell: Option<i64>, len: usize, data_type: DataType) -> Cells {
        Cells::Same { cell, len, data_type, reserved: 0 }
    }

    /// As [`Cells::new`], with room for so many.
    pub(crate) fn with_capacity(data_type: DataType, cells: usize) -> Cells {
        match data_type {
            DataType::Bool => Cells::Flags(Vec::with_capacity(cells)),
            _ => Cells::Words { words: Vec::with_capacity(cells), valid: Vec::new() },
        }
    }

    pub(crate) fn reserve(&mut self, cells: usize) {
        match self {
            Cells::Flags(flags) => flags.reserve_exact(cells),
            Cells::Words { words, .. } => words.reserve_exact(cells),
            // For when it turns out not to be.
            Cells::Same { len, reserved, .. } => *reserved = *len + cells,
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<i64> {
        match self {
            Cells::Flags(flags) => (flags[index] != NULL_FLAG).then(|| i64::from(flags[index])),
            Cells::Words { words, valid } => (valid.is_empty() || valid[index]).then(|| words[index]),
            Cells::Same { cell, .. } => *cell,
        }
    }

    #[inline]
    pub(crate) fn is_true(&self, index: usize) -> bool {
        self.get(index) == Some(1)
    }

    #[inline]
    pub(crate) fn push(&mut self, cell: Option<i64>) {
        match self {
            Cells::Flags(flags) => flags.push(cell.map_or(NULL_FLAG, |word| (word & 1) as u8)),
            Cells::Words { words, valid } => {
                if !valid.is_empty() {
                    valid.push(cell.is_some());
                } else if cell.is_none() {
                    Cells::first_null(valid, words.len(), words.capacity());
                }
                words.push(cell.unwrap_or(0));
            }
            Cells::Same { cell: same, len, .. } if *len == 0 || *same == cell => {
                *same = cell;
                *len += 1;
            }
            Cells::Same { .. } => self.push_another(cell),
        }
    }

    /// `valid` once the first null comes, after so many cells.
    #[cold]
    fn first_null(valid: &mut Vec<bool>, cells: usize, room: usize) {
        valid.reserve(room.max(cells + 1));
        valid.resize(cells, true);
        valid.push(false);
    }

    /// A cell that is not as all before it.
    #[cold]
    fn push_another(&mut self, cell: Option<i64>) {
        if let Cells::Same { cell: same, len, data_type, reserved } = self {
            let mut cells = Cells::with_capacity(*data_type, *reserved);
            (0..*len).for_each(|_| cells.push(*same));
            *self = cells;
        }
        self.push(cell);
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Cells::Flags(flags) => flags.clear(),
            Cells::Words { words, valid } => {
                words.clear();
                valid.clear();
            }
            Cells::Same { len, .. } => *len = 0,
        }
    }

    /// The cells at `rows`.
    pub(crate) fn at(&self, rows: &[u32]) -> Cells {
        match self {
            Cells::Flags(flags) => Cells::Flags(at(flags, rows)),
            Cells::Words { words, valid } if valid.is_empty() => {
                Cells::Words { words: at(words, rows), valid: Vec::new() }
            }
            Cells::Words { words, valid } => Cells::Words { words: at(words, rows), valid: at(valid, rows) },
            Cells::Same { cell, data_type, .. } => Cells::same(*cell, rows.len(), *data_type),
        }
    }

    /// Appends the cells of `other` at `rows`.
    pub(crate) fn gather(&mut self, other: &Cells, rows: &[u32]) {
        match (self, other) {
            (Cells::Flags(flags), Cells::Flags(from)) => flags.extend(rows.iter().map(|row| from[*row as usize])),
            (Cells::Words { words, valid }, Cells::Words { words: from, valid: from_valid })
                if valid.is_empty() && from_valid.is_empty() =>
            {
                words.extend(rows.iter().map(|row| from[*row as usize]));
            }
            (cells, other) => rows.iter().for_each(|row| cells.push(other.get(*row as usize))),
        }
    }

    /// Appends rows of an array in one of Karat's Arrow forms, or of a dictionary of text.
    pub(crate) fn append(&mut self, array: &ArrayRef, rows: &[u32], texts: &mut Texts) {
        macro_rules! primitive {
            ($arrow:ty, $word:expr) => {{
                let array = array.as_primitive::<$arrow>();
                let values = array.values();
                let word = |row: usize| $word(values[row]);
                match self {
                    Cells::Words { words, valid } if array.null_count() == 0 && valid.is_empty() => {
                        words.extend(rows.iter().map(|row| word(*row as usize)));
                    }
                    cells => {
                        for row in rows.iter().map(|row| *row as usize) {
                            cells.push(array.is_valid(row).then(|| word(row)));
                        }
                    }
                }
            }};
        }
        if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
            return self.append_coded(dictionary, rows, texts);
        }
        match DataType::of_arrow(array.data_type()) {
            Some(DataType::Int) => primitive!(Int64Type, |value| value),
            Some(DataType::Float) => primitive!(Float64Type, |value: f64| value.to_bits() as i64),
            Some(DataType::Date) => primitive!(Date32Type, i64::from),
            Some(DataType::Timestamp) => primitive!(TimestampMicrosecondType, |value| value),
            Some(DataType::Bool) => {
                let array = array.as_boolean();
                for row in rows.iter().map(|row| *row as usize) {
                    self.push(array.is_valid(row).then(|| i64::from(array.value(row))));
                }
            }
            Some(DataType::Text) => {
                let array = array.as_string::<i32>();
                // A text is often the one before it: that needs no look-up.
                let mut last: Option<(&str, i64)> = None;
                for row in rows.iter().map(|row| *row as usize) {
                    let cell = array.is_valid(row).then(|| array.value(row));
                    let code = cell.map(|text| match last {
                        Some((before, code)) if before == text => code,
                        _ => i64::from(texts.intern(text.as_bytes())),
                    });
                    last = cell.zip(code).or(last);
                    self.push(code);
                }
            }
            None => unreachable!("columns are brought to Karat's types where they enter"),
        }
    }

    /// Each text is looked up once, when a row first has it.
    fn append_coded(&mut self, dictionary: &DictionaryArray<Int32Type>, rows: &[u32], texts: &mut Texts) {
        let values = dictionary.values().as_string::<i32>();
        let keys = dictionary.keys();
        let mut codes: Vec<Option<i64>> = vec![None; values.len()];
        for row in rows.iter().map(|row| *row as usize) {
            let cell = keys.is_valid(row).then(|| keys.value(row) as usize).map(|place| {
                *codes[place].get_or_insert_with(|| i64::from(texts.intern(values.value(place).as_bytes())))
            });
            self.push(cell);
        }
    }
}

/// Orders cells as [`Value`]s are ordered: null first, floats in IEEE's total order.
#[inline]
pub(crate) fn compare(data_type: DataType, a: Option<i64>, b: Option<i64>, texts: &Texts) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => match data_type {
            DataType::Float => f64::from_bits(a as u64).total_cmp(&f64::from_bits(b as u64)),
            DataType::Text if a == b => Ordering::Equal,
            DataType::Text => texts.get(a as u32).cmp(texts.get(b as u32)),
            _ => a.cmp(&b),
        },
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

pub(crate) fn value(data_type: DataType, cell: Option<i64>, texts: &Texts) -> Value {
    let Some(word) = cell else { return Value::Null };
    match data_type {
        DataType::Bool => Value::Bool(word == 1),
        DataType::Int => Value::Int(word),
        DataType::Float => Value::Float(f64::from_bits(word as u64)),
        DataType::Text => Value::text(texts.text(word as u32)),
        DataType::Date => Value::Date(word as i32),
        DataType::Timestamp => Value::Timestamp(Instant::from_micros(word)),
    }
}
