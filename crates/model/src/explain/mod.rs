//! Exact path-dependent TreeSHAP (Lundberg, Erion, Lee 2018, arXiv 1802.03888, algorithm 2) in quadrature form.
//!
//! A leaf of value `v` whose path asks `d` distinct features adds to feature `i` of that path
//! `v (o_i - z_i) * integral over t in [0,1] of the product over j != i of (z_j + (o_j - z_j) t) dt`, where `z_j` is the
//! share of training rows that pass the path's splits on `j`, and `o_j` is 1 if the row passes them, else 0. The integrand
//! is a polynomial of degree `d - 1`, so an `n`-point Gauss-Legendre rule is exact up to `d = 2n`: no approximation.
//!
//! No polynomial is divided by another, so the form is also better conditioned than unwinding paths.

mod draft;
mod pass;
mod plan;
mod quadrature;

use std::cell::RefCell;

use pass::Scratch;
use plan::{POINTS, Plan};
use quadrature::Rule;

use crate::trees::Tree;
use crate::{ModelError, Trees};

/// Contributions per row: `features + 1` numbers per output, the last being the expected raw score over the training
/// rows. They add up to the row's raw score.
#[derive(Debug, Clone)]
pub struct Explainer {
    features: usize,
    expected: Vec<f64>,
    plan: Plan,
    rules: [Rule; POINTS.len()],
    largest: usize,
    /// Splits of the largest group, with one before the first.
    widest: usize,
}

thread_local! {
    /// Of the row explained last on this thread, by whichever explainer.
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

impl Explainer {
    /// Refuses trees whose counts cannot be shares, and paths of more than 256 distinct features.
    pub fn new(trees: &Trees) -> Result<Explainer, ModelError> {
        let mut expected = vec![0.0; trees.outputs()];
        for (index, tree) in trees.trees().iter().enumerate() {
            expected[index % trees.outputs()] += expected_value(tree);
        }
        let rules = POINTS.map(Rule::gauss_legendre);
        let plan = Plan::new(trees, &rules)?;
        let largest = plan.groups().map(|group| group.scratch_len()).max().unwrap_or(0);
        let widest = plan.groups().map(|group| group.width()).max().unwrap_or(0);
        Ok(Explainer { features: trees.features(), expected, plan, rules, largest, widest })
    }

    /// Length of one row's contributions.
    pub fn width(&self) -> usize {
        self.expected.len() * (self.features + 1)
    }

    /// The expected raw score of each output over the training rows.
    pub fn expected(&self) -> &[f64] {
        &self.expected
    }

    /// One row. Panics unless `row` has a value per feature and `out` is `width()` long.
    pub fn contributions(&self, row: &[f64], out: &mut [f64]) {
        SCRATCH.with_borrow_mut(|scratch| {
            let scratch = scratch.get_or_insert_with(|| Scratch::new(self));
            scratch.fit(self);
            self.explain(row, out, scratch);
        });
    }

    /// Rows after each other on the calling thread: `out` is `width()` numbers a row.
    pub fn contributions_batch(&self, rows: &[f64], out: &mut [f64]) {
        assert_eq!(rows.len() % self.features, 0, "values in whole rows");
        assert_eq!(rows.len() / self.features * self.width(), out.len(), "contributions of all rows");
        let mut scratch = Scratch::new(self);
        for (row, out) in rows.chunks_exact(self.features).zip(out.chunks_exact_mut(self.width())) {
            self.explain(row, out, &mut scratch);
        }
    }

    fn explain(&self, row: &[f64], out: &mut [f64], scratch: &mut Scratch) {
        assert_eq!(row.len(), self.features, "values in a row");
        assert_eq!(out.len(), self.width(), "contributions of a row");
        scratch.clear();
        for group in self.plan.groups() {
            scratch.add(group, &self.rules[group.rule], row);
        }
        out.fill(0.0);
        for (asked, sums) in self.plan.asked().zip(scratch.sums()) {
            for ((output, feature), sum) in asked.places.iter().zip(sums) {
                out[output * (self.features + 1) + feature] += sum;
            }
        }
        for (out, expected) in out.chunks_exact_mut(self.features + 1).zip(&self.expected) {
            out[self.features] = *expected;
        }
    }
}

/// LightGBM's `Tree::ExpectedValue`: the mean leaf over the training rows.
fn expected_value(tree: &Tree) -> f64 {
    let [leaf] = tree.leaves() else {
        let total = f64::from(tree.count(tree.root()));
        return tree.leaves().iter().fold(0.0, |sum, leaf| sum + f64::from(leaf.count) / total * leaf.value);
    };
    leaf.value
}

#[cfg(test)]
mod tests {
    use super::*;
    use pass::Width;

    /// Whatever the processor can do, the bits of a reason are the same: a replay elsewhere must agree.
    #[test]
    fn contributions_have_the_same_bits_on_every_processor() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1/trees.txt");
        let trees = Trees::parse(&std::fs::read_to_string(folder).unwrap()).unwrap();
        let explainer = Explainer::new(&trees).unwrap();
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..500 {
            let row: Vec<f64> = (0..trees.features())
                .map(|_| if random.u8(..8) == 0 { f64::NAN } else { random.f64() * 2000.0 * random.f64().powi(9) })
                .collect();
            let of = |mut scratch: Scratch| {
                let mut out = vec![0.0; explainer.width()];
                explainer.explain(&row, &mut out, &mut scratch);
                out.into_iter().map(f64::to_bits).collect::<Vec<u64>>()
            };
            let bits = of(Scratch::new(&explainer));
            for width in Width::of_this_processor() {
                assert_eq!(of(Scratch::with(width, &explainer)), bits, "{width:?}");
            }
        }
    }

    /// Explainers that take turns on a thread, one of larger trees and one of more outputs, find nothing of each other's.
    #[test]
    fn what_was_explained_before_changes_no_bit() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python");
        let explainers = ["binary.txt", "multiclass.txt"].map(|file| {
            let trees = Trees::parse(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap();
            Explainer::new(&trees).unwrap()
        });
        assert!(explainers[0].largest > explainers[1].largest && explainers[0].width() < explainers[1].width());
        let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<u64>>();
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..200 {
            let explainer = &explainers[random.usize(..2)];
            let row: Vec<f64> = (0..explainer.features).map(|_| random.f64() * 20.0 - 10.0).collect();
            let (mut here, mut fresh) = (vec![0.0; explainer.width()], vec![0.0; explainer.width()]);
            explainer.contributions(&row, &mut here);
            explainer.explain(&row, &mut fresh, &mut Scratch::new(explainer));
            assert_eq!(bits(&here), bits(&fresh));
        }
    }
}
