use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::compute::take_record_batch;
use karat_core::{Instant, Zone};
use karat_project::spec;
use karat_training::TrainingData;
use karat_training::split::{Assigned, Assignment, Dealer, Part, SpineBatch, assign};
use proptest::prelude::*;

use crate::data::{at, data, monthly};

fn split(json: serde_json::Value) -> spec::Split {
    serde_json::from_value(json).unwrap()
}

fn by_time(validation: &str, test: &str) -> spec::Split {
    split(serde_json::json!({"by": "time", "validation": validation, "test": test}))
}

fn rows(as_of: &[&str], label_time: &[&str]) -> TrainingData {
    let count = as_of.len();
    let times = |texts: &[&str]| texts.iter().map(|text| at(text)).collect::<Int64Array>();
    let label: BooleanArray = (0..count).map(|row| Some(row % 2 == 0)).collect();
    let mut data = data(vec![("x", Arc::new(Float64Array::from(vec![1.0; count])))], Arc::new(label), times(as_of));
    data.label_time = times(label_time);
    data
}

#[test]
fn the_last_calendar_months_are_the_test_part() {
    let as_of = ["2021-02-28", "2021-03-01", "2021-06-30", "2021-07-01", "2021-08-31", "2021-09-17"];
    let assigned = assign(&rows(&as_of, &as_of), &by_time("4 months", "3 months"), 42).unwrap();
    use Part::{Test, Train, Validation};
    let parts = [Train, Validation, Validation, Test, Test, Test].map(Assignment::In);
    assert_eq!(assigned.rows, parts);
    assert_eq!(assigned.report.validation.first_as_of, Some(Instant::from_micros(at("2021-03-01"))));
    assert_eq!(assigned.report.test.last_as_of, Some(Instant::from_micros(at("2021-09-17"))));
}

#[test]
fn fixed_windows_end_at_the_last_as_of() {
    let as_of = ["2021-09-01", "2021-09-02", "2021-09-03", "2021-09-04", "2021-09-05"];
    let assigned = assign(&rows(&as_of, &as_of), &by_time("2 days", "2 days"), 42).unwrap();
    use Part::{Test, Train, Validation};
    assert_eq!(assigned.rows, [Train, Validation, Validation, Test, Test].map(Assignment::In));
}

#[test]
fn a_label_known_only_after_the_next_part_began_is_purged() {
    let as_of = ["2021-01-01", "2021-01-01", "2021-02-01", "2021-02-01", "2021-03-01", "2021-03-05"];
    // Known the very moment the next part begins: not after it.
    let known = ["2021-02-01", "2021-02-02", "2021-03-01", "2021-03-02", "2030-01-01", "2030-01-01"];
    let assigned = assign(&rows(&as_of, &known), &by_time("1 month", "1 month"), 42).unwrap();
    assert_eq!(
        assigned.rows,
        [
            Assignment::In(Part::Train),
            Assignment::Purged(Part::Train),
            Assignment::In(Part::Validation),
            Assignment::Purged(Part::Validation),
            Assignment::In(Part::Test),
            Assignment::In(Part::Test),
        ]
    );
    let report = assigned.report;
    assert_eq!((report.train.purged, report.validation.purged, report.test.purged), (1, 1, 0));
    assert_eq!((report.train.rows, report.validation.rows, report.test.rows), (1, 1, 2));
    assert_eq!(report.train.last_label_time, Some(Instant::from_micros(at("2021-02-01"))));
}

#[test]
fn a_label_of_unknown_time_trains_nothing_and_rows_without_a_label_count_nowhere() {
    let as_of = ["2021-01-01", "2021-01-01", "2021-02-01", "2021-03-01", "2021-09-01"];
    let mut data = rows(&as_of, &as_of);
    data.label_time = Int64Array::from(vec![None, Some(0), Some(0), None, None]);
    data.label = Arc::new(BooleanArray::from(vec![Some(true), Some(true), Some(true), Some(false), None]));
    let assigned = assign(&data, &by_time("1 month", "1 month"), 42).unwrap();
    assert_eq!(assigned.rows[0], Assignment::Purged(Part::Train));
    assert_eq!(assigned.rows[1], Assignment::In(Part::Train));
    // The last labelled month is March: the row without a label does not move the calendar.
    assert_eq!(assigned.rows[3], Assignment::In(Part::Test));
    assert_eq!(assigned.rows[4], Assignment::Unlabelled);
    assert_eq!((assigned.report.rows, assigned.report.unlabelled), (5, 1));
}

#[test]
fn shares_and_lengths_are_not_confused() {
    let data = monthly(300, 1);
    let random = |validation: serde_json::Value| {
        split(serde_json::json!({"by": "random", "validation": validation, "test": 0.2}))
    };
    let message = |split: &spec::Split| assign(&data, split, 1).unwrap_err().to_string();
    assert!(message(&random("1 month".into())).contains("`split.validation` is a length of time"));
    assert!(message(&random(0.9.into())).contains("leave something to train on"));
    let shares = split(serde_json::json!({"by": "time", "validation": 0.2, "test": "1 month"}));
    assert!(message(&shares).contains("needs a length of time"));
}

fn shares(by: &str) -> spec::Split {
    split(serde_json::json!({"by": by, "validation": 0.2, "test": 0.3}))
}

#[test]
fn random_shares_come_out_about_right_and_follow_the_seed() {
    let data = monthly(20_000, 3);
    let one = assign(&data, &shares("random"), 1).unwrap();
    let share = |part: Part| one.report.part(part).rows as f64 / 20_000.0;
    for (part, wanted) in [(Part::Train, 0.5), (Part::Validation, 0.2), (Part::Test, 0.3)] {
        assert!((share(part) - wanted).abs() < 0.015, "{part}: {}", share(part));
    }
    assert_eq!(assign(&data, &shares("random"), 1).unwrap(), one);
    assert_ne!(assign(&data, &shares("random"), 2).unwrap().rows, one.rows);
}

/// Parts are kept by models trained long ago, so the hash may never change. The letters were computed in Python from the
/// hash's description.
#[test]
fn random_parts_never_change_between_versions() {
    let assigned = assign(&monthly(24, 1), &shares("random"), 42).unwrap();
    let letters: String = assigned
        .rows
        .iter()
        .map(|row| match row {
            Assignment::In(Part::Train) => 't',
            Assignment::In(Part::Validation) => 'v',
            _ => 'x',
        })
        .collect();
    assert_eq!(letters, "ttvtxtxtttttxtxvtvxxttvt");
}

fn permuted(data: &TrainingData, order: &[u32]) -> TrainingData {
    let indices = arrow::array::UInt32Array::from(order.to_vec());
    let take = |array: &dyn Array| arrow::compute::take(array, &indices, None).unwrap();
    let ints = |array: &Int64Array| arrow::array::AsArray::as_primitive(&take(array)).clone();
    TrainingData {
        features: take_record_batch(&data.features, &indices).unwrap(),
        label: take(&data.label),
        as_of: ints(&data.as_of),
        label_time: ints(&data.label_time),
        keys: data.keys.iter().map(|key| take(key)).collect(),
        groups: data.groups.iter().map(|group| take(group)).collect(),
        profile: Vec::new(),
        left_out: data.left_out,
        refused: (0..order.len()).filter(|row| data.refused.contains(&(order[*row] as usize))).collect(),
        words: BTreeMap::new(),
    }
}

fn arbitrary() -> impl Strategy<Value = TrainingData> {
    prop::collection::vec((0i64..40, 0i64..60, prop::option::weighted(0.9, any::<bool>()), "[abc]{0,2}"), 1..80)
        .prop_map(|rows| {
            let zone = Zone::utc();
            let day = |days: i64| at("2021-01-20") + days * 86_400_000_000;
            let as_of: Int64Array = rows.iter().map(|row| day(row.0)).collect();
            let label: BooleanArray = rows.iter().map(|row| row.2).collect();
            let mut data =
                data(vec![("x", Arc::new(Float64Array::from(vec![0.0; rows.len()])))], Arc::new(label), as_of);
            data.label_time =
                rows.iter().map(|row| zone.add_months(Instant::from_micros(day(row.1)), 0).micros()).collect();
            data.groups = vec![Arc::new(rows.iter().map(|row| Some(row.3.as_str())).collect::<StringArray>())];
            data.refused = (0..rows.len()).filter(|row| rows[*row].1 % 7 == 3).collect();
            data
        })
        .prop_filter("some label", |data| data.label.null_count() < data.label.len())
}

fn check_no_leak(data: &TrainingData, assigned: &Assigned) -> Result<(), TestCaseError> {
    for (part, next) in [(Part::Train, Part::Validation), (Part::Validation, Part::Test)] {
        let first = assigned.rows_of(next).iter().map(|row| data.as_of.value(*row)).min();
        for row in assigned.rows_of(part) {
            prop_assert!(first.is_none_or(|first| data.label_time.value(row) <= first));
            prop_assert!(first.is_none_or(|first| data.as_of.value(row) < first));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_label_reaches_over_a_boundary(
        data in arbitrary(),
        validation in prop::sample::select(vec!["1 month", "7 days"]),
        test in prop::sample::select(vec!["1 month", "9 days"]),
    ) {
        let assigned = assign(&data, &by_time(validation, test), 1).unwrap();
        check_no_leak(&data, &assigned)?;
        let report = &assigned.report;
        let parts = [report.train, report.validation, report.test];
        let counted: u64 = parts.iter().map(|part| part.rows + part.purged + part.refused).sum();
        prop_assert_eq!(counted + report.unlabelled, report.rows);
    }

    /// Rows that are refused are in no part, and all others are where they would be without them.
    #[test]
    fn refused_rows_are_counted_and_move_no_other(data in arbitrary(), seed in any::<u32>()) {
        let none_refused = TrainingData { refused: BTreeSet::new(), ..data.clone() };
        for split in [by_time("7 days", "1 month"), shares("random"), shares("group")] {
            let (with, without) = (assign(&data, &split, seed).unwrap(), assign(&none_refused, &split, seed).unwrap());
            for (row, (one, other)) in with.rows.iter().zip(&without.rows).enumerate() {
                match (data.refused.contains(&row), other) {
                    (true, Assignment::In(part)) => prop_assert_eq!(*one, Assignment::Refused(*part)),
                    _ => prop_assert_eq!(one, other),
                }
            }
            for part in [Part::Train, Part::Validation, Part::Test] {
                let (with, without) = (with.report.part(part), without.report.part(part));
                prop_assert_eq!(with.rows + with.refused, without.rows);
                prop_assert_eq!((with.purged, without.refused), (without.purged, 0));
            }
        }
    }

    #[test]
    fn parts_do_not_depend_on_the_order_of_rows(data in arbitrary(), seed in any::<u64>()) {
        let mut order: Vec<u32> = (0..data.as_of.len() as u32).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut order);
        let other = permuted(&data, &order);
        for split in [by_time("7 days", "1 month"), shares("random"), shares("group")] {
            let (one, two) = (assign(&data, &split, 7).unwrap(), assign(&other, &split, 7).unwrap());
            let moved: Vec<Assignment> = order.iter().map(|row| one.rows[*row as usize]).collect();
            prop_assert_eq!(moved, two.rows);
            prop_assert_eq!(one.report, two.report);
        }
    }

    #[test]
    fn no_group_stands_in_two_parts(data in arbitrary(), seed in any::<u32>()) {
        let assigned = assign(&data, &shares("group"), seed).unwrap();
        let groups: &StringArray = arrow::array::AsArray::as_string(&data.groups[0]);
        let mut parts = HashMap::new();
        for (row, assignment) in assigned.rows.iter().enumerate() {
            if let Assignment::In(part) = assignment {
                prop_assert_eq!(*parts.entry(groups.value(row)).or_insert(*part), *part);
            }
        }
    }
}

/// A dealer is shown batches of any size and knows no more of the rows than their split.
#[test]
fn rows_dealt_out_by_batches_go_where_all_of_them_at_once_go() {
    let data = monthly(1_500, 11);
    let label: BooleanArray = (0..1_500).map(|row| (row % 7 != 3).then_some(row % 5 == 0)).collect();
    let label_time: Int64Array = (0..1_500)
        .map(|row| (row % 11 != 5).then(|| data.as_of.value(row) + (row as i64 % 3) * 3_000_000_000_000))
        .collect();
    let data = TrainingData { label: Arc::new(label), label_time, ..data };
    let splits = [
        by_time("2 months", "3 months"),
        by_time("20 days", "40 days"),
        split(serde_json::json!({"by": "random", "validation": 0.2, "test": 0.3})),
        split(serde_json::json!({"by": "group", "validation": 0.2, "test": 0.3})),
    ];
    for split in splits {
        let expected = assign(&data, &split, 42).unwrap().rows;
        for size in [1, 97, 2_000] {
            let batches: Vec<SpineBatch> = (0..1_500)
                .step_by(size)
                .map(|from| {
                    let count = size.min(1_500 - from);
                    SpineBatch {
                        label: data.label.slice(from, count),
                        as_of: data.as_of.slice(from, count),
                        label_time: data.label_time.slice(from, count),
                        keys: data.keys.iter().map(|key| key.slice(from, count)).collect(),
                        groups: Vec::new(),
                    }
                })
                .collect();
            let mut dealer = Dealer::new(&split, 42);
            for round in 0..dealer.rounds() {
                batches.iter().for_each(|batch| dealer.show(round, batch).unwrap());
            }
            let dealt = batches.iter().flat_map(|batch| dealer.deal(batch).unwrap());
            let dealt: Vec<Assignment> = dealt.map(|(assignment, _)| assignment).collect();
            assert_eq!(dealt, expected, "{split:?} by {size}");
        }
    }
}
