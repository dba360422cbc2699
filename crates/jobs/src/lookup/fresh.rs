//! Which keys have a fresh answer in history, as their newest row.

use std::collections::HashMap;

use anyhow::Result;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use karat_core::{Column, DataType, Instant, Schema, Value, Window, Zone, hidden};
use karat_features::encode_key;
use karat_history::History;
use karat_project::spec::Lookup;

use super::rows::Rows;

/// Below so many keys nobody looks which are no longer fresh.
const FEW: usize = 1024;

#[derive(Debug)]
pub(super) struct Fresh {
    fresh_for: Window,
    /// When the answer came that is a key's newest row.
    at: HashMap<Vec<u8>, Instant>,
    /// How many keys there may be before those that are no longer fresh go.
    most: usize,
}

impl Fresh {
    pub fn new(fresh_for: Window) -> Fresh {
        Fresh { fresh_for, at: HashMap::new(), most: FEW }
    }

    /// Of what history has.
    pub async fn load(history: &History, rows: &Rows, now: Instant) -> Result<Fresh> {
        let mut fresh = Fresh::new(rows.lookup.fresh_for);
        let Some(kept) = history.snapshot(rows.name(), None).await? else { return Ok(fresh) };
        let failure = Column::new(Lookup::FAILURE, DataType::Text);
        let wanted = Schema::new(rows.key.iter().cloned().chain([failure]).collect());
        let mut newest: HashMap<Vec<u8>, (Instant, bool)> = HashMap::new();
        let mut batches = kept.stream(&wanted, &[hidden::EVENT_TIME, hidden::REMOVED], None);
        while let Some(batch) = batches.try_next().await? {
            add(&batch, rows, &mut newest);
        }
        let answers = newest.into_iter().filter(|(_, (_, answered))| *answered);
        fresh.at = answers.map(|(key, (at, _))| (key, at)).collect();
        fresh.prune(now);
        Ok(fresh)
    }

    /// When the answer came, if it is fresh.
    pub fn get(&self, key: &[u8], now: Instant) -> Option<Instant> {
        self.at.get(key).copied().filter(|at| is_fresh(*at, self.fresh_for, now))
    }

    /// An answer is the key's newest row.
    pub fn put(&mut self, key: Vec<u8>, at: Instant) {
        self.at.insert(key, at);
        if self.at.len() > self.most {
            self.prune(at);
        }
    }

    /// What is no answer is the key's newest row.
    pub fn remove(&mut self, key: &[u8]) {
        self.at.remove(key);
    }

    fn prune(&mut self, now: Instant) {
        let fresh_for = self.fresh_for;
        self.at.retain(|_, at| is_fresh(*at, fresh_for, now));
        self.most = (self.at.len() * 2).max(FEW);
    }
}

/// One that came after now did so by another clock: it says nothing.
fn is_fresh(at: Instant, fresh_for: Window, now: Instant) -> bool {
    at <= now && fresh_for.end(at, &Zone::utc()) > now
}

fn add(batch: &RecordBatch, rows: &Rows, newest: &mut HashMap<Vec<u8>, (Instant, bool)>) {
    let column = |name: &str| batch.column_by_name(name).expect("it was asked for");
    let keys: Vec<_> = rows.key.iter().map(|key| column(&key.name)).collect();
    let failure = column(Lookup::FAILURE);
    let event_time = column(hidden::EVENT_TIME).as_primitive::<Int64Type>();
    let removed = column(hidden::REMOVED).as_boolean();
    for row in (0..batch.num_rows()).filter(|row| event_time.is_valid(*row) && !removed.value(*row)) {
        let key: Vec<Value> = keys.iter().map(|values| Value::from_array(values, row)).collect();
        if key.iter().any(Value::is_null) {
            continue;
        }
        let (at, answered) = (Instant::from_micros(event_time.value(row)), failure.is_null(row));
        let there = newest.entry(encode_key(&key)).or_insert((at, answered));
        // Of one instant, what stands in for an answer came after it.
        if (at, !answered) >= (there.0, !there.1) {
            *there = (at, answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn answers_are_fresh_for_as_long_as_was_said_and_then_forgotten() {
        let mut fresh = Fresh::new("10 seconds".parse().unwrap());
        fresh.put(vec![1], seconds(100));
        assert_eq!(fresh.get(&[1], seconds(100)), Some(seconds(100)));
        assert_eq!(fresh.get(&[1], seconds(109)), Some(seconds(100)));
        assert_eq!(fresh.get(&[1], seconds(110)), None);
        assert_eq!(fresh.get(&[1], seconds(99)), None, "by another clock");
        assert_eq!(fresh.get(&[2], seconds(100)), None);
        fresh.put(vec![2], seconds(100));
        fresh.remove(&[2]);
        assert_eq!(fresh.get(&[2], seconds(100)), None);
        for key in 0..10_000_u32 {
            fresh.put(key.to_be_bytes().to_vec(), seconds(200 + i64::from(key)));
        }
        assert!(fresh.at.len() <= 2 * FEW, "{}", fresh.at.len());
        assert_eq!(fresh.get(&9_999_u32.to_be_bytes(), seconds(10_199)), Some(seconds(10_199)));
    }
}
