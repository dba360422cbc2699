//! Raw scores equal LightGBM's, bit for bit.

use fastrand::Rng;
use karat_model::{Interleaved, TreeScorer, Trees};
use proptest::prelude::*;

use crate::lightgbm::Booster;
use crate::random::{Kind, RandomModel};

pub fn kinds() -> impl Strategy<Value = Kind> {
    let counts = (1usize..12, 0usize..40, 1usize..40);
    (counts, 1usize..4, any::<bool>(), any::<bool>()).prop_map(
        |((features, trees, most_leaves), outputs, categories, zero_missing)| {
            // Rounds are whole, as in any model LightGBM writes.
            let trees = trees.max(1) * outputs;
            Kind { features, outputs, trees, most_leaves, categories, zero_missing }
        },
    )
}

pub fn assert_same_bits(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(a.to_bits(), b.to_bits(), "value {index}: {a:e} for LightGBM's {b:e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn raw_scores_have_lightgbms_bits(kind in kinds(), seed in any::<u64>()) {
        let mut rng = Rng::with_seed(seed);
        let model = RandomModel::new(kind, &mut rng);
        // Not a multiple of eight, so that rows outside a group of walks are met too.
        let rows = model.rows(61, &mut rng);
        let expected = Booster::load(&model.text).raw(&rows, kind.features, kind.outputs);

        let trees = Trees::parse(&model.text).unwrap();
        let engine = Interleaved::new(&trees);
        let mut batch = vec![f64::NAN; expected.len()];
        engine.raw_batch(&rows, &mut batch);
        assert_same_bits(&batch, &expected);

        let mut single = vec![f64::NAN; expected.len()];
        for (row, out) in rows.chunks(kind.features).zip(single.chunks_mut(kind.outputs)) {
            engine.raw(row, out);
        }
        assert_same_bits(&single, &expected);

        let plain: Vec<f64> = rows.chunks(kind.features).flat_map(|row| by_the_book(&trees, row)).collect();
        assert_same_bits(&plain, &expected);
    }
}

/// Tree after tree, with no engine.
fn by_the_book(trees: &Trees, row: &[f64]) -> Vec<f64> {
    let mut raw = vec![0.0; trees.outputs()];
    for (index, tree) in trees.trees().iter().enumerate() {
        raw[index % trees.outputs()] += tree.leaves()[tree.leaf_of(row)].value;
    }
    raw
}

#[test]
fn a_batch_longer_than_a_block_scores_every_row() {
    let mut rng = Rng::with_seed(5);
    let kind = Kind { features: 4, outputs: 1, trees: 9, most_leaves: 20, categories: false, zero_missing: false };
    let model = RandomModel::new(kind, &mut rng);
    let rows = model.rows(1003, &mut rng);
    let engine = Interleaved::new(&Trees::parse(&model.text).unwrap());
    let mut ours = vec![0.0; 1003];
    engine.raw_batch(&rows, &mut ours);
    assert_same_bits(&ours, &Booster::load(&model.text).raw(&rows, 4, 1));
}

#[test]
fn a_model_without_trees_scores_zero() {
    let kind = Kind { features: 1, outputs: 1, trees: 0, most_leaves: 1, categories: false, zero_missing: false };
    let model = RandomModel::new(kind, &mut Rng::with_seed(1));
    let mut out = [1.0];
    Interleaved::new(&Trees::parse(&model.text).unwrap()).raw(&[3.0], &mut out);
    assert_eq!(out, [0.0]);
}
