//! Contributions equal LightGBM's TreeSHAP to 1e-9, add up to the raw score, and equal the definition by subsets.

use fastrand::Rng;
use karat_model::{Child, Explainer, Interleaved, ModelError, Tree, TreeScorer, Trees};
use proptest::prelude::*;

use crate::lightgbm::Booster;
use crate::random::{Kind, RandomModel};
use crate::scoring::kinds;

pub fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len());
    for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance, "value {index}: {a:e} for {b:e}, off by {:e}", a - b);
    }
}

/// Per output, the contributions and the expected value add up to the raw score.
fn assert_adds_up(trees: &Trees, row: &[f64], contributions: &[f64]) {
    let mut raw = vec![0.0; trees.outputs()];
    Interleaved::new(trees).raw(row, &mut raw);
    let sums: Vec<f64> = contributions.chunks(trees.features() + 1).map(|output| output.iter().sum()).collect();
    assert_close(&sums, &raw, 1e-9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn contributions_are_lightgbms(kind in kinds(), seed in any::<u64>()) {
        let mut rng = Rng::with_seed(seed);
        let model = RandomModel::new(kind, &mut rng);
        let rows = model.rows(9, &mut rng);
        let trees = Trees::parse(&model.text).unwrap();
        let explainer = Explainer::new(&trees).unwrap();
        let mut batch = vec![f64::NAN; 9 * explainer.width()];
        explainer.contributions_batch(&rows, &mut batch);
        assert_close(&batch, &Booster::load(&model.text).contributions(&rows, kind.features, kind.outputs), 1e-9);
        for (row, from_batch) in rows.chunks(kind.features).zip(batch.chunks(explainer.width())) {
            let mut single = vec![f64::NAN; explainer.width()];
            explainer.contributions(row, &mut single);
            assert_eq!(single, from_batch, "one row and a batch agree bit for bit");
            assert_adds_up(&trees, row, &single);
        }
    }

    #[test]
    fn contributions_are_shapley_values_by_definition(seed in any::<u64>(), features in 1usize..8) {
        let mut rng = Rng::with_seed(seed);
        let kind = Kind { features, outputs: 1, trees: 3, most_leaves: 24, categories: true, zero_missing: true };
        let model = RandomModel::new(kind, &mut rng);
        let trees = Trees::parse(&model.text).unwrap();
        let row = model.rows(1, &mut rng);
        let explainer = Explainer::new(&trees).unwrap();
        let mut ours = vec![0.0; features + 1];
        explainer.contributions(&row, &mut ours);
        assert_close(&ours[..features], &by_subsets(&trees, &row), 1e-12);
    }
}

/// Shapley's formula over all subsets; unknown features follow the training rows' shares.
fn by_subsets(trees: &Trees, row: &[f64]) -> Vec<f64> {
    let features = trees.features();
    let value = |known: usize| trees.trees().iter().map(|tree| expected(tree, tree.root(), row, known)).sum::<f64>();
    let values: Vec<f64> = (0..1 << features).map(value).collect();
    let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
    (0..features)
        .map(|feature| {
            let without = (0..1usize << features).filter(|known| known >> feature & 1 == 0);
            without
                .map(|known| {
                    let size = known.count_ones() as usize;
                    let weight = factorial(size) * factorial(features - size - 1) / factorial(features);
                    weight * (values[known | 1 << feature] - values[known])
                })
                .sum()
        })
        .collect()
}

fn expected(tree: &Tree, at: Child, row: &[f64], known: usize) -> f64 {
    let split = match at {
        Child::Leaf(leaf) => return tree.leaves()[leaf as usize].value,
        Child::Split(split) => &tree.splits()[split as usize],
    };
    if known >> split.feature & 1 == 1 {
        return expected(tree, split.child(row), row, known);
    }
    let sides = [split.left, split.right].map(|child| count(tree, child) * expected(tree, child, row, known));
    (sides[0] + sides[1]) / f64::from(split.count)
}

fn count(tree: &Tree, child: Child) -> f64 {
    f64::from(match child {
        Child::Leaf(leaf) => tree.leaves()[leaf as usize].count,
        Child::Split(split) => tree.splits()[split as usize].count,
    })
}

/// Paths of up to 120 distinct features, where LightGBM's unwinding has lost all but three digits: the oracle is Shapley's
/// sum leaf by leaf, each feature's polynomial multiplied out from positive terms alone.
#[test]
fn long_paths_stay_exact() {
    let kind = Kind { features: 300, outputs: 1, trees: 24, most_leaves: 150, categories: false, zero_missing: false };
    let mut rng = Rng::with_seed(11);
    let model = RandomModel::new(kind, &mut rng);
    let rows = model.rows(3, &mut rng);
    let trees = Trees::parse(&model.text).unwrap();
    let explainer = Explainer::new(&trees).unwrap();
    let mut longest = 0;
    for row in rows.chunks(300) {
        let mut ours = vec![0.0; explainer.width()];
        explainer.contributions(row, &mut ours);
        assert_adds_up(&trees, row, &ours);
        let mut expected = vec![0.0; 300];
        for tree in trees.trees() {
            longest = longest.max(by_leaves(tree, tree.root(), row, &[], &mut expected));
        }
        assert_close(&ours[..300], &expected, 1e-12);
    }
    assert!(longest > 64, "only {longest} distinct features on a path");
}

/// Adds what each leaf below gives, and returns the most distinct features of a path. `path` holds (feature, z, o).
fn by_leaves(tree: &Tree, at: Child, row: &[f64], path: &[(u32, f64, f64)], out: &mut [f64]) -> usize {
    let split = match at {
        Child::Leaf(leaf) => {
            for (index, (feature, z, o)) in path.iter().enumerate() {
                let mut coefficients = vec![1.0];
                for (_, z, o) in path.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, step)| *step) {
                    coefficients.push(0.0);
                    for k in (0..coefficients.len()).rev() {
                        let lower = if k == 0 { 0.0 } else { coefficients[k - 1] };
                        coefficients[k] = coefficients[k] * z + lower * o;
                    }
                }
                let (mut integral, mut binomial) = (0.0, 1.0);
                for (k, coefficient) in coefficients.iter().enumerate() {
                    integral += coefficient / (path.len() as f64 * binomial);
                    binomial = binomial * (path.len() - 1 - k) as f64 / (k + 1) as f64;
                }
                out[*feature as usize] += tree.leaves()[leaf as usize].value * (o - z) * integral;
            }
            return path.len();
        }
        Child::Split(split) => &tree.splits()[split as usize],
    };
    let taken = split.child(row);
    let sides = [split.left, split.right].map(|child| {
        let (share, open) = (count(tree, child) / f64::from(split.count), f64::from(u8::from(child == taken)));
        let mut below = path.to_vec();
        match below.iter_mut().find(|step| step.0 == split.feature) {
            Some(step) => *step = (step.0, step.1 * share, step.2 * open),
            None => below.push((split.feature, share, open)),
        }
        by_leaves(tree, child, row, &below, out)
    });
    sides[0].max(sides[1])
}

#[test]
fn trees_without_counts_score_and_say_why_they_are_not_explained() {
    let kind = Kind { features: 3, outputs: 1, trees: 1, most_leaves: 9, categories: false, zero_missing: false };
    let mut model = RandomModel::new(kind, &mut Rng::with_seed(2));
    while !model.text.contains("left_child=-") && !model.text.contains("left_child=1") {
        model = RandomModel::new(kind, &mut Rng::with_seed(3));
    }
    let lines =
        model.text.lines().filter(|line| !line.starts_with("internal_count") && !line.starts_with("tree_sizes"));
    let trees = Trees::parse(&lines.collect::<Vec<&str>>().join("\n")).unwrap();
    let error = Explainer::new(&trees).unwrap_err();
    assert!(matches!(error, ModelError::Unexplainable { tree: 0, .. }), "{error}");
}
