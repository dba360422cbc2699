//! Histories in parts, by their keys: what is too much to be held at once is gone through part by part.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int64Type;
use karat_core::{DataType, Instant, hidden};

use crate::accumulate::{hash_text, hash_word};
use crate::error::FeatureError;
use crate::events::{Keys, keep_events, key_columns, spread};
use crate::view::CompiledView;

/// Which part a key is in: the same on every machine and in every process, so that one goes on with another's parts.
#[derive(Debug)]
pub struct KeyParts {
    parts: usize,
    words: bool,
}

impl KeyParts {
    pub fn new(view: &CompiledView, parts: usize) -> KeyParts {
        let words = Keys::are_words(view.key_columns());
        KeyParts { parts: parts.max(1), words }
    }

    /// The rows whose keys are in each part, ascending. Keys with a null are in none; their rows are with the first.
    pub fn spread(&self, keys: &[ArrayRef]) -> Vec<Vec<u32>> {
        let rows = keys.first().map_or(0, |key| key.len());
        let part = |hash: u64| (hash % self.parts as u64) as usize;
        let of_word = |word: i64| part(hash_word(word));
        let of_bytes = |key: &[u8]| part(hash_text(key));
        spread((keys, rows), self.parts, self.words, of_word, of_bytes)
    }
}

impl CompiledView {
    /// The events of a batch of history, part by part; none of parts that are not wanted.
    pub fn in_parts(
        &self,
        parts: &KeyParts,
        history: &RecordBatch,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<RecordBatch>, FeatureError> {
        let events = keep_events(self, history)?;
        let rows = parts.spread(&key_columns(self, &events)?);
        let taken = rows.into_iter().enumerate().map(|(part, rows)| match is_wanted(part) {
            true => take_record_batch(&events, &UInt32Array::from(rows)),
            false => Ok(events.slice(0, 0)),
        });
        taken.collect::<Result<_, _>>().map_err(|error| FeatureError::Batch(error.to_string()))
    }

    /// When the newest event of a batch of history happened; nothing of a source without times.
    pub fn newest_event(&self, history: &RecordBatch) -> Result<Option<Instant>, FeatureError> {
        if !self.plan.timed {
            return Ok(None);
        }
        let events = keep_events(self, history)?;
        let times = events.column_by_name(hidden::EVENT_TIME).map(|times| times.as_primitive::<Int64Type>());
        Ok(times.and_then(arrow::compute::max).map(Instant::from_micros))
    }

    /// About how many bytes an event takes while it is held, but for its [texts](CompiledView::texts): a word for each of its
    /// key, times and columns.
    pub fn event_bytes(&self) -> usize {
        let plan = &self.plan;
        let words = 3 + plan.arguments.len() + plan.identity.len() + usize::from(plan.sequence.is_some());
        words * size_of::<u64>()
    }

    /// The columns with texts that are read of events.
    pub fn texts(&self) -> Vec<&str> {
        let columns = self.source_columns.columns().iter().filter(|column| column.data_type == DataType::Text);
        let nulled = (!self.plan.nulled.is_empty()).then_some(hidden::NULLED);
        columns.map(|column| column.name.as_str()).chain(nulled).collect()
    }

    /// About how many bytes a row of a spine takes while its features are computed: its key, its times and its place among
    /// the readers, and what is found, first as cells and then as columns.
    pub fn reader_bytes(&self) -> usize {
        let found = 2 * self.plan.slots.len() + self.outputs.len();
        (self.key_columns().len() + 5 + found) * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    /// States that were begun are gone on with by these: another number begins a new format of what is noted of them.
    #[test]
    fn keys_stay_in_their_parts_for_ever() {
        let words: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(-1), Some(1), None, Some(42)]));
        let spread = KeyParts { parts: 4, words: true }.spread(&[words]);
        assert_eq!(spread, [vec![1, 3], vec![2, 4], vec![], vec![0]]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["", "a", "Brno", "Praha"]));
        let spread = KeyParts { parts: 4, words: false }.spread(&[texts]);
        assert_eq!(spread, [vec![0, 1], vec![], vec![2], vec![3]]);
    }
}
