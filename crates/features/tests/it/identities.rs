//! Rows told apart by file and row, keys of text, and several keys together.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Int32Type, Int64Type, Schema as ArrowSchema};
use karat_core::{Column, DataType, Digest, Instant, Name, Schema, Value, Zone, hidden};
use karat_features::{
    AsOfPass, CompiledView, Definition, Identity, ReadAt, Retention, SourceDefinition, Spine, StateBuilder, decode_key,
    encode_key,
};
use karat_project::spec::Entity;
use serde_json::json;

use crate::histories::view_of;

struct Row {
    account: Option<&'static str>,
    branch: i64,
    file: Option<&'static str>,
    row: i64,
}

fn entity(name: &str, key_type: DataType) -> Entity {
    Entity { name: Name::new(name).unwrap(), description: None, keys: vec![Column::new(name, key_type)] }
}

fn view(entities: &[Entity]) -> CompiledView {
    let source = SourceDefinition {
        name: Name::new("events").unwrap(),
        columns: Schema::new(vec![Column::new("account", DataType::Text), Column::new("branch", DataType::Int)]),
        keys: Vec::new(),
        event_time: Some("at".to_owned()),
        known_time: None,
        available_after: None,
        include_as_of: true,
        time_zone: Zone::utc(),
        sequence: None,
        identity: Identity::FileRow,
        upstream: Digest::of("as delivered"),
    };
    let view =
        view_of([("nb".to_owned(), json!({"count": "rows"})), ("last_branch".to_owned(), json!({"last": "branch"}))]);
    CompiledView::compile(Definition::new(&view, entities, source).unwrap()).unwrap()
}

fn batch(rows: &[Row]) -> RecordBatch {
    let mut fields =
        vec![Field::new("branch", DataType::Int.arrow(), true), Field::new("account", DataType::Text.arrow(), true)];
    fields.extend(hidden::fields());
    let ints = |cell: &dyn Fn(&Row) -> i64| -> ArrayRef { Arc::new(rows.iter().map(cell).collect::<Int64Array>()) };
    let columns: Vec<ArrayRef> = vec![
        ints(&|row| row.branch),
        Arc::new(rows.iter().map(|row| row.account).collect::<StringArray>()),
        ints(&|_| 5),
        ints(&|_| 5),
        ints(&|_| 1),
        Arc::new(rows.iter().map(|_| Some(false)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.file).collect::<DictionaryArray<Int32Type>>()),
        ints(&|row| row.row),
        Arc::new(rows.iter().map(|_| None::<&str>).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).unwrap()
}

fn rows() -> Vec<Row> {
    vec![
        Row { account: Some("b"), branch: 1, file: Some("f1"), row: 1 },
        // The same content in another row, and in another file: three events.
        Row { account: Some("b"), branch: 1, file: Some("f1"), row: 2 },
        Row { account: Some("b"), branch: 9, file: Some("f0"), row: 7 },
        // The same row delivered again: no event more.
        Row { account: Some("b"), branch: 1, file: Some("f1"), row: 1 },
        Row { account: Some("a\u{0}"), branch: 1, file: None, row: 1 },
        Row { account: None, branch: 1, file: Some("f1"), row: 3 },
    ]
}

fn counts(view: &CompiledView, keys: Vec<ArrayRef>) -> (Vec<i64>, Vec<bool>) {
    let mut pass = AsOfPass::new(view);
    pass.push(&batch(&rows())).unwrap();
    let rows = keys[0].len();
    let spine = Spine { keys, as_of: Int64Array::from(vec![5; rows]), known_at: None, since: None };
    let found = pass.run(&spine, None).unwrap();
    let no_history = (0..rows).map(|row| found.column(2).as_boolean().value(row)).collect();
    (found.column(0).as_primitive::<Int64Type>().values().to_vec(), no_history)
}

#[test]
fn rows_are_told_apart_by_file_and_row_and_accounts_by_text() {
    let view = view(&[entity("account", DataType::Text)]);
    let keys = StringArray::from(vec![Some("a\u{0}"), Some("b"), Some("a"), None]);
    let (counted, no_history) = counts(&view, vec![Arc::new(keys)]);
    assert_eq!(counted, [1, 3, 0, 0]);
    assert_eq!(no_history, [false, false, true, true]);

    let mut builder = StateBuilder::new(&view, Retention::All);
    builder.push(&batch(&rows())).unwrap();
    let states = builder.finish();
    assert_eq!(states.len(), 2);
    let read: Vec<(Vec<Value>, Vec<Value>)> = states
        .iter()
        .map(|(key, state)| {
            let row = view.read(&state, ReadAt::time(Instant::from_micros(5))).unwrap();
            (decode_key(&key).unwrap(), row.values)
        })
        .collect();
    // All at one instant: the last is that of the greatest (file, row), `f1` row 2.
    assert_eq!(
        read,
        [
            (vec![Value::text("b")], vec![Value::Int(3), Value::Int(1)]),
            (vec![Value::text("a\u{0}")], vec![Value::Int(1), Value::Int(1)]),
        ]
    );
}

#[test]
fn several_entities_together_are_one_key() {
    let view = view(&[entity("account", DataType::Text), entity("branch", DataType::Int)]);
    let accounts: ArrayRef = Arc::new(StringArray::from(vec!["b", "b", "b"]));
    let branches: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(9), None]));
    let (counted, no_history) = counts(&view, vec![accounts, branches]);
    assert_eq!(counted, [2, 1, 0]);
    assert_eq!(no_history, [false, false, true]);
    let mut builder = StateBuilder::new(&view, Retention::All);
    builder.push(&batch(&rows())).unwrap();
    let keys: Vec<Vec<u8>> = builder.finish().iter().map(|(key, _)| key).collect();
    assert!(keys.contains(&encode_key(&[Value::text("b"), Value::Int(9)])));
}
