//! Random models as text, wilder than training makes them, and rows that sit on their thresholds.

use std::fmt::Write;

use fastrand::Rng;

/// What a random model may hold.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub features: usize,
    pub outputs: usize,
    pub trees: usize,
    pub most_leaves: usize,
    pub categories: bool,
    pub zero_missing: bool,
}

pub struct RandomModel {
    pub text: String,
    pub kind: Kind,
    thresholds: Vec<f64>,
}

impl RandomModel {
    pub fn new(kind: Kind, rng: &mut Rng) -> RandomModel {
        let mut thresholds = Vec::new();
        let trees: Vec<String> = (0..kind.trees).map(|index| tree(index, kind, rng, &mut thresholds)).collect();
        let names: Vec<String> = (0..kind.features).map(|f| format!("f{f}")).collect();
        let infos = vec!["[-1e30:1e30]"; kind.features];
        let sizes: Vec<String> = trees.iter().map(|tree| tree.len().to_string()).collect();
        let objective = match kind.outputs {
            1 => "binary sigmoid:1".to_owned(),
            n => format!("multiclass num_class:{n}"),
        };
        let text = format!(
            "tree\nversion=v4\nnum_class={0}\nnum_tree_per_iteration={0}\nlabel_index=0\nmax_feature_idx={1}\n\
             objective={objective}\nfeature_names={2}\nfeature_infos={3}\ntree_sizes={4}\n\n{5}end of trees\n\n\
             feature_importances:\n\nparameters:\n[verbosity: -1]\n\nend of parameters\n",
            kind.outputs,
            kind.features - 1,
            names.join(" "),
            infos.join(" "),
            sizes.join(" "),
            trees.concat()
        );
        RandomModel { text, kind, thresholds }
    }

    /// Rows of thresholds, their neighbours, categories and everything special.
    pub fn rows(&self, count: usize, rng: &mut Rng) -> Vec<f64> {
        (0..count * self.kind.features).map(|_| self.cell(rng)).collect()
    }

    fn cell(&self, rng: &mut Rng) -> f64 {
        const SPECIAL: [f64; 19] = [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            5e-324,
            -5e-324,
            f64::MIN_POSITIVE,
            1e-36,
            -1e-36,
            karat_model::ZERO,
            -karat_model::ZERO,
            f64::MAX,
            f64::MIN,
            -0.5,
            -1.0,
            2_147_483_647.0,
            2_147_483_648.0,
            -2_147_483_649.0,
        ];
        match rng.u8(0..8) {
            0 | 1 => SPECIAL[rng.usize(0..SPECIAL.len())],
            2 | 3 if !self.thresholds.is_empty() => {
                let threshold = self.thresholds[rng.usize(0..self.thresholds.len())];
                [threshold, threshold.next_down(), threshold.next_up(), -threshold][rng.usize(0..4)]
            }
            4 => rng.u32(0..80) as f64 + [0.0, 0.7][rng.usize(0..2)],
            5 => [karat_model::ZERO.next_up(), (-karat_model::ZERO).next_down()][rng.usize(0..2)],
            _ => normal(rng),
        }
    }
}

fn normal(rng: &mut Rng) -> f64 {
    (0..6).map(|_| rng.f64() - 0.5).sum::<f64>() * 2.0
}

/// A tree of 1 to `most_leaves` leaves grown as LightGBM grows it: a random leaf becomes a split.
fn tree(index: usize, kind: Kind, rng: &mut Rng, thresholds: &mut Vec<f64>) -> String {
    let leaves = rng.usize(1..=kind.most_leaves);
    let mut counts = vec![rng.u32(leaves as u32 * 2..100_000)];
    let (mut left, mut right, mut internal) = (Vec::<i32>::new(), Vec::<i32>::new(), Vec::<u32>::new());
    // Chains now and then, so that paths get long.
    let chain = rng.u8(0..4) == 0;
    while counts.len() < leaves {
        let able: Vec<usize> = (0..counts.len()).filter(|leaf| counts[*leaf] >= 2).collect();
        let Some(leaf) = able.last().map(|last| if chain { *last } else { able[rng.usize(0..able.len())] }) else {
            break;
        };
        let split = left.len() as i32;
        for child in left.iter_mut().chain(right.iter_mut()) {
            if *child == !(leaf as i32) {
                *child = split;
            }
        }
        let total = counts[leaf];
        let share = if chain { 1 } else { rng.u32(1..total) };
        left.push(!(leaf as i32));
        right.push(!(counts.len() as i32));
        internal.push(total);
        counts[leaf] = share;
        counts.push(total - share);
    }
    let leaves = counts.len();
    let (mut features, mut limits, mut decisions) = (vec![], vec![], vec![]);
    let (mut boundaries, mut words) = (vec![0], Vec::<u32>::new());
    for _ in 0..left.len() {
        features.push(rng.usize(0..kind.features));
        if kind.categories && rng.u8(0..4) == 0 {
            limits.push((boundaries.len() - 1) as f64);
            decisions.push(1 + 4 * rng.u8(0..3) + 2 * rng.u8(0..2));
            words.extend((0..rng.usize(1..4)).map(|_| rng.u32(..)));
            boundaries.push(words.len());
        } else {
            let limit = match rng.u8(0..6) {
                0 => [0.0, -0.0, karat_model::ZERO, -karat_model::ZERO, 1e-36, -1e-36][rng.usize(0..6)],
                1 => rng.i32(-3..60) as f64,
                2 if rng.u8(0..4) == 0 => [f64::INFINITY, f64::NEG_INFINITY, 5e-324][rng.usize(0..3)],
                _ => normal(rng),
            };
            let missing = if kind.zero_missing { rng.u8(0..3) } else { 2 * rng.u8(0..2) };
            limits.push(limit);
            thresholds.push(limit);
            decisions.push(4 * missing + 2 * rng.u8(0..2));
        }
    }
    let values: Vec<f64> = (0..leaves).map(|_| normal(rng) * 10f64.powi(rng.i32(-3..1))).collect();
    let mut text = format!("Tree={index}\nnum_leaves={leaves}\nnum_cat={}\n", boundaries.len() - 1);
    line(&mut text, "split_feature", &features);
    line(&mut text, "split_gain", &vec![1; left.len()]);
    line(&mut text, "threshold", &limits);
    line(&mut text, "decision_type", &decisions);
    line(&mut text, "left_child", &left);
    line(&mut text, "right_child", &right);
    line(&mut text, "leaf_value", &values);
    line(&mut text, "leaf_weight", &vec![1; leaves]);
    line(&mut text, "leaf_count", &counts);
    line(&mut text, "internal_value", &vec![0; left.len()]);
    line(&mut text, "internal_weight", &vec![0; left.len()]);
    line(&mut text, "internal_count", &internal);
    if boundaries.len() > 1 {
        line(&mut text, "cat_boundaries", &boundaries);
        line(&mut text, "cat_threshold", &words);
    }
    text.push_str("is_linear=0\nshrinkage=1\n\n\n");
    text
}

fn line<T: std::fmt::Debug>(text: &mut String, key: &str, values: &[T]) {
    let words: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    writeln!(text, "{key}={}", words.join(" ")).unwrap();
}
