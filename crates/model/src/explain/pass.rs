//! One row through one tree: products go down the splits, sums come back up.
//!
//! An edge's factor at a point `t` of the rule is `z (1 - t) + o t`, kept as the two numbers `[z, o]`: 1 for `o` where the row
//! takes it. Down: a split has the product of the factors above it, times the rule's weight. Up: an edge has the sum over
//! the leaves below it of their values times the factors below it. What a split's feature gets is the product above times
//! `o - z` times the sum, for both its edges: the integral without the feature's own factor, and nothing is divided.
//!
//! A feature asked again further down replaces its factor: there the upper one's is divided out, the deeper split adds its
//! own and takes back what the upper edge will add. Below an edge that closed the feature, only the share of rows changes:
//! the factor of a deeper edge on it is its share `r` of the split, `[r, r]`, and the split adds nothing.

use crate::explain::Explainer;
use crate::explain::plan::{Prior, TreePlan};
use crate::explain::quadrature::Rule;

#[derive(Debug)]
pub(super) struct Scratch {
    features: usize,
    width: Width,
    /// Per split and point: the product above it, without the factor of its own feature.
    above: Vec<f64>,
    /// Per edge and point, and one more for the root: the sum below it.
    below: Vec<f64>,
    /// Per edge.
    factors: Vec<[f64; 2]>,
    /// Per edge: the row passes all splits on the edge's feature down to here.
    open: Vec<bool>,
    /// Per output and feature.
    sums: Vec<f64>,
}

/// How many numbers an instruction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Every processor of 64 bits.
    Two,
    #[cfg(target_arch = "x86_64")]
    Four,
}

impl Width {
    fn of_this_processor() -> Width {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Width::Four;
        }
        Width::Two
    }
}

impl Scratch {
    /// As on a processor that has nothing wider.
    #[cfg(test)]
    pub(super) fn narrow(explainer: &Explainer) -> Scratch {
        Scratch { width: Width::Two, ..Scratch::new(explainer) }
    }

    pub(super) fn new(explainer: &Explainer) -> Scratch {
        Scratch {
            features: explainer.features,
            width: Width::of_this_processor(),
            above: vec![0.0; explainer.largest],
            below: vec![0.0; explainer.largest],
            factors: vec![[0.0; 2]; explainer.widest],
            open: vec![false; explainer.widest],
            sums: vec![0.0; explainer.features * explainer.expected.len()],
        }
    }

    /// Makes room for another explainer's trees; what stands there from before is written over before it is read.
    pub(super) fn fit(&mut self, explainer: &Explainer) {
        self.features = explainer.features;
        self.above.resize(self.above.len().max(explainer.largest), 0.0);
        self.below.resize(self.below.len().max(explainer.largest), 0.0);
        self.factors.resize(self.factors.len().max(explainer.widest), [0.0; 2]);
        self.open.resize(self.open.len().max(explainer.widest), false);
        self.sums.resize(explainer.features * explainer.expected.len(), 0.0);
    }

    pub(super) fn clear(&mut self) {
        self.sums.fill(0.0);
    }

    pub(super) fn read(&self, first: usize, out: &mut [f64]) {
        out.copy_from_slice(&self.sums[first..first + out.len()]);
    }

    pub(super) fn add(&mut self, plan: TreePlan<'_>, rule: &Rule, row: &[f64]) {
        match rule.points.len() {
            4 => self.pass::<4>(plan, rule, row),
            6 => self.pass::<6>(plan, rule, row),
            8 => self.pass::<8>(plan, rule, row),
            16 => self.pass::<16>(plan, rule, row),
            32 => self.pass::<32>(plan, rule, row),
            64 => self.pass::<64>(plan, rule, row),
            128 => self.pass::<128>(plan, rule, row),
            points => unreachable!("no rule has {points} points"),
        }
    }

    #[inline]
    fn pass<const N: usize>(&mut self, plan: TreePlan<'_>, rule: &Rule, row: &[f64]) {
        match self.width {
            #[cfg(target_arch = "x86_64")]
            Width::Four => {
                // SAFETY: the width was chosen because this processor has AVX2.
                #[expect(unsafe_code, reason = "what a processor can do is known when the program runs")]
                unsafe {
                    self.pass_by_four::<N>(plan, rule, row);
                }
            }
            Width::Two => self.pass_here::<N>(plan, rule, row),
        }
    }

    /// The same operations on the same numbers, four at a time: the same bits.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn pass_by_four<const N: usize>(&mut self, plan: TreePlan<'_>, rule: &Rule, row: &[f64]) {
        self.pass_here::<N>(plan, rule, row);
    }

    #[inline(always)]
    fn pass_here<const N: usize>(&mut self, plan: TreePlan<'_>, rule: &Rule, row: &[f64]) {
        if plan.plain { self.down_up::<N, true>(plan, rule, row) } else { self.down_up::<N, false>(plan, rule, row) }
    }

    #[inline(always)]
    fn down_up<const N: usize, const PLAIN: bool>(&mut self, plan: TreePlan<'_>, rule: &Rule, row: &[f64]) {
        let points = Points::<N>::new(rule);
        let reciprocals = plan.reciprocals.as_chunks::<N>().0;
        let ones = [1.0; N];
        // What takes a factor out; where it closed the feature, there is nothing to take out.
        let without =
            |prior: Prior, is_open: bool| if is_open { &reciprocals[prior.reciprocal as usize] } else { &ones };
        let edges = plan.edges();
        let above = &mut self.above.as_chunks_mut::<N>().0[..plan.splits.len()];
        let below = &mut self.below.as_chunks_mut::<N>().0[..=edges];
        let (factors, open) = (&mut self.factors[..edges], &mut self.open[..edges]);
        for (index, split) in plan.splits.iter().enumerate() {
            let goes_left = split.decision.goes_left::<PLAIN>(row, plan.sets);
            // Indices, not branches: which way a row goes is what no processor predicts.
            let (hot, cold) = (2 * index + usize::from(goes_left), 2 * index + usize::from(!goes_left));
            let mut product = match split.from as usize {
                root if root == edges => points.weights,
                from => points.times(&above[from / 2], factors[from]),
            };
            let mut is_open = true;
            if let Some(prior) = split.prior {
                is_open = open[prior.edge as usize];
                product = multiply(&product, without(prior, is_open));
            }
            above[index] = product;
            open[hot] = is_open;
            open[cold] = false;
            let (taken, left) = (&split.edges[hot % 2], &split.edges[cold % 2]);
            factors[hot] = if is_open { [taken.share, 1.0] } else { [taken.ratio; 2] };
            factors[cold] = if is_open { [left.share, 0.0] } else { [left.ratio; 2] };
        }
        for leaf in plan.leaves {
            below[leaf.edge as usize] = [leaf.value; N];
        }
        let sums = &mut self.sums[plan.output * self.features..(plan.output + 1) * self.features];
        for (index, split) in plan.splits.iter().enumerate().rev() {
            let (right, left) = (2 * index, 2 * index + 1);
            let mut sum = points.sum((&below[right], factors[right]), (&below[left], factors[left]));
            let mut gained = gains((&below[right], factors[right]), (&below[left], factors[left]));
            if let Some(prior) = split.prior {
                let is_open = open[prior.edge as usize];
                sum = multiply(&sum, without(prior, is_open));
                let gain = if is_open { 1.0 - plan.edge(prior.edge).share } else { 0.0 };
                gained = less(&gained, &sum, gain);
            }
            sums[split.decision.feature as usize] += total(&multiply(&above[index], &gained));
            below[split.from as usize] = sum;
        }
    }
}

/// A [`Rule`] of known size, so that loops over its points become vector instructions.
struct Points<const N: usize> {
    weights: [f64; N],
    points: [f64; N],
    complements: [f64; N],
}

/// The sum below an edge, and its factor.
type Side<'s, const N: usize> = (&'s [f64; N], [f64; 2]);

impl<const N: usize> Points<N> {
    fn new(rule: &Rule) -> Points<N> {
        let fixed = |values: &[f64]| values.try_into().expect("a rule of N points has N of everything");
        Points { weights: fixed(&rule.weights), points: fixed(&rule.points), complements: fixed(&rule.complements) }
    }

    #[inline(always)]
    fn times(&self, product: &[f64; N], [share, taken]: [f64; 2]) -> [f64; N] {
        each(|k| product[k] * (share * self.complements[k] + taken * self.points[k]))
    }

    /// What both edges of a split have below, each times its factor.
    #[inline(always)]
    fn sum(&self, (right, by_right): Side<'_, N>, (left, by_left): Side<'_, N>) -> [f64; N] {
        let (right, left) = (self.times(right, by_right), self.times(left, by_left));
        each(|k| right[k] + left[k])
    }
}

/// What both edges of a split have below, each times `o - z`.
#[inline(always)]
fn gains<const N: usize>((right, by_right): Side<'_, N>, (left, by_left): Side<'_, N>) -> [f64; N] {
    let (of_right, of_left) = (by_right[1] - by_right[0], by_left[1] - by_left[0]);
    each(|k| of_right * right[k] + of_left * left[k])
}

#[inline(always)]
fn less<const N: usize>(from: &[f64; N], taken: &[f64; N], by: f64) -> [f64; N] {
    each(|k| from[k] - by * taken[k])
}

#[inline(always)]
fn multiply<const N: usize>(a: &[f64; N], b: &[f64; N]) -> [f64; N] {
    each(|k| a[k] * b[k])
}

/// Summed in two strands, which is one order on every processor.
#[inline(always)]
fn total<const N: usize>(values: &[f64; N]) -> f64 {
    let pairs = values.as_chunks::<2>().0.iter();
    let [even, odd] = pairs.fold([0.0; 2], |[even, odd], [a, b]| [even + a, odd + b]);
    even + odd
}

#[inline(always)]
fn each<const N: usize>(value: impl Fn(usize) -> f64) -> [f64; N] {
    let mut values = [0.0; N];
    for (k, slot) in values.iter_mut().enumerate() {
        *slot = value(k);
    }
    values
}
