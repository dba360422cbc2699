//! Brute force, the offline pass and every way to online state agree bit for bit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Int64Type;
use karat_core::{Instant, Value, ValueType};
use karat_features::{
    AsOfPass, CompiledView, FeatureError, FeatureRow, KeyParts, MergeJoin, ReadAt, Retention, RowOrder, Spine,
    StateBuilder,
};
use proptest::prelude::*;

use crate::histories::{Case, batch, cases, shuffled};
use crate::oracle::{Reader, Record};

type States = BTreeMap<Vec<u8>, Vec<u8>>;

fn offline(case: &Case, view: &CompiledView, threads: usize, seed: u64) -> RecordBatch {
    let mut pass = AsOfPass::new(view).with_threads(threads);
    for records in shuffled(&case.records, seed).chunks(case.batch) {
        pass.push(&batch(records, &case.rules)).unwrap();
    }
    pass.run(&spine(case), case.up_to.map(|commit| commit as u64)).unwrap()
}

fn spine(case: &Case) -> Spine {
    Spine {
        keys: case.keys(),
        as_of: case.readers.iter().map(|reader| Some(reader.as_of)).collect(),
        known_at: Some(case.readers.iter().map(|reader| Some(reader.known_at)).collect()),
        since: None,
    }
}

/// As [`offline`], of a spine and events in the order of their keys, some at a time; with the places that its rows have in
/// the spine as it stands.
fn merged(case: &Case, view: &CompiledView) -> (UInt32Array, RecordBatch) {
    let order = view.key_order();
    let runs = shuffled(&case.records, case.shuffle);
    let runs = runs.chunks(2 * case.batch).map(|records| {
        let events = view.keyed(&batch(records, &case.rules)).unwrap();
        let run = order.sort(&events.schema(), vec![events]).unwrap();
        (0..run.num_rows()).map(move |row| Ok::<_, FeatureError>(run.slice(row, 1)))
    });
    let mut join = MergeJoin::new(view, runs, case.up_to.map(|commit| commit as u64));

    let Spine { keys, as_of, known_at, .. } = spine(case);
    let places: UInt32Array = (0..case.readers.len() as u32).collect();
    let times = [Arc::new(as_of) as ArrayRef, Arc::new(known_at.unwrap()), Arc::new(places)];
    let named = keys.iter().cloned().chain(times).enumerate().map(|(place, column)| (place.to_string(), column, true));
    let rows = RecordBatch::try_from_iter_with_nullable(named).unwrap();
    let rows = RowOrder::by_first(keys.len()).sort(&rows.schema(), vec![rows]).unwrap();
    let (keys, times) = rows.columns().split_at(keys.len());
    let stretches = (0..rows.num_rows()).step_by(case.batch).map(|start| {
        let rows = case.batch.min(rows.num_rows() - start);
        let time = |place: usize| times[place].as_primitive::<Int64Type>().slice(start, rows);
        let keys = keys.iter().map(|key| key.slice(start, rows)).collect();
        Spine { keys, as_of: time(0), known_at: Some(time(1)), since: None }
    });
    let stretches: Vec<Spine> = stretches.collect();
    let found: Vec<RecordBatch> = stretches.chunks(3).flat_map(|spines| join.next(spines).unwrap()).collect();
    (times[2].as_primitive().clone(), concat_batches(&found[0].schema(), &found).unwrap())
}

fn full(case: &Case, records: &[Record], view: &CompiledView, retention: Retention) -> (States, Option<Instant>) {
    let mut builder = StateBuilder::new(view, retention);
    for records in records.chunks(case.batch) {
        builder.push(&batch(records, &case.rules)).unwrap();
    }
    let states = builder.finish();
    (states.iter().collect(), states.newest_event())
}

/// As [`full`], byte for byte, of each part of the keys by itself, as another process makes it.
fn in_parts(case: &Case, view: &CompiledView, retention: Retention, newest: Option<Instant>, parts: usize) -> States {
    let mut states = States::new();
    for part in 0..parts {
        let mut builder = StateBuilder::new(view, retention).after(newest);
        for records in case.records.chunks(case.batch) {
            let spread = view.in_parts(&KeyParts::new(view, parts), &batch(records, &case.rules), |one| one == part);
            for (place, events) in spread.unwrap().into_iter().enumerate() {
                assert!(place == part || events.num_rows() == 0, "only what is wanted");
                builder.push(&events).unwrap();
            }
        }
        for (key, state) in builder.finish().iter() {
            assert!(states.insert(key, state).is_none(), "a key is in one part");
        }
    }
    states
}

/// Records come bit by bit; what belongs before a key's horizon makes that key anew from all that came.
fn incremental(case: &Case, view: &CompiledView, retention: Retention) -> States {
    let mut states = States::new();
    let mut newest = None;
    let arriving = shuffled(&case.records, case.shuffle);
    let mut arrived: Vec<Record> = Vec::new();
    for records in arriving.chunks(case.batch) {
        arrived.extend_from_slice(records);
        let mut builder = StateBuilder::new(view, retention).after(newest);
        builder.push(&batch(records, &case.rules)).unwrap();
        let changes = builder.finish();
        newest = changes.newest_event();
        let updates: Vec<_> = changes.updates(|key| Ok::<_, FeatureError>(states.get(key).cloned())).collect();
        for (key, state) in updates {
            let state = match state {
                Ok(state) => state,
                Err(FeatureError::BeforeHorizon { .. }) if retention != Retention::All => {
                    full(case, &arrived, view, retention).0.remove(&key).unwrap()
                }
                Err(error) => panic!("{error}"),
            };
            states.insert(key, state);
        }
    }
    states
}

fn read(case: &Case, view: &CompiledView, states: &States, reader: Reader) -> Result<FeatureRow, FeatureError> {
    let at = ReadAt {
        as_of: Instant::from_micros(reader.as_of),
        known_at: Instant::from_micros(reader.known_at),
        up_to: reader.up_to.map(|commit| commit as u64),
    };
    match case.key(reader).and_then(|key| states.get(&key)) {
        Some(state) => view.read(state, at),
        None => view.read_empty(at),
    }
}

fn bits(values: &[Value]) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::Float(float) => format!("float {:016x} {float}", float.to_bits()),
        Value::List(values) => format!("{:?}", bits(values)),
        other => format!("{other:?}"),
    };
    values.iter().map(one).collect()
}

/// What models read is what everybody reads, and of lists nothing.
fn without_lists(case: &Case, view: &CompiledView, whole: &RecordBatch, states: &States) -> Result<(), TestCaseError> {
    let bare = view.clone().without_lists();
    let found = offline(case, &bare, 2, 0);
    let types: Vec<ValueType> = view.outputs().iter().map(|output| output.value_type).collect();
    for (column, value_type) in types.iter().enumerate() {
        match value_type {
            ValueType::One(_) => prop_assert_eq!(found.column(column), whole.column(column)),
            ValueType::List(_) => prop_assert_eq!(found.column(column).null_count(), case.readers.len()),
        }
    }
    prop_assert_eq!(found.column(types.len()), whole.column(types.len()));
    for reader in &case.readers {
        let mut expected = read(case, view, states, *reader).unwrap();
        let lists = expected.values.iter_mut().zip(&types).filter(|(_, value_type)| value_type.one().is_none());
        lists.for_each(|(value, _)| *value = Value::Null);
        let row = read(case, &bare, states, *reader).unwrap();
        prop_assert_eq!(bits(&row.values), bits(&expected.values));
        prop_assert_eq!(row.no_history, expected.no_history);
    }
    Ok(())
}

/// Outputs are the same whoever else is computed.
fn narrowed(case: &Case, view: &CompiledView, found: &RecordBatch) -> Result<(), TestCaseError> {
    let some = (0..view.outputs().len()).filter(|output| *output as u64 % 3 == case.shuffle % 3);
    let needed = view.needed_for(some.clone());
    prop_assert!(some.clone().all(|output| needed.contains(&output)) && needed.is_sorted());
    let mut definition = view.definition().clone();
    definition.features = needed.iter().map(|output| definition.features[*output].clone()).collect();
    let narrowed = offline(case, &CompiledView::compile(definition).unwrap(), 1, 0);
    for (place, output) in needed.into_iter().enumerate() {
        prop_assert_eq!(narrowed.column(place), found.column(output));
    }
    prop_assert_eq!(narrowed.columns().last(), found.columns().last(), "who has a history");
    Ok(())
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let view = case.view();
    let names: Vec<&str> = view.outputs().iter().map(|output| output.name.as_str()).collect();
    let found = offline(case, &view, 1, 0);
    prop_assert_eq!(&found, &offline(case, &view, 3, case.shuffle), "threads and order of arrival");
    let (places, joined) = merged(case, &view);
    prop_assert_eq!(&joined, &take_record_batch(&found, &places).unwrap(), "in the order of keys");
    for (row, reader) in case.readers.iter().enumerate() {
        let (expected, no_history) = case.expected(*reader);
        let values: Vec<Value> = (0..names.len()).map(|column| Value::from_array(found.column(column), row)).collect();
        prop_assert_eq!(bits(&values), bits(&expected), "offline {:?} {:?}", reader, names);
        prop_assert_eq!(found.column(names.len()).as_boolean().value(row), no_history);
    }
    let (states, newest) = full(case, &case.records, &view, Retention::All);
    prop_assert_eq!(&in_parts(case, &view, Retention::All, newest, 3), &states);
    without_lists(case, &view, &found, &states)?;
    narrowed(case, &view, &found)?;
    let updated = incremental(case, &view, Retention::All);
    for reader in &case.readers {
        let (expected, no_history) = case.expected(*reader);
        for (way, states) in [("full", &states), ("incremental", &updated)] {
            let row = read(case, &view, states, *reader).unwrap();
            prop_assert_eq!(bits(&row.values), bits(&expected), "{} {:?} {:?}", way, reader, names);
            prop_assert_eq!(row.no_history, no_history);
        }
    }
    let Some(horizon) = case.horizon else { return Ok(()) };
    let retention = view.retention(Some(horizon.parse().unwrap())).unwrap();
    let (states, newest) = full(case, &case.records, &view, retention);
    prop_assert_eq!(&in_parts(case, &view, retention, newest, 2), &states);
    let updated = incremental(case, &view, retention);
    for reader in &case.readers {
        let (expected, no_history) = case.expected(*reader);
        for (way, states) in [("full", &states), ("incremental", &updated)] {
            let row = match read(case, &view, states, *reader) {
                Ok(row) => row,
                Err(FeatureError::BeforeHorizon { .. }) => {
                    let newest = newest.unwrap().micros();
                    // Who reads now, and all, is never refused.
                    let now = reader.as_of > newest && reader.known_at >= reader.as_of && reader.up_to.is_none();
                    prop_assert!(!now, "{} {:?} newest {}", way, reader, newest);
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            prop_assert_eq!(bits(&row.values), bits(&expected), "horizon {} {:?} {:?}", way, reader, names);
            prop_assert_eq!(row.no_history, no_history);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn brute_force_offline_and_online_agree_bit_for_bit(case in cases()) {
        check(&case)?;
    }
}

/// The checkpoint is met, not only allowed: over many cases some reads go through one and some are refused.
#[test]
fn horizons_fold_and_refuse() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for _ in 0..200 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let Some(horizon) = case.horizon else { continue };
        let view = case.view();
        let retention = view.retention(Some(horizon.parse().unwrap())).unwrap();
        let (all, _) = full(&case, &case.records, &view, Retention::All);
        let (states, _) = full(&case, &case.records, &view, retention);
        for reader in &case.readers {
            let Some(key) = case.key(*reader) else { continue };
            let folded = states.contains_key(&key) && states[&key] != all[&key];
            *seen
                .entry(match (folded, read(&case, &view, &states, *reader)) {
                    (true, Ok(_)) => "read through a checkpoint",
                    (true, Err(_)) => "refused",
                    (false, Ok(_)) => "read from events",
                    (false, Err(error)) => panic!("{error}"),
                })
                .or_insert(0) += 1;
        }
    }
    for kind in ["read through a checkpoint", "refused", "read from events"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 20), "{kind}: {seen:?}");
    }
}
