//! Keys whose events are looked for in a history.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use crate::error::FeatureError;
use crate::events::{Keys, NO_KEY, keep_events, key_columns};
use crate::key::KeyError;
use crate::view::CompiledView;

#[derive(Debug)]
pub struct KeySet(Keys);

impl KeySet {
    pub fn new(view: &CompiledView) -> KeySet {
        KeySet(Keys::new(view.key_columns()))
    }

    /// Takes in a key, as [`crate::encode_key`] writes it.
    pub fn insert(&mut self, key: &[u8]) -> Result<(), KeyError> {
        self.0.insert(key).map(drop)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl CompiledView {
    /// Takes in the keys of a batch of history; rows that name nobody have none.
    pub fn collect_keys(&self, keys: &mut KeySet, history: &RecordBatch) -> Result<(), FeatureError> {
        let events = keep_events(self, history)?;
        let rows: Vec<u32> = (0..events.num_rows() as u32).collect();
        keys.0.intern(&key_columns(self, &events)?, &rows);
        Ok(())
    }

    /// The events of these keys in a batch of history.
    pub fn events_of(&self, keys: &KeySet, history: &RecordBatch) -> Result<RecordBatch, FeatureError> {
        let events = keep_events(self, history)?;
        let rows: Vec<u32> = (0..events.num_rows() as u32).collect();
        let codes = keys.0.find(&key_columns(self, &events)?, &rows);
        let is_theirs: BooleanArray = codes.iter().map(|code| Some(*code != NO_KEY)).collect();
        filter_record_batch(&events, &is_theirs).map_err(|error| FeatureError::Batch(error.to_string()))
    }
}
