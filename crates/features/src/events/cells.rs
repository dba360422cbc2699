//! A column of cells as 64-bit words: ints, days, microseconds, the bits of a float, the code of a text.

use std::cmp::Ordering;

use arrow::array::{AnyDictionaryArray, Array, ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use karat_core::{DataType, Instant, Value};

use super::Texts;

const NULL_FLAG: u8 = 2;

#[derive(Debug, Clone)]
pub(crate) enum Cells {
    /// 0 false, 1 true, 2 null.
    Flags(Vec<u8>),
    /// `valid` is empty while there is no null.
    Words { words: Vec<i64>, valid: Vec<bool> },
    /// All the same so far.
    Same { cell: Option<i64>, len: usize, data_type: DataType },
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
        Cells::Same { cell: None, len: 0, data_type }
    }

    /// One cell, `len` times over.
    pub(crate) fn same(cell: Option<i64>, len: usize, data_type: DataType) -> Cells {
        Cells::Same { cell, len, data_type }
    }

    /// As [`Cells::new`], with room for so many.
    pub(crate) fn with_capacity(data_type: DataType, cells: usize) -> Cells {
        match data_type {
            DataType::Bool => Cells::Flags(Vec::with_capacity(cells)),
            _ => Cells::Words { words: Vec::with_capacity(cells), valid: Vec::new() },
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Cells::Flags(flags) => flags.len(),
            Cells::Words { words, .. } => words.len(),
            Cells::Same { len, .. } => *len,
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
                if cell.is_none() && valid.is_empty() {
                    valid.resize(words.len(), true);
                }
                words.push(cell.unwrap_or(0));
                if cell.is_none() || !valid.is_empty() {
                    valid.push(cell.is_some());
                }
            }
            Cells::Same { cell: same, len, .. } if *len == 0 || *same == cell => {
                *same = cell;
                *len += 1;
            }
            Cells::Same { cell: same, len, data_type } => {
                let mut cells = Cells::new(*data_type);
                (0..*len).for_each(|_| cells.push(*same));
                cells.push(cell);
                *self = cells;
            }
        }
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

    /// The cells of columns of one type, one after the other. At least one.
    pub(crate) fn concat(columns: Vec<Cells>) -> Cells {
        let mut columns = columns.into_iter();
        let mut whole = columns.next().expect("there is a column");
        for column in columns {
            match (&mut whole, column) {
                (Cells::Flags(flags), Cells::Flags(more)) => flags.extend(more),
                (Cells::Words { words, valid }, Cells::Words { words: more, valid: more_valid })
                    if valid.is_empty() && more_valid.is_empty() =>
                {
                    words.extend(more);
                }
                (whole, column) => (0..column.len()).for_each(|index| whole.push(column.get(index))),
            }
        }
        whole
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

    /// Appends an array in one of Karat's Arrow forms, or a dictionary of text.
    pub(crate) fn append(&mut self, array: &ArrayRef, texts: &mut Texts) {
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            return self.append_texts(dictionary, texts);
        }
        macro_rules! primitive {
            ($arrow:ty, $word:expr) => {{
                let array = array.as_primitive::<$arrow>();
                match self {
                    Cells::Words { words, valid } if array.null_count() == 0 && valid.is_empty() => {
                        words.extend(array.values().iter().map($word));
                    }
                    cells => array.iter().for_each(|cell| cells.push(cell.as_ref().map($word))),
                }
            }};
        }
        match DataType::of_arrow(array.data_type()) {
            Some(DataType::Int) => primitive!(Int64Type, |value| *value),
            Some(DataType::Float) => primitive!(Float64Type, |value: &f64| value.to_bits() as i64),
            Some(DataType::Date) => primitive!(Date32Type, |value| i64::from(*value)),
            Some(DataType::Timestamp) => primitive!(TimestampMicrosecondType, |value| *value),
            Some(DataType::Bool) => array.as_boolean().iter().for_each(|cell| self.push(cell.map(i64::from))),
            Some(DataType::Text) => {
                // A text is often the one before it: that needs no look-up.
                let mut last: Option<(&str, i64)> = None;
                for cell in array.as_string::<i32>().iter() {
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
}

impl Cells {
    /// Each text is looked up once, when a row first has it.
    fn append_texts(&mut self, dictionary: &dyn AnyDictionaryArray, texts: &mut Texts) {
        let values = dictionary.values().as_string::<i32>();
        if values.is_empty() {
            return (0..dictionary.len()).for_each(|_| self.push(None));
        }
        let mut codes: Vec<Option<i64>> = vec![None; values.len()];
        for (row, place) in dictionary.normalized_keys().into_iter().enumerate() {
            let cell = dictionary
                .is_valid(row)
                .then(|| *codes[place].get_or_insert_with(|| i64::from(texts.intern(values.value(place).as_bytes()))));
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
