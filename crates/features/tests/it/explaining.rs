//! The events that an explanation names give the value: brute force over them alone, with neither visibility, condition
//! nor window left to apply, comes to the same bits. What it leaves out is left out for the reason it says.

use std::collections::HashSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use karat_core::{Instant, Value, hidden};
use karat_features::{CompiledView, Explainer, Explanation, PartOf, ReadAt, Standing};
use proptest::prelude::*;

use crate::histories::{Case, batch, cases, shuffled};
use crate::oracle::{Aggregate, Reader, Record, aggregate, column, visible};

/// Of the reader's key, from a history that arrives in any order.
fn explained(case: &Case, view: &CompiledView, output: usize, reader: Reader) -> Explanation {
    let mut explainer = Explainer::new(view);
    for records in shuffled(&case.records, case.shuffle).chunks(case.batch) {
        let batch = batch(records, &case.rules);
        let of_key = records.iter().map(|record| reader.asks_about(record)).collect::<Vec<_>>();
        explainer.push(&filter_record_batch(&batch, &of_key.into()).unwrap()).unwrap();
    }
    let at = ReadAt {
        as_of: Instant::from_micros(reader.as_of),
        known_at: Instant::from_micros(reader.known_at),
        up_to: reader.up_to.map(|commit| commit as u64),
    };
    explainer.explain(output, at).unwrap()
}

/// The records that the rows of an explanation are.
fn records<'c>(case: &'c Case, rows: &RecordBatch) -> Vec<&'c Record> {
    if rows.num_rows() == 0 {
        return Vec::new();
    }
    let int = |name: &str, row| rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(row);
    let removed = rows.column_by_name(hidden::REMOVED).unwrap().as_boolean();
    let same = |record: &&Record, row: usize| {
        (record.id, record.known, record.commit, record.removed)
            == (int("id", row), int(hidden::KNOWN_TIME, row), int(hidden::COMMIT, row), removed.value(row))
    };
    (0..rows.num_rows()).map(|row| case.records.iter().find(|record| same(record, row)).unwrap()).collect()
}

fn bits(value: &Value) -> String {
    match value {
        Value::Float(float) => format!("{:016x}", float.to_bits()),
        Value::List(values) => format!("{:?}", values.iter().map(bits).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let view = case.view();
    for reader in case.readers.iter().filter(|reader| case.key(**reader).is_some()).take(4) {
        let (expected, no_history) = case.expected(*reader);
        let seen = visible(&case.records, &case.rules, *reader);
        for (output, expected) in expected.iter().enumerate() {
            let explanation = explained(case, &view, output, *reader);
            prop_assert_eq!(bits(&explanation.value), bits(expected), "{:?}", view.outputs()[output]);
            prop_assert_eq!(explanation.no_history, no_history);
            let rows = records(case, &explanation.records);
            for (part, standings) in explanation.parts.iter().zip(by_part(&explanation)) {
                let counted = |standing: &Standing| *standing == Standing::Counts;
                let behind: Vec<&Record> = rows
                    .iter()
                    .zip(&standings)
                    .filter(|(_, standing)| counted(standing))
                    .map(|(row, _)| *row)
                    .collect();
                match &part.of {
                    PartOf::Column(name) => {
                        let young = |record: &&&Record| {
                            part.window_start.is_none_or(|start| record.event_time >= start.micros())
                        };
                        prop_assert_eq!(behind.len(), usize::from(seen.iter().filter(young).count() > 0));
                        let value = behind.first().map_or(Value::Null, |record| column(record, name));
                        prop_assert_eq!(bits(&part.value), bits(&value));
                    }
                    PartOf::Feature(feature) => {
                        let all = aggregate_of(case, view.outputs()[*feature].name.as_str());
                        let bare = Aggregate { condition: None, window: None, last: None, ..all.clone() };
                        let value = aggregate(&bare, &behind, &case.rules, reader.as_of);
                        prop_assert_eq!(bits(&part.value), bits(&value), "{:?} {:?}", all, standings);
                        left_out(case, &all, part.window_start, *reader, &rows, &standings, &seen)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn by_part(explanation: &Explanation) -> Vec<Vec<Standing>> {
    let of = |part: usize| explanation.standings.iter().map(|standings| standings[part]).collect();
    (0..explanation.parts.len()).map(of).collect()
}

fn aggregate_of(case: &Case, name: &str) -> Aggregate {
    let plain = |word, of| Aggregate { word, of, condition: None, window: None, last: None };
    match name {
        "nb" => plain("count", "rows"),
        // An expression that is nothing but a column is the last value of it.
        "column_city" => plain("last", "city"),
        name => case.aggregates[name[1..].parse::<usize>().unwrap()].clone(),
    }
}

/// Each reason by its own plain words.
fn left_out(
    case: &Case,
    of: &Aggregate,
    window_start: Option<Instant>,
    reader: Reader,
    rows: &[&Record],
    standings: &[Standing],
    seen: &[&Record],
) -> Result<(), TestCaseError> {
    let happened = |record: &Record| {
        let before = record.event_time < reader.as_of;
        !case.rules.timed || before || (case.rules.include_as_of && record.event_time == reader.as_of)
    };
    let known =
        |record: &Record| record.known <= reader.known_at && reader.up_to.is_none_or(|commit| record.commit <= commit);
    let is_true = |record: &Record, sql: &str| column(record, sql) == Value::Bool(true);
    // Without `last`, the condition that time is measured since is one more `where`.
    let since = Some(of.of).filter(|sql| of.word == "time_since" && of.last.is_none() && *sql != "rows");
    let passes = |record: &Record| of.condition.into_iter().chain(since).all(|sql| is_true(record, sql));
    let within = |record: &Record| window_start.is_none_or(|start| record.event_time >= start.micros());
    // As text: a value that is no number is equal to none.
    let texts: HashSet<String> = seen.iter().map(|record| format!("{record:?}")).collect();
    let is_seen = |record: &Record| texts.contains(&format!("{record:?}"));
    for (record, standing) in rows.iter().zip(standings) {
        let holds = match standing {
            Standing::NotHappened => !happened(record) && !record.removed,
            Standing::NotKnown => happened(record) && !known(record) && !record.removed,
            Standing::Removal => record.removed,
            Standing::Revised { by } => {
                let by = rows[*by];
                by.id == record.id && !by.removed && happened(by) && known(by) && !record.removed
            }
            Standing::Removed { by } => {
                let by = rows[*by];
                by.id == record.id && by.removed && !is_seen(record) && known(by)
            }
            Standing::Filtered => is_seen(record) && !passes(record),
            Standing::BeforeWindow => is_seen(record) && passes(record) && !within(record),
            Standing::BeforeLast => is_seen(record) && passes(record) && within(record) && of.last.is_some(),
            Standing::Null => is_seen(record) && column(record, of.of).is_null() && of.of != "rows",
            Standing::NotTheOne => is_seen(record) && ["first", "last", "time_since"].contains(&of.word),
            Standing::Counts => is_seen(record) && passes(record) && within(record),
        };
        prop_assert!(holds, "{:?} of {:?} for {:?} by {:?}", standing, record, of, reader);
    }
    // Whatever is visible is accounted for.
    let visible = |standing: &&Standing| {
        use Standing::{NotHappened, NotKnown, Removal, Removed, Revised};
        !matches!(standing, NotHappened | NotKnown | Removal | Removed { .. } | Revised { .. })
    };
    prop_assert_eq!(standings.iter().filter(visible).count(), seen.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_events_named_give_the_value_bit_for_bit(case in cases()) {
        check(&case)?;
    }
}

/// Every reason is met, not only allowed.
#[test]
fn every_reason_is_met() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..120 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let view = case.view();
        for reader in case.readers.iter().filter(|reader| case.key(**reader).is_some()) {
            for output in 0..view.outputs().len() {
                for standing in explained(&case, &view, output, *reader).standings.into_iter().flatten() {
                    let name = format!("{standing:?}");
                    *met.entry(name.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
                }
            }
        }
    }
    assert_eq!(met.len(), 11, "{met:?}");
}
