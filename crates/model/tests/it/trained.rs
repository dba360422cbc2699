//! Models that LightGBM trains here and now: what Karat meets every day.

use fastrand::Rng;
use karat_model::{Explainer, Interleaved, TreeScorer, Trees};

use crate::explaining::assert_close;
use crate::lightgbm::Booster;
use crate::scoring::assert_same_bits;

const COLUMNS: usize = 6;

/// Numbers, counts, categories (column 3), a column of zeros and noise; a tenth is missing.
fn data(count: usize, rng: &mut Rng) -> (Vec<f64>, Vec<f32>) {
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let noise = rng.f64() + rng.f64() - 1.0;
        let mut row = [
            rng.f64() * 4.0 - 2.0,
            f64::from(rng.u32(0..9)),
            rng.f64().powi(6) * 1e4,
            f64::from(rng.u32(0..40)),
            if rng.bool() { 0.0 } else { rng.f64() - 0.5 },
            noise,
        ];
        let signal = row[0] + f64::from(row[3] as u32 % 3 == 1) - row[4] * row[1] + 0.5 * noise;
        labels.push(if signal > 0.4 { 1.0 } else { 0.0 });
        for cell in &mut row {
            if rng.u8(0..10) == 0 {
                *cell = f64::NAN;
            }
        }
        rows.extend(row);
    }
    (rows, labels)
}

fn compare(parameters: &str, outputs: usize) {
    let mut rng = Rng::with_seed(42);
    let (rows, mut labels) = data(2000, &mut rng);
    if outputs > 1 {
        for (index, label) in labels.iter_mut().enumerate() {
            *label += (index % 2) as f32;
        }
    }
    let text = Booster::train(&rows, COLUMNS, &labels, 30, parameters);
    let booster = Booster::load(&text);
    let trees = Trees::parse(&text).unwrap();
    // Rows on the very thresholds, and beside them.
    let mut probes = rows[..COLUMNS * 200].to_vec();
    for split in trees.trees().iter().flat_map(|tree| tree.splits()) {
        if let karat_model::Test::Numeric { threshold, .. } = split.test {
            for value in [threshold, threshold.next_up(), threshold.next_down()] {
                let mut row = rows[..COLUMNS].to_vec();
                row[split.feature as usize] = value;
                probes.extend(row);
            }
        }
    }
    let expected = booster.raw(&probes, COLUMNS, outputs);
    let mut raw = vec![0.0; expected.len()];
    Interleaved::new(&trees).raw_batch(&probes, &mut raw);
    assert_same_bits(&raw, &expected);

    let predicted = booster.predicted(&probes, COLUMNS, outputs);
    raw.chunks_mut(outputs).for_each(|row| trees.convert(row));
    assert_close(&raw, &predicted, 1e-15);

    let rows = &probes[..COLUMNS * 100];
    let explainer = Explainer::new(&trees).unwrap();
    let mut contributions = vec![0.0; 100 * explainer.width()];
    explainer.contributions_batch(rows, &mut contributions);
    assert_close(&contributions, &booster.contributions(rows, COLUMNS, outputs), 1e-9);
}

#[test]
fn binary_with_categories() {
    compare("objective=binary num_leaves=31 categorical_feature=3 min_data_per_group=10", 1);
}

#[test]
fn binary_with_zero_as_missing() {
    compare("objective=binary num_leaves=31 zero_as_missing=true", 1);
}

#[test]
fn binary_without_missing_values() {
    compare("objective=binary num_leaves=31 use_missing=false", 1);
}

#[test]
fn monotone() {
    compare("objective=binary monotone_constraints=1,0,0,0,-1,0 monotone_constraints_method=advanced", 1);
}

#[test]
fn forest() {
    compare("objective=binary boosting=rf bagging_freq=1 bagging_fraction=0.5 num_leaves=63", 1);
}

#[test]
fn dart_and_goss() {
    compare("objective=binary boosting=dart drop_rate=0.5", 1);
    compare("objective=binary data_sample_strategy=goss", 1);
}

#[test]
fn multiclass() {
    compare("objective=multiclass num_class=3 num_leaves=15 categorical_feature=3", 3);
}

#[test]
fn regression() {
    compare("objective=regression num_leaves=63 min_data_in_leaf=3", 1);
}

#[test]
fn a_constant_model_has_no_splits() {
    let rows: Vec<f64> = (0..600).map(|i| f64::from(i % 7)).collect();
    let text = Booster::train(&rows, 6, &[0.0; 100], 2, "objective=regression");
    let trees = Trees::parse(&text).unwrap();
    let mut contributions = vec![1.0; 7];
    Explainer::new(&trees).unwrap().contributions(&rows[..6], &mut contributions);
    assert_close(&contributions, &Booster::load(&text).contributions(&rows[..6], 6, 1), 0.0);
}
