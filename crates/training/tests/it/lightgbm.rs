//! The wrapper alone, and `karat_model` against the library that grew the trees.

use karat_core::DataType;
use karat_model::{Input, Label, Model, ModelParts, Signature, Transform};
use karat_training::lightgbm::{Booster, Dataset, ImportanceKind, Matrix, Parameters, feature_names};

const ROWS: usize = 700;
const COLUMNS: usize = 4;

/// Column-major: a noisy number, one with nulls and infinities, one mostly zero, and categories 0 to 7.
fn values(seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut values = Vec::new();
    values.extend((0..ROWS).map(|_| random.f64() * 4.0 - 2.0));
    values.extend((0..ROWS).map(|_| match random.u8(0..10) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        _ => random.f64().powi(3) * 1e6,
    }));
    values.extend((0..ROWS).map(|_| if random.u8(0..3) > 0 { 0.0 } else { random.f64() - 0.5 }));
    values.extend((0..ROWS).map(|_| if random.u8(0..20) == 0 { f64::NAN } else { f64::from(random.u8(0..8)) }));
    values
}

fn labels(values: &[f64], seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let signal = |row: usize| values[row] + values[2 * ROWS + row] + f64::from(values[3 * ROWS + row] == 3.0) * 2.0;
    (0..ROWS).map(|row| if signal(row) + random.f64() * 2.0 > 1.0 { 1.0 } else { 0.0 }).collect()
}

fn parameters(threads: usize) -> Parameters {
    Parameters::new()
        .with("objective", "binary")
        .with("num_leaves", 15)
        .with("min_data_in_leaf", 5)
        .with("min_data_per_group", 5)
        .with_list("categorical_feature", &[3])
        .with("deterministic", true)
        .with("force_col_wise", true)
        .with("verbosity", -1)
        .with("num_threads", threads)
}

fn matrix(values: &[f64]) -> Matrix<'_> {
    Matrix { values, rows: ROWS, columns: COLUMNS }
}

fn grown(seed: u64, rounds: usize) -> Booster {
    let values = values(seed);
    let train = Dataset::new(matrix(&values), &labels(&values, seed), &parameters(1)).unwrap();
    let mut booster = Booster::new(train, &parameters(1)).unwrap();
    for _ in 0..rounds {
        assert!(booster.grow().unwrap());
    }
    booster
}

fn model(booster: &Booster, rounds: u32) -> Model {
    let mut inputs: Vec<Input> =
        ["a", "b", "c"].map(|name| Input::new(name, DataType::Float, Transform::Numeric)).to_vec();
    let categories = (0..8).map(|code| format!("category {code}")).collect();
    inputs.push(Input::new("d", DataType::Text, Transform::Categories(categories)));
    Model::new(ModelParts {
        signature: Signature { inputs },
        labels: [Label::Bool(false), Label::Bool(true)],
        threshold: 0.5,
        trees: booster.text(rounds).unwrap(),
    })
    .unwrap()
}

fn row_major(values: &[f64]) -> Vec<f64> {
    (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| values[column * ROWS + row])).collect()
}

#[test]
fn our_raw_scores_are_lightgbms_bit_for_bit() {
    for seed in 0..4 {
        let booster = grown(seed, 25);
        for rounds in [7, 0] {
            let fresh = values(seed + 100);
            let wanted = booster.predict_raw(matrix(&fresh), rounds).unwrap();
            let found = model(&booster, rounds).raw_score_batch(&row_major(&fresh));
            let bits = |scores: &[f64]| scores.iter().map(|score| score.to_bits()).collect::<Vec<u64>>();
            assert_eq!(bits(&found), bits(&wanted), "seed {seed}, {rounds} rounds");
        }
    }
}

#[test]
fn our_contributions_are_lightgbms() {
    for seed in 0..2 {
        let booster = grown(seed, 20);
        let fresh = values(seed + 200);
        let wanted = booster.predict_contributions(matrix(&fresh), 0).unwrap();
        let found = model(&booster, 0).contributions_batch(&row_major(&fresh));
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{found} is not {wanted}");
        }
    }
}

#[test]
fn validation_scores_are_the_probabilities_of_its_rows() {
    let (train_values, other_values) = (values(1), values(2));
    let train = Dataset::new(matrix(&train_values), &labels(&train_values, 1), &parameters(2)).unwrap();
    let validation = train.like(matrix(&other_values), &labels(&other_values, 2), &parameters(2)).unwrap();
    let mut booster = Booster::new(train, &parameters(2)).unwrap();
    let index = booster.add_validation(validation).unwrap();
    for _ in 0..10 {
        booster.grow().unwrap();
    }
    let scores = booster.scores_of(index).unwrap();
    let wanted = model(&booster, 0).score_batch(&row_major(&other_values));
    // The validation rows' raw scores are summed tree by tree as ours are; only LightGBM's exp may differ from libm's.
    assert!(scores.iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-14));
    assert!(booster.scores_of(1).is_err());
}

#[test]
fn importances_count_what_the_text_says() {
    let booster = grown(5, 10);
    let splits: f64 = booster.importance(0, ImportanceKind::Splits).unwrap().iter().sum();
    let text = booster.text(0).unwrap();
    let leaves: usize =
        text.lines().filter_map(|line| line.strip_prefix("num_leaves=")).map(|n| n.parse::<usize>().unwrap() - 1).sum();
    assert_eq!(splits as usize, leaves);
    assert!(booster.importance(3, ImportanceKind::Gain).unwrap().iter().sum::<f64>() > 0.0);
}

#[test]
fn weights_weigh() {
    let values = values(9);
    let labels = labels(&values, 9);
    let text = |weights: Option<Vec<f32>>| {
        let mut train = Dataset::new(matrix(&values), &labels, &parameters(1)).unwrap();
        if let Some(weights) = weights {
            train.set_weights(&weights).unwrap();
        }
        let mut booster = Booster::new(train, &parameters(1)).unwrap();
        booster.grow().unwrap();
        booster.text(0).unwrap()
    };
    assert_ne!(text(None), text(Some((0..ROWS).map(|row| if row % 2 == 0 { 3.0 } else { 1.0 }).collect())));
}

#[test]
fn mistakes_are_errors_in_lightgbms_words_and_never_a_crash() {
    let values = values(1);
    let labels = labels(&values, 1);
    let short = Matrix { values: &values[1..], rows: ROWS, columns: COLUMNS };
    assert!(Dataset::new(short, &labels, &parameters(1)).is_err());
    assert!(Dataset::new(matrix(&values), &labels[1..], &parameters(1)).is_err());
    assert!(Dataset::new(Matrix { values: &[], rows: 0, columns: 4 }, &[], &parameters(1)).is_err());

    let mut train = Dataset::new(matrix(&values), &labels, &parameters(1)).unwrap();
    assert!(train.set_weights(&[1.0]).is_err());
    assert!(train.set_feature_names(&["a".to_owned()]).is_err());
    let special = ["a:b", "c", "d", "e"].map(str::to_owned);
    assert!(train.set_feature_names(&special).unwrap_err().to_string().contains("JSON"));
    assert!(train.set_feature_names(&["a\0", "b", "c", "d"].map(str::to_owned)).is_err());
    train.set_feature_names(&feature_names(special.iter().map(String::as_str))).unwrap();
    let narrow = Matrix { values: &values[..ROWS * 3], rows: ROWS, columns: 3 };
    assert!(train.like(narrow, &labels, &parameters(1)).is_err());

    let error = Booster::new(train, &parameters(1).with("objective", "no_such_thing")).err().unwrap();
    assert!(error.to_string().contains("no_such_thing"), "{error}");
    assert!(grown(1, 1).predict_raw(narrow, 0).is_err());
}
