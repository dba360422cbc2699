//! One row through one tree: products go down the edges, sums come back up.
//!
//! Down: an edge holds, at each point `t` of the rule, the product over the features asked so far of
//! `z_j (1 - t) + o_j t`, times the rule's weight; at a leaf also times its value. Up: an edge then holds the sum over the
//! leaves below it, and dividing by the edge's own factor leaves out its feature, which is the integral wanted. A feature
//! asked again further down replaces its factor, so the deeper edge adds its own and takes back the upper one's.

use crate::explain::Explainer;
use crate::explain::plan::{Edge, NO_EDGE, TreePlan};
use crate::explain::quadrature::Rule;

/// Contributions are summed in this many strands, joined at the end.
const STRANDS: usize = 2;

#[derive(Debug)]
pub(super) struct Scratch {
    features: usize,
    width: Width,
    /// Per edge and point.
    edges: Vec<f64>,
    /// Per edge: the row passes all splits on the edge's feature down to here.
    open: Vec<bool>,
    /// Per output and feature.
    sums: Vec<[f64; STRANDS]>,
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
            edges: vec![0.0; explainer.largest],
            open: vec![false; explainer.widest],
            sums: vec![[0.0; STRANDS]; explainer.features * explainer.expected.len()],
        }
    }

    /// Makes room for another explainer's trees; what stands there from before is written over before it is read.
    pub(super) fn fit(&mut self, explainer: &Explainer) {
        self.features = explainer.features;
        self.edges.resize(self.edges.len().max(explainer.largest), 0.0);
        self.open.resize(self.open.len().max(explainer.widest), false);
        self.sums.resize(explainer.features * explainer.expected.len(), [0.0; STRANDS]);
    }

    pub(super) fn clear(&mut self) {
        self.sums.fill([0.0; STRANDS]);
    }

    pub(super) fn read(&self, first: usize, out: &mut [f64]) {
        for (out, [even, odd]) in out.iter_mut().zip(&self.sums[first..]) {
            *out = even + odd;
        }
    }

    pub(super) fn add(&mut self, plan: &TreePlan, rule: &Rule, row: &[f64]) {
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
    fn pass<const N: usize>(&mut self, plan: &TreePlan, rule: &Rule, row: &[f64]) {
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
    fn pass_by_four<const N: usize>(&mut self, plan: &TreePlan, rule: &Rule, row: &[f64]) {
        self.pass_here::<N>(plan, rule, row);
    }

    #[inline(always)]
    fn pass_here<const N: usize>(&mut self, plan: &TreePlan, rule: &Rule, row: &[f64]) {
        if plan.plain { self.down_up::<N, true>(plan, rule, row) } else { self.down_up::<N, false>(plan, rule, row) }
    }

    #[inline(always)]
    fn down_up<const N: usize, const PLAIN: bool>(&mut self, plan: &TreePlan, rule: &Rule, row: &[f64]) {
        let points = Points::<N>::new(rule);
        let reciprocals = plan.reciprocals.as_chunks::<N>().0;
        let edges = &mut self.edges.as_chunks_mut::<N>().0[..plan.edges.len()];
        let open = &mut self.open[..plan.edges.len()];
        for (index, split) in plan.splits.iter().enumerate() {
            let goes_left = split.decision.goes_left::<PLAIN>(row, &plan.sets);
            // Indices, not branches: which way a row goes is what no processor predicts.
            let (hot, cold) = (2 * index + usize::from(goes_left), 2 * index + usize::from(!goes_left));
            let still_open = split.prior == NO_EDGE || open[split.prior as usize];
            open[hot] = still_open;
            open[cold] = false;
            let above = if split.from == NO_EDGE { points.weights } else { edges[split.from as usize] };
            if still_open {
                let base = match split.prior {
                    NO_EDGE => above,
                    prior => multiply(&above, &reciprocals[prior as usize]),
                };
                edges[hot] = points.take(&base, &plan.edges[hot]);
                edges[cold] = points.leave(&base, &plan.edges[cold]);
            } else {
                // Both sides are closed to the feature already: only the share of rows changes.
                for edge in [hot, cold] {
                    edges[edge] = scale(&above, plan.edges[edge].ratio * plan.edges[edge].factor);
                }
            }
        }
        let sums = &mut self.sums[plan.output * self.features..(plan.output + 1) * self.features];
        for (index, split) in plan.splits.iter().enumerate().rev() {
            let (right, left) = (2 * index, 2 * index + 1);
            let both = add(&edges[right], &edges[left]);
            if split.prior == NO_EDGE || open[split.prior as usize] {
                let (hot, cold) = (2 * index + usize::from(open[left]), 2 * index + usize::from(!open[left]));
                let gain = 1.0 - plan.edges[hot].share;
                let mut integrals = points.without(&edges[hot], &reciprocals[hot], gain, &edges[cold]);
                if split.prior != NO_EDGE {
                    let prior = split.prior as usize;
                    integrals = take_back(&integrals, &both, &reciprocals[prior], 1.0 - plan.edges[prior].share);
                }
                add_to(&mut sums[split.decision.feature as usize], &integrals);
            }
            if split.from != NO_EDGE {
                edges[split.from as usize] = both;
            }
        }
    }
}

/// A [`Rule`] of known size, so that loops over its points become vector instructions.
struct Points<const N: usize> {
    weights: [f64; N],
    points: [f64; N],
    complements: [f64; N],
    reciprocals: [f64; N],
}

impl<const N: usize> Points<N> {
    fn new(rule: &Rule) -> Points<N> {
        let fixed = |values: &[f64]| values.try_into().expect("a rule of N points has N of everything");
        Points {
            weights: fixed(&rule.weights),
            points: fixed(&rule.points),
            complements: fixed(&rule.complements),
            reciprocals: fixed(&rule.reciprocals),
        }
    }

    /// Down an edge the row takes: times `z (1 - t) + t`.
    #[inline(always)]
    fn take(&self, base: &[f64; N], edge: &Edge) -> [f64; N] {
        each(|k| base[k] * (edge.share * self.complements[k] + self.points[k]) * edge.factor)
    }

    /// Down an edge the row does not take: times `z (1 - t)`.
    #[inline(always)]
    fn leave(&self, base: &[f64; N], edge: &Edge) -> [f64; N] {
        let scale = edge.share * edge.factor;
        each(|k| base[k] * self.complements[k] * scale)
    }

    /// `(o - z)` times the products without the edge's own factor: `o` is 1 on the hot edge, 0 on the cold one, whose `z`
    /// cancels.
    #[inline(always)]
    fn without(&self, hot: &[f64; N], reciprocal: &[f64; N], gain: f64, cold: &[f64; N]) -> [f64; N] {
        each(|k| gain * hot[k] * reciprocal[k] - cold[k] * self.reciprocals[k])
    }
}

/// Takes back what an upper, open edge on the same feature would add for the leaves below.
#[inline(always)]
fn take_back<const N: usize>(from: &[f64; N], both: &[f64; N], reciprocal: &[f64; N], gain: f64) -> [f64; N] {
    each(|k| from[k] - gain * both[k] * reciprocal[k])
}

#[inline(always)]
fn add_to<const N: usize>(sum: &mut [f64; STRANDS], values: &[f64; N]) {
    for strands in values.as_chunks::<STRANDS>().0 {
        for (sum, value) in sum.iter_mut().zip(strands) {
            *sum += value;
        }
    }
}

#[inline(always)]
fn multiply<const N: usize>(a: &[f64; N], b: &[f64; N]) -> [f64; N] {
    each(|k| a[k] * b[k])
}

#[inline(always)]
fn add<const N: usize>(a: &[f64; N], b: &[f64; N]) -> [f64; N] {
    each(|k| a[k] + b[k])
}

#[inline(always)]
fn scale<const N: usize>(a: &[f64; N], by: f64) -> [f64; N] {
    each(|k| a[k] * by)
}

#[inline(always)]
fn each<const N: usize>(value: impl Fn(usize) -> f64) -> [f64; N] {
    let mut values = [0.0; N];
    for (k, slot) in values.iter_mut().enumerate() {
        *slot = value(k);
    }
    values
}
