//! Variances, deviations and quantiles against Python's exact `statistics` and numpy, bit for bit.

use karat_core::{Instant, Value};
use karat_features::{CompiledView, Definition, ReadAt, Retention, StateBuilder};
use serde_json::{Value as Json, json};

use crate::histories::{DAY, batch, client, source, view_of};
use crate::oracle::{Record, Rules};

#[test]
fn spreads_and_quantiles_are_those_of_python_and_numpy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/spreads.json");
    let document: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let rules = Rules { timed: true, include_as_of: false, zone: "UTC".to_owned() };
    let mut compared = 0;
    for case in document["cases"].as_array().unwrap() {
        let values = case["values"].as_array().unwrap();
        let of = if values[0].is_i64() { "n" } else { "amount" };
        let quantiles = case["quantiles"].as_array().unwrap();
        let spreads = ["variance", "stddev"].map(|word| (word.to_owned(), json!({ word: of })));
        let features = quantiles
            .iter()
            .enumerate()
            .map(|(index, one)| (format!("quantile_{index}"), json!({"quantile": of, "q": one["q"]})));
        let view = view_of(spreads.into_iter().chain(features).chain([("median".to_owned(), json!({"median": of}))]));
        let definition = Definition::new(&view, &[client()], source(&rules)).unwrap();
        let view = CompiledView::compile(definition).unwrap();
        let records: Vec<Record> = values.iter().enumerate().map(|(id, value)| record(id as i64, value)).collect();
        let mut builder = StateBuilder::new(&view, Retention::All);
        builder.push(&batch(&records, &rules)).unwrap();
        let (_, state) = builder.finish().iter().next().unwrap();
        let row = view.read(&state, ReadAt::time(Instant::from_micros(DAY))).unwrap();

        let median = quantiles.iter().find(|one| one["q"] == 0.5).unwrap();
        let expected = [&case["variance"], &case["stddev"]];
        let expected = expected.into_iter().chain(quantiles.iter().chain([median]).map(|one| &one["value"]));
        for ((expected, found), output) in expected.zip(&row.values).zip(view.outputs()) {
            let Value::Float(found) = found else { panic!("{found:?}") };
            let expected = expected.as_f64().unwrap();
            assert_eq!(*found, expected, "{} {}", case["name"], output.name);
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

fn record(id: i64, value: &Json) -> Record {
    Record {
        client: 1,
        id,
        event_time: id,
        known: id,
        commit: 1,
        removed: false,
        sequence: None,
        amount: value.as_f64(),
        n: value.as_i64(),
        late: None,
        city: None,
        day: None,
    }
}
