//! Rows that see only what happened from an instant on, as labels do, against brute force.

use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use karat_core::Value;
use karat_features::{AsOfPass, Spine};
use proptest::prelude::*;

use crate::histories::{Case, DAY, batch, cases, shuffled};
use crate::oracle::{Reader, Record, aggregate, visible};

/// How long before each reader's as_of it begins to see: an empty stretch, an instant, days, everything.
const STRETCHES: [i64; 7] = [0, 1, DAY, 30 * DAY, 31 * DAY, 90 * DAY, 5000 * DAY];

fn since_of(reader: &Reader, stretch: usize) -> i64 {
    reader.as_of - STRETCHES[stretch % STRETCHES.len()]
}

fn expected(case: &Case, reader: Reader, since: i64) -> Vec<Value> {
    // What each event is, is what was known of it by then; which of them lie in the window, after that.
    let rows: Vec<&Record> = visible(&case.records, &case.rules, Reader { as_of: i64::MAX, ..reader })
        .into_iter()
        .filter(|record| match case.rules.include_as_of {
            true => record.event_time > since && record.event_time <= reader.as_of,
            false => record.event_time >= since && record.event_time < reader.as_of,
        })
        .collect();
    case.aggregates.iter().map(|one| aggregate(&case.within(one), &rows, &case.rules, reader.as_of)).collect()
}

/// Of events that have times and live for ever, as labels have them.
fn of_lasting_events() -> impl Strategy<Value = Case> {
    let timed = cases().prop_filter("events have times", |case| case.rules.timed);
    timed.prop_map(|case| Case { ttl: None, ..case })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_see_no_event_before_their_since(
        case in of_lasting_events(),
        stretches in prop::collection::vec(0..STRETCHES.len(), 20),
    ) {
        let view = case.view();
        let since: Vec<i64> =
            case.readers.iter().zip(&stretches).map(|(reader, stretch)| since_of(reader, *stretch)).collect();
        let mut pass = AsOfPass::new(&view).with_threads(2);
        for records in shuffled(&case.records, case.shuffle).chunks(case.batch) {
            pass.push(&batch(records, &case.rules)).unwrap();
        }
        let spine = Spine {
            keys: case.keys(),
            as_of: case.readers.iter().map(|reader| Some(reader.as_of)).collect(),
            known_at: Some(case.readers.iter().map(|reader| Some(reader.known_at)).collect()),
            since: Some(Int64Array::from(since.clone())),
        };
        let found = pass.run(&spine, case.up_to.map(|commit| commit as u64)).unwrap();
        for (row, (reader, since)) in case.readers.iter().zip(since).enumerate() {
            for (index, value) in expected(&case, *reader, since).into_iter().enumerate() {
                let column = found.column_by_name(&format!("f{index}")).unwrap();
                prop_assert_eq!(
                    format!("{:?}", Value::from_array(column, row)),
                    format!("{value:?}"),
                    "{:?} of {:?} since {}", &case.aggregates[index], reader, since
                );
            }
        }
    }
}

#[test]
fn a_since_is_there_for_every_row() {
    let case = Case {
        rules: crate::oracle::Rules { timed: true, include_as_of: false, zone: "UTC".to_owned() },
        ttl: None,
        aggregates: Vec::new(),
        records: Vec::new(),
        readers: Vec::new(),
        up_to: None,
        joint: false,
        horizon: None,
        shuffle: 0,
        batch: 1,
    };
    let view = case.view();
    for since in [Int64Array::from(vec![Some(1), None]), Int64Array::from(vec![1])] {
        let keys: Int64Array = vec![1, 1].into();
        let spine =
            Spine { keys: vec![Arc::new(keys)], as_of: vec![5, 5].into(), known_at: None, since: Some(since.clone()) };
        let refused = AsOfPass::new(&view).run(&spine, None).unwrap_err().to_string();
        assert!(refused.contains(if since.null_count() > 0 { "since of the spine" } else { "differ in length" }));
    }
}
