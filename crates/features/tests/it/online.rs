//! Reading one key: what was nulled, what is newest, what is refused, and what each of these is called.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use karat_core::{HEADED, Instant, Value, hidden};
use karat_features::{CompiledView, Definition, FeatureError, FeatureRow, Needs, ReadAt, Retention, StateBuilder};
use serde_json::json;

use crate::histories::{DAY, batch, client, source, view_of};
use crate::oracle::{Record, Rules};

fn rules() -> Rules {
    Rules { timed: true, include_as_of: false, zone: "UTC".to_owned() }
}

fn record(id: i64, day: i64) -> Record {
    Record {
        client: 1,
        id,
        event_time: day * DAY,
        known: day * DAY,
        commit: id,
        removed: false,
        sequence: None,
        amount: Some(id as f64 / 10.0),
        n: Some(id),
        late: Some(id % 2 == 0),
        city: Some("Brno".to_owned()),
        day: Some(0),
    }
}

fn compiled() -> CompiledView {
    let view = view_of([
        ("born".to_owned(), json!({"last": "day"})),
        ("first_born".to_owned(), json!({"first": "day"})),
        ("age".to_owned(), json!({"expression": "years_between(born, as_of)"})),
        ("age_too".to_owned(), json!({"expression": "years_between(day, as_of)"})),
        ("total".to_owned(), json!({"sum": "amount"})),
        ("recent".to_owned(), json!({"sum": "n", "window": "10 days"})),
    ]);
    CompiledView::compile(Definition::new(&view, &[client()], source(&rules())).unwrap()).unwrap()
}

fn state(view: &CompiledView, records: &[Record], notes: &[Option<&str>], retention: Retention) -> Vec<u8> {
    let whole = batch(records, &rules());
    let index = whole.schema().index_of(hidden::NULLED).unwrap();
    let mut columns = whole.columns().to_vec();
    columns[index] = Arc::new(notes.iter().copied().collect::<StringArray>());
    let whole = RecordBatch::try_new(whole.schema(), columns).unwrap();
    let mut builder = StateBuilder::new(view, retention);
    builder.push(&whole).unwrap();
    builder.finish().iter().next().unwrap().1
}

fn at(day: i64) -> ReadAt {
    ReadAt::time(Instant::from_micros(day * DAY))
}

fn nulled(row: &FeatureRow) -> Vec<(usize, &str, &str, &str)> {
    row.nulled.iter().map(|one| (one.feature, one.column.as_str(), one.value.as_str(), one.check.as_str())).collect()
}

#[test]
fn nulled_cells_show_in_every_value_that_rests_on_them() {
    let view = compiled();
    let mut records = vec![record(1, 10), record(2, 20)];
    records[1].day = None;
    let note =
        r#"[{"column":"day","value":"3021-09-18","check":"range"},{"column":"city","value":"?","check":"allowed"}]"#;
    let state = state(&view, &records, &[None, Some(note)], Retention::All);
    let row = view.read(&state, at(30)).unwrap();
    assert_eq!(row.values[0], Value::Null);
    assert_eq!(row.values[1], Value::Date(0));
    let cell = |feature| (feature, "day", "3021-09-18", "range");
    assert_eq!(nulled(&row), [cell(0), cell(2), cell(3)]);
    assert_eq!(row.newest_event, Some(Instant::from_micros(20 * DAY)));
    // Before the second event nothing was nulled.
    let row = view.read(&state, at(15)).unwrap();
    assert_eq!(nulled(&row), []);
    assert_eq!(row.values[0], Value::Date(0));
    assert_eq!(row.newest_event, Some(Instant::from_micros(10 * DAY)));
}

#[test]
fn lists_tell_of_every_cell_in_them_that_was_nulled_and_are_never_null() {
    let view = view_of([
        ("days".to_owned(), json!({"list": "day", "last": 2})),
        ("none".to_owned(), json!({"list": "city", "last": 9, "where": "n > 100"})),
    ]);
    let view = CompiledView::compile(Definition::new(&view, &[client()], source(&rules())).unwrap()).unwrap();
    let mut records: Vec<Record> = (1..=4).map(|id| record(id, 10 * id)).collect();
    let note = |value: &str| format!(r#"[{{"column":"day","value":"{value}","check":"range"}}]"#);
    let notes = ["a", "b", "c", "d"].map(note);
    for row in [0, 1, 3] {
        records[row].day = None;
    }
    let notes = [Some(notes[0].as_str()), Some(notes[1].as_str()), None, Some(notes[3].as_str())];
    let state = state(&view, &records, &notes, Retention::All);
    let row = view.read(&state, at(50)).unwrap();
    let list = |values: &[Value]| Value::List(values.into());
    assert_eq!(row.values, [list(&[Value::Date(0), Value::Null]), list(&[])]);
    assert_eq!(nulled(&row), [(0, "day", "d", "range")]);
    let row = view.read(&state, at(30)).unwrap();
    assert_eq!(row.values[0], list(&[Value::Null, Value::Null]));
    assert_eq!(nulled(&row), [(0, "day", "a", "range"), (0, "day", "b", "range")]);
    let empty = view.read_empty(at(30)).unwrap();
    assert!(empty.no_history);
    assert_eq!(empty.values, [list(&[]), list(&[])]);
}

#[test]
fn a_key_without_events_has_counts_of_nothing() {
    let view = compiled();
    let row = view.read_empty(at(30)).unwrap();
    assert!(row.no_history);
    assert!(row.values.iter().all(Value::is_null), "{row:?}");
    assert_eq!(row.newest_event, None);
}

#[test]
fn readers_before_the_horizon_are_refused_by_name() {
    let view = compiled();
    let retention = view.retention(Some("20 days".parse().unwrap())).unwrap();
    let records: Vec<Record> = (1..=50).map(|id| record(id, id)).collect();
    let whole = state(&view, &records, &[None; 50], Retention::All);
    let folded = state(&view, &records, &[None; 50], retention);
    assert!(folded.len() < whole.len(), "{} {}", folded.len(), whole.len());
    for day in [40, 41, 50, 51, 60, 1000] {
        assert_eq!(view.read(&folded, at(day)).unwrap(), view.read(&whole, at(day)).unwrap(), "{day}");
    }
    let error = view.read(&folded, at(29)).unwrap_err();
    assert_eq!(error, FeatureError::BeforeHorizon { horizon: Instant::from_micros(30 * DAY), needs: Needs::Earlier });
    assert!(error.to_string().contains("1970-01-31T00:00:00Z only: ask the history"), "{error}");
    // The instant itself is after the horizon; a window that ends there began before it.
    assert_eq!(
        view.read(&folded, at(39)).unwrap_err().to_string(),
        "the online state keeps single events since 1970-01-31T00:00:00Z only, and a window of 10 days reaches back to \
         1970-01-30T00:00:00Z: ask the history, or a later time (`online_horizon` in the view)"
    );
    let earlier_commit = ReadAt { up_to: Some(20), ..at(60) };
    assert!(matches!(view.read(&folded, earlier_commit), Err(FeatureError::BeforeHorizon { .. })));
    let earlier_knowledge = ReadAt { known_at: Instant::from_micros(20 * DAY), ..at(60) };
    assert!(matches!(view.read(&folded, earlier_knowledge), Err(FeatureError::BeforeHorizon { .. })));

    // A correction of what was folded, and an event from before, must go through history.
    for late in [Record { known: 60 * DAY, event_time: 55 * DAY, ..record(3, 3) }, Record { id: 99, ..record(3, 3) }] {
        let mut builder = StateBuilder::new(&view, retention);
        builder.push(&batch(&[late], &rules())).unwrap();
        let states = builder.finish();
        let updates: Vec<_> = states.updates(|_| Ok::<_, FeatureError>(Some(folded.clone()))).collect();
        assert!(matches!(updates[0].1, Err(FeatureError::BeforeHorizon { .. })));
    }
}

/// A store over a network hands over the head and no more.
#[test]
fn answers_need_the_head_of_a_long_state_and_changes_all_of_it() {
    let view = compiled();
    let retention = view.retention(Some("20 days".parse().unwrap())).unwrap();
    let records: Vec<Record> = (1..=500).map(|id| record(id, id)).collect();
    let whole = state(&view, &records, &[None; 500], retention);
    let length = whole.strip_prefix(&HEADED).and_then(|rest| rest.first_chunk()).unwrap();
    let head = whole[..u32::from_le_bytes(*length) as usize].to_vec();
    assert!(2 * head.len() < whole.len(), "{} of {}", head.len(), whole.len());
    assert_eq!(view.read(&head, at(600)).unwrap(), view.read(&whole, at(600)).unwrap());

    let mut builder = StateBuilder::new(&view, retention);
    builder.push(&batch(&[record(501, 501)], &rules())).unwrap();
    let states = builder.finish();
    let update = |old: &Vec<u8>| {
        let mut updates: Vec<_> = states.updates(|_| Ok::<_, FeatureError>(Some(old.clone()))).collect();
        updates.remove(0).1
    };
    let updated = update(&whole).unwrap();
    for end in 0..whole.len() {
        let short = whole[..end].to_vec();
        assert_eq!(view.read(&short, at(600)).is_ok(), end >= head.len(), "{end}");
        assert!(matches!(update(&short), Err(FeatureError::Corrupt(_))), "{end}");
    }
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        assert_eq!(view.read(&damaged, at(600)).is_ok(), place >= head.len(), "{place}");
        assert!(matches!(update(&damaged), Err(FeatureError::Corrupt(_))), "{place}");
    }

    // As it was written before there were heads: both parts behind each other. None of its texts is the second part's own.
    let behind = &whole[head.len() + 4..];
    assert_eq!(behind[0], 0, "texts of its own");
    let parts = [&head[12..], &behind[1..]].concat();
    let before = [&[1u8][..], &crc32fast::hash(&parts).to_le_bytes(), &parts].concat();
    assert_eq!(view.read(&before, at(600)).unwrap(), view.read(&whole, at(600)).unwrap());
    assert_eq!(update(&before).unwrap(), updated);
}

#[test]
fn batches_that_do_not_fit_say_so() {
    let view = compiled();
    let whole = batch(&[record(1, 1)], &rules());
    let without = whole.schema().index_of("amount").unwrap();
    let mut fewer = whole.clone();
    fewer.remove_column(without);
    let mut builder = StateBuilder::new(&view, Retention::All);
    let error = builder.push(&fewer).unwrap_err();
    assert_eq!(error.to_string(), "the batch does not fit the view: there is no column `amount`");
    assert!(whole.column(without).len() == 1);
}
