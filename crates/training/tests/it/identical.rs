//! Rows that stand on both sides of a split, and rows of a spine that never came to it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::Float64Type;
use karat_training::split::{Part, assign};
use karat_training::{LeftOut, TrainingData};
use serde_json::json;

use crate::data::{data, fit, model, monthly};

#[test]
fn rows_alike_in_every_feature_and_the_label_are_counted() {
    let mut random = fastrand::Rng::with_seed(5);
    let base = monthly(1_200, 3);
    let rows = base.as_of.len();
    // Few values each, nulls and both zeros among them.
    let number = |n: u32| [None, Some(0.0), Some(-0.0), Some(1.5), Some(2.5), Some(f64::NAN)][n as usize];
    let x: Float64Array = (0..rows).map(|_| number(random.u32(0..6))).collect();
    let city: StringArray =
        (0..rows).map(|_| ["Brno", "Praha", "", "Plzeň", "Most"].get(random.usize(0..6)).copied()).collect();
    let n: Int64Array = (0..rows).map(|_| (random.u32(0..9) > 0).then(|| random.i64(0..40))).collect();
    let label: BooleanArray = (0..rows).map(|_| Some(random.bool())).collect();
    let set = data(
        vec![("x", Arc::new(x.clone())), ("city", Arc::new(city.clone())), ("n", Arc::new(n.clone()))],
        Arc::new(label.clone()),
        base.as_of.clone(),
    );
    let spec = model(json!({}));
    let trained = fit(&set, &spec).unwrap();

    // By hand, as plainly as possible.
    let of = |row: usize| {
        let x = x.is_valid(row).then(|| x.value(row).to_bits());
        let city = city.is_valid(row).then(|| city.value(row));
        (x, city, n.is_valid(row).then(|| n.value(row)), label.value(row))
    };
    let assigned = assign(&set, &spec.split, spec.seed).unwrap();
    let learned = assigned.rows_of(Part::Train);
    let again = |part| {
        let known = |row: &usize| learned.iter().any(|other| of(*other) == of(*row));
        assigned.rows_of(part).iter().filter(|row| known(row)).count() as u64
    };
    let (validation, test) = (again(Part::Validation), again(Part::Test));
    assert!(test > 10 && test < trained.split.test.rows, "{test}");
    assert_eq!((trained.split.validation.identical, trained.split.test.identical), (validation, test));
    assert_eq!(trained.split.train.identical, 0);
    let told = format!("{test} of {} test rows", trained.split.test.rows);
    assert!(trained.warnings.iter().any(|warning| warning.contains(&told)), "{:?}", trained.warnings);
}

#[test]
fn rows_that_all_differ_are_told_of_nowhere() {
    let set = monthly(1_200, 3);
    let values = set.features.column(0).as_primitive::<Float64Type>();
    assert_eq!(values.iter().flatten().map(f64::to_bits).collect::<std::collections::HashSet<_>>().len(), 1_200);
    let trained = fit(&set, &model(json!({}))).unwrap();
    assert_eq!((trained.split.validation.identical, trained.split.test.identical), (0, 0));
    assert!(trained.warnings.iter().all(|warning| !warning.contains("the same as a training row")));
}

#[test]
fn what_was_left_out_before_is_counted_too() {
    let set = monthly(1_200, 3);
    let left_out = LeftOut { unlabelled: 3, open: 40, not_kept: 500 };
    let split = model(json!({})).split;
    let plain = assign(&set, &split, 1).unwrap();
    let counted = assign(&TrainingData { left_out, ..set }, &split, 1).unwrap();
    assert_eq!(counted.rows, plain.rows);
    let report = &counted.report;
    assert_eq!((report.rows, report.unlabelled, report.open, report.not_kept), (1_743, 3, 40, 500));
    assert_eq!((report.train, report.test), (plain.report.train, plain.report.test));
    // Reports of splits that leave nothing out read as they always did.
    let text = serde_json::to_string(&plain.report).unwrap();
    assert!(!text.contains("open") && !text.contains("not_kept") && !text.contains("identical"), "{text}");
}
