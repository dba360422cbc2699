//! Events of every key, column by column.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};
use hashbrown::HashMap;
use karat_core::{Column, DataType, Value};

use super::uniform::Uniform;
use super::{Cells, Texts, at};
use crate::key::{KeyError, decode_key, encode_key};
use crate::view::Plan;

pub(crate) const NO_KEY: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct EventTable {
    pub(crate) keys: Keys,
    /// By event: the code of its key.
    pub(crate) key: Vec<u32>,
    /// Zero throughout where events have no time.
    pub(crate) event_time: Vec<i64>,
    /// From the event to when it was known; wraps where it began to be known always. See [`EventTable::known_time`].
    pub(super) delay: Uniform<i64>,
    pub(crate) commit: Uniform<i64>,
    pub(crate) removed: Uniform<bool>,
    pub(crate) sequence: Option<Cells>,
    pub(crate) identity: Vec<Cells>,
    pub(crate) arguments: Vec<Cells>,
    /// Codes of what `_nulled` says, where it says something of a column that matters.
    pub(crate) nulled: Cells,
    pub(crate) texts: Texts,
    /// By event, in place of `key`: the word that is its key.
    late: Option<Vec<i64>>,
}

impl EventTable {
    pub(crate) fn new(keys: &[Column], plan: &Plan) -> EventTable {
        EventTable {
            keys: Keys::new(keys),
            key: Vec::new(),
            event_time: Vec::new(),
            delay: Uniform::new(),
            commit: Uniform::new(),
            removed: Uniform::new(),
            sequence: plan.sequence.as_ref().map(|column| Cells::uniform(column.data_type)),
            identity: plan.identity.iter().map(|column| Cells::uniform(column.data_type)).collect(),
            arguments: plan.arguments.iter().map(|argument| Cells::new(argument.data_type)).collect(),
            nulled: Cells::uniform(DataType::Text),
            texts: Texts::default(),
            late: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.event_time.len()
    }

    /// A table whose keys are told apart only when it is complete, and can be kept in the caches meanwhile.
    pub(crate) fn late(keys: &[Column], plan: &Plan) -> EventTable {
        let words = Keys::are_words(keys).then(Vec::new);
        EventTable { late: words, ..EventTable::new(keys, plan) }
    }

    /// Makes room for so many events.
    pub(super) fn reserve(&mut self, events: usize) {
        match &mut self.late {
            Some(words) => words.reserve_exact(events),
            None => self.key.reserve_exact(events),
        }
        self.event_time.reserve_exact(events);
        self.arguments.iter_mut().chain(&mut self.identity).for_each(|cells| cells.reserve(events));
    }

    /// Appends the keys of some rows of a batch.
    pub(super) fn append_keys(&mut self, columns: &[ArrayRef], rows: &[u32]) {
        match &mut self.late {
            Some(late) => {
                let words = Words::of(&columns[0]);
                late.extend(rows.iter().map(|row| words.get(*row as usize).expect("events have whole keys")));
            }
            None => self.key.extend(self.keys.intern(columns, rows)),
        }
    }

    /// The keys there are, and the events of each.
    pub(crate) fn grouped(&self) -> (Cow<'_, Keys>, Groups) {
        let Some(late) = &self.late else { return (Cow::Borrowed(&self.keys), self.by_key()) };
        let mut keys = self.keys.clone();
        let codes: Vec<u32> = match &mut keys {
            Keys::Words { codes, words, .. } => {
                let code = |word: &i64| code_of(codes, words, *word);
                late.iter().map(code).collect()
            }
            Keys::Bytes(_) => unreachable!("only words are told apart late"),
        };
        let groups = Groups::new(&codes, keys.len());
        (Cow::Owned(keys), groups)
    }

    /// Keeps the events at `rows` alone, in that order, and forgets whose they are. Of events that lie where they are read next to
    /// each other a processor fetches the next ones by itself; for each that lies anywhere it waits.
    pub(crate) fn arrange(&mut self, rows: &[u32]) {
        (self.keys, self.key, self.late) = (Keys::Bytes(Texts::default()), Vec::new(), None);
        self.event_time = at(&self.event_time, rows);
        self.delay = self.delay.at(rows);
        self.commit = self.commit.at(rows);
        self.removed = self.removed.at(rows);
        let columns = self.sequence.iter_mut().chain(&mut self.identity).chain(&mut self.arguments);
        for cells in columns.chain([&mut self.nulled]) {
            *cells = cells.at(rows);
        }
    }

    #[inline]
    pub(crate) fn known_time(&self, row: usize) -> i64 {
        self.event_time[row].wrapping_add(self.delay.get(row))
    }

    /// Appends the times of an event; the rest of it follows, column by column.
    pub(crate) fn push_times(&mut self, event_time: i64, known_time: i64) {
        self.event_time.push(event_time);
        self.delay.push(known_time.wrapping_sub(event_time));
    }

    /// The events of each key, as stretches of one list: a counting sort, stable and linear.
    pub(crate) fn by_key(&self) -> Groups {
        Groups::new(&self.key, self.keys.len())
    }
}

/// Row numbers grouped by a code.
#[derive(Debug)]
pub(crate) struct Groups {
    rows: Vec<u32>,
    starts: Vec<u32>,
}

impl Groups {
    pub(crate) fn new(codes: &[u32], count: usize) -> Groups {
        let mut starts = vec![0u32; count + 1];
        for code in codes.iter().filter(|code| **code != NO_KEY) {
            starts[*code as usize + 1] += 1;
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let mut rows = vec![0u32; starts[count] as usize];
        for (row, code) in codes.iter().enumerate().filter(|(_, code)| **code != NO_KEY) {
            let place = &mut next[*code as usize];
            rows[*place as usize] = row as u32;
            *place += 1;
        }
        Groups { rows, starts }
    }

    pub(crate) fn of(&self, code: usize) -> &[u32] {
        &self.rows[self.starts[code] as usize..self.starts[code + 1] as usize]
    }

    /// All rows, group after group.
    pub(crate) fn into_rows(self) -> Vec<u32> {
        self.rows
    }

    /// How many rows the groups before `code` have.
    pub(crate) fn before(&self, code: usize) -> usize {
        self.starts[code] as usize
    }
}

/// Entity keys as codes 0, 1, 2…
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    /// One column whose cells are words: no bytes need be made of them.
    Words {
        data_type: DataType,
        codes: HashMap<i64, u32>,
        words: Vec<i64>,
    },
    Bytes(Texts),
}

impl Keys {
    pub(crate) fn new(columns: &[Column]) -> Keys {
        if Keys::are_words(columns) {
            return Keys::Words { data_type: columns[0].data_type, codes: HashMap::new(), words: Vec::new() };
        }
        Keys::Bytes(Texts::default())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Keys::Words { words, .. } => words.len(),
            Keys::Bytes(texts) => texts.len(),
        }
    }

    /// The key of a code, as [`encode_key`] writes it.
    pub(crate) fn bytes(&self, code: usize) -> Vec<u8> {
        match self {
            Keys::Words { data_type, words, .. } => {
                encode_key(&[super::value(*data_type, Some(words[code]), &Texts::default())])
            }
            Keys::Bytes(texts) => texts.get(code as u32).to_vec(),
        }
    }

    /// The code of a key, as [`encode_key`] writes it; a new one gets a new code.
    pub(crate) fn insert(&mut self, key: &[u8]) -> Result<u32, KeyError> {
        match self {
            Keys::Words { codes, words, .. } => match decode_key(key)?.as_slice() {
                [Value::Int(word)] => Ok(code_of(codes, words, *word)),
                [Value::Date(day)] => Ok(code_of(codes, words, i64::from(*day))),
                [Value::Timestamp(instant)] => Ok(code_of(codes, words, instant.micros())),
                _ => Err(KeyError),
            },
            Keys::Bytes(texts) => Ok(texts.intern(key)),
        }
    }

    /// Codes of the keys of some rows, [`NO_KEY`] where a part is null; new keys get new codes.
    pub(crate) fn intern(&mut self, columns: &[ArrayRef], rows: &[u32]) -> Vec<u32> {
        match self {
            Keys::Words { codes, words, .. } => each_run(&columns[0], rows, |word| code_of(codes, words, word)),
            Keys::Bytes(texts) => {
                let code = |row: &u32| key_bytes(columns, *row as usize).map_or(NO_KEY, |key| texts.intern(&key));
                rows.iter().map(code).collect()
            }
        }
    }

    /// Codes of the keys of some rows; [`NO_KEY`] for those never seen.
    pub(crate) fn find(&self, columns: &[ArrayRef], rows: &[u32]) -> Vec<u32> {
        match self {
            Keys::Words { codes, .. } => {
                each_run(&columns[0], rows, |word| codes.get(&word).copied().unwrap_or(NO_KEY))
            }
            Keys::Bytes(texts) => {
                let code = |row: &u32| key_bytes(columns, *row as usize).and_then(|key| texts.find(&key));
                rows.iter().map(|row| code(row).unwrap_or(NO_KEY)).collect()
            }
        }
    }

    /// Whether keys of these columns are words.
    pub(crate) fn are_words(columns: &[Column]) -> bool {
        matches!(columns, [Column { data_type: DataType::Int | DataType::Date | DataType::Timestamp, .. }])
    }
}

/// The code of a word, which gets the next one if it is new.
fn code_of(codes: &mut HashMap<i64, u32>, words: &mut Vec<i64>, word: i64) -> u32 {
    *codes.entry(word).or_insert_with(|| {
        words.push(word);
        (words.len() - 1) as u32
    })
}

/// Codes of the words of some rows, looked up once where a word repeats the one before; [`NO_KEY`] for null.
fn each_run(column: &ArrayRef, rows: &[u32], mut look_up: impl FnMut(i64) -> u32) -> Vec<u32> {
    let words = Words::of(column);
    let mut last: Option<(i64, u32)> = None;
    let mut code_of = |row: &u32| {
        let Some(word) = words.get(*row as usize) else { return NO_KEY };
        match last {
            Some((before, code)) if before == word => code,
            _ => {
                let code = look_up(word);
                last = Some((word, code));
                code
            }
        }
    };
    rows.iter().map(&mut code_of).collect()
}

/// A column of words, and where it is null.
pub(super) struct Words<'a> {
    words: Cow<'a, [i64]>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Words<'a> {
    pub(super) fn of(column: &'a ArrayRef) -> Words<'a> {
        let words = match DataType::of_arrow(column.data_type()) {
            Some(DataType::Date) => {
                column.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect()
            }
            Some(DataType::Timestamp) => Cow::Borrowed(&**column.as_primitive::<TimestampMicrosecondType>().values()),
            _ => Cow::Borrowed(&**column.as_primitive::<Int64Type>().values()),
        };
        Words { words, nulls: column.nulls() }
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<i64> {
        match self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.words[row]),
        }
    }
}

pub(super) fn key_bytes(columns: &[ArrayRef], row: usize) -> Option<Vec<u8>> {
    if columns.iter().any(|column| column.is_null(row)) {
        return None;
    }
    let values: Vec<Value> = columns.iter().map(|column| Value::from_array(column, row)).collect();
    Some(encode_key(&values))
}
