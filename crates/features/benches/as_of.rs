//! A million events of 200,000 clients through twelve features: offline at a million times, and one client online.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use karat_core::{Column, DataType, Digest, Instant, Name, Schema, Zone, hidden};
use karat_features::{
    AsOfPass, CompiledView, Definition, Identity, ReadAt, Retention, SourceDefinition, Spine, StateBuilder, encode_key,
};

const DAY: i64 = 86_400_000_000;

const FEATURES: &str = r#"{
    "nb": {"count": "rows"},
    "avg_amount": {"mean": "amount"},
    "total": {"sum": "amount"},
    "share_late": {"share": "late"},
    "last_status": {"last": "status"},
    "late_last_6": {"count": "rows", "where": "late", "window": "6 months"},
    "worst_last_6": {"max": "status", "window": "6 months"},
    "avg_last_3": {"mean": "amount", "last": 3},
    "since_late": {"time_since": "late"},
    "statuses": {"distinct": "status"},
    "age": {"expression": "years_between(birthday, as_of)"},
    "late_ratio": {"expression": "late_last_6 / nullif(CAST(nb AS FLOAT), 0)"}
}"#;

fn view() -> CompiledView {
    let columns = vec![
        Column::new("client", DataType::Int),
        Column::new("loan", DataType::Int),
        Column::new("amount", DataType::Float),
        Column::new("status", DataType::Int),
        Column::new("late", DataType::Bool),
        Column::new("birthday", DataType::Date),
    ];
    let source = SourceDefinition {
        name: Name::new("loans").expect("a name"),
        columns: Schema::new(columns),
        keys: vec!["loan".to_owned()],
        event_time: Some("month".to_owned()),
        known_time: None,
        available_after: None,
        include_as_of: false,
        time_zone: Zone::utc(),
        sequence: None,
        identity: Identity::Keys(vec!["loan".to_owned()]),
        upstream: Digest::of("bench"),
    };
    let json = format!(r#"{{"name": "history", "entity": "client", "source": "loans", "features": {FEATURES}}}"#);
    let view = serde_json::from_str(&json).expect("a view");
    let entity = serde_json::from_str(r#"{"name": "client", "key": "client"}"#).expect("an entity");
    CompiledView::compile(Definition::new(&view, &[entity], source).expect("a definition")).expect("a view")
}

/// Numbers that look random and are the same each time.
fn noise(index: i64) -> i64 {
    ((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as i64
}

fn history(events: i64, clients: i64) -> RecordBatch {
    let rows = 0..events;
    let time = |row: i64| (noise(row + 7) % 2_000) * DAY;
    let int = |cell: &dyn Fn(i64) -> i64| -> ArrayRef { Arc::new(rows.clone().map(cell).collect::<Int64Array>()) };
    let mut fields = vec![
        Field::new("client", DataType::Int.arrow(), true),
        Field::new("loan", DataType::Int.arrow(), true),
        Field::new("amount", DataType::Float.arrow(), true),
        Field::new("status", DataType::Int.arrow(), true),
        Field::new("late", DataType::Bool.arrow(), true),
        Field::new("birthday", DataType::Date.arrow(), true),
    ];
    fields.extend(hidden::fields());
    let birthdays = rows.clone().map(|row| Some((noise(noise(row) % clients) % 10_000) as i32));
    let columns: Vec<ArrayRef> = vec![
        int(&|row| noise(row) % clients),
        int(&|row| row),
        Arc::new(rows.clone().map(|row| noise(row + 1) as f64 / 1e5).collect::<Float64Array>()),
        int(&|row| noise(row + 2) % 6),
        Arc::new(rows.clone().map(|row| Some(noise(row + 3) % 20 == 0)).collect::<BooleanArray>()),
        Arc::new(birthdays.collect::<arrow::array::Date32Array>()),
        int(&time),
        int(&|row| time(row) + DAY),
        int(&|_| 1),
        Arc::new(rows.clone().map(|_| Some(false)).collect::<BooleanArray>()),
        arrow::array::new_null_array(&hidden::file_type(), events as usize),
        int(&|row| row + 1),
        Arc::new(rows.clone().map(|_| None::<&str>).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).expect("columns of one length")
}

fn offline(criterion: &mut Criterion) {
    let view = view();
    let batch = history(1_000_000, 200_000);
    let spine = Spine {
        keys: vec![Arc::new((0..1_000_000).map(|row| noise(row) % 200_000).collect::<Int64Array>())],
        as_of: (0..1_000_000).map(|row| (noise(row + 9) % 70) * 30 * DAY).collect(),
        known_at: None,
        since: None,
    };
    let mut group = criterion.benchmark_group("one million events, one million rows, twelve features");
    group.sample_size(10);
    group.bench_function("project", |bencher| {
        bencher.iter_batched(
            || AsOfPass::new(&view),
            |mut pass| {
                pass.push(&batch).expect("fits");
                pass
            },
            BatchSize::PerIteration,
        );
    });
    for threads in [1, 2] {
        let filled = || {
            let mut pass = AsOfPass::new(&view).with_threads(threads);
            pass.push(&batch).expect("fits");
            pass
        };
        group.bench_function(format!("run on {threads}"), |bencher| {
            bencher.iter_batched(filled, |pass| pass.run(&spine, None).expect("runs"), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn online(criterion: &mut Criterion) {
    let view = view();
    for events in [6, 60, 600] {
        let mut builder = StateBuilder::new(&view, Retention::All);
        builder.push(&history(events, 1)).expect("fits");
        let states = builder.finish();
        let (key, state) = states.iter().next().expect("one client");
        assert_eq!(key, encode_key(&[karat_core::Value::Int(0)]));
        let at = ReadAt::time(Instant::from_micros(1_500 * DAY));
        criterion.bench_function(&format!("read one client of {events} events ({} bytes)", state.len()), |bencher| {
            bencher.iter(|| view.read(black_box(&state), at).expect("reads"));
        });
    }
}

criterion_group!(benches, offline, online);
criterion_main!(benches);
