//! LightGBM's trees as validated data: what exists here can be walked without a check.

mod decision;
mod fields;
mod objective;
mod parse;
mod shape;

use std::sync::Arc;

pub(crate) use decision::Decision;
pub use objective::Objective;

/// LightGBM's `kZeroThreshold`: a number no further from zero than this *is* zero, in training and in scoring.
pub const ZERO: f64 = 1e-35_f32 as f64;

/// A parsed model: trees in boosting order, tree `i` adding to output `i % outputs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Trees {
    pub(crate) features: usize,
    pub(crate) outputs: usize,
    pub(crate) averaged: bool,
    pub(crate) objective: Objective,
    pub(crate) feature_names: Vec<String>,
    pub(crate) trees: Vec<Tree>,
}

/// One tree. Splits and leaves form a tree rooted at split 0, or there are no splits and exactly one leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    pub(crate) splits: Vec<Split>,
    pub(crate) leaves: Vec<Leaf>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    pub feature: u32,
    pub test: Test,
    pub left: Child,
    pub right: Child,
    /// Training rows that reached this split (`internal_count`).
    pub count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leaf {
    pub value: f64,
    /// Training rows that ended here (`leaf_count`).
    pub count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    Split(u32),
    Leaf(u32),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Left when `value <= threshold`; missing values go where `default_left` says.
    Numeric { threshold: f64, missing: Missing, default_left: bool },
    /// Left when the value's whole part is in the set; bit `c % 32` of word `c / 32` stands for category `c`.
    Categories(Arc<[u32]>),
}

/// What counts as missing at a numeric split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: NaN is read as 0.
    Never,
    /// Zero, and NaN read as 0.
    Zero,
    /// NaN.
    Nan,
}

impl Trees {
    /// Columns of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Raw scores per row: 1, or one per class.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// As LightGBM wrote them: spaces replaced by underscores.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Raw scores of one row turned, in place, into what the objective predicts: a probability, probabilities, a number.
    pub fn convert(&self, raw: &mut [f64]) {
        if self.averaged {
            // As LightGBM: a forest's mean is over rounds, and only its raw scores are sums.
            let rounds = (self.trees.len() / self.outputs).max(1) as f64;
            raw.iter_mut().for_each(|value| *value /= rounds);
        }
        self.objective.convert(raw);
    }
}

impl Tree {
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    pub fn root(&self) -> Child {
        if self.splits.is_empty() { Child::Leaf(0) } else { Child::Split(0) }
    }

    /// The leaf a row ends in: the plain reading that faster engines are held against.
    pub fn leaf_of(&self, row: &[f64]) -> usize {
        let mut at = self.root();
        loop {
            match at {
                Child::Leaf(leaf) => return leaf as usize,
                Child::Split(split) => at = self.splits[split as usize].child(row),
            }
        }
    }

    /// The training rows that reached a child.
    pub(crate) fn count(&self, child: Child) -> u32 {
        match child {
            Child::Split(split) => self.splits[split as usize].count,
            Child::Leaf(leaf) => self.leaves[leaf as usize].count,
        }
    }
}

impl Split {
    pub fn child(&self, row: &[f64]) -> Child {
        if self.test.goes_left(row[self.feature as usize]) { self.left } else { self.right }
    }
}

impl Test {
    /// LightGBM's `Tree::Decision`, after the zeroing of tiny values its prediction does on every row first.
    pub fn goes_left(&self, value: f64) -> bool {
        match self {
            Test::Numeric { threshold, missing, default_left } => {
                let zero = value.abs() <= ZERO || (value.is_nan() && *missing != Missing::Nan);
                match missing {
                    Missing::Zero if zero => *default_left,
                    Missing::Nan if value.is_nan() => *default_left,
                    _ if zero => 0.0 <= *threshold,
                    _ => value <= *threshold,
                }
            }
            Test::Categories(words) => in_set(words, value),
        }
    }
}

/// Whether a category is in the set. NaN, negatives below -1 and what no `int` holds are in none; (-1, 0) truncates to 0.
pub(crate) fn in_set(words: &[u32], value: f64) -> bool {
    if !(value > -1.0 && value < 2_147_483_648.0) {
        return false;
    }
    let category = value as u32;
    words.get((category / 32) as usize).is_some_and(|word| (word >> (category % 32)) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_follow_a_c_cast() {
        let set = [0b101, 1 << 31];
        for (value, expected) in [
            (0.0, true),
            (-0.9, true),
            (-1.0, false),
            (1.0, false),
            (2.99, true),
            (63.0, true),
            (64.0, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
            (f64::NEG_INFINITY, false),
            (4_294_967_296.0, false),
            (1e-40, true),
        ] {
            assert_eq!(in_set(&set, value), expected, "{value}");
        }
    }

    #[test]
    fn tiny_values_are_zero() {
        let split = |threshold| Test::Numeric { threshold, missing: Missing::Nan, default_left: false };
        assert!(!split(-ZERO).goes_left(-ZERO), "-ZERO is read as 0, which is not below");
        assert!(split(-ZERO).goes_left((-ZERO).next_down()));
        assert!(split(0.0).goes_left(ZERO), "ZERO is read as 0");
        assert!(!split(0.0).goes_left(ZERO.next_up()));
    }
}
