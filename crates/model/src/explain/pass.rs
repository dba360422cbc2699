//! One row through trees: products go down the splits, sums come back up.
//!
//! An edge's factor at a point `t` of the rule is `z (1 - t) + o t`, computed as `z + (o - z) t`: 1 for `o` where the row
//! takes it. Down: a split has the product of the factors above it, times the rule's weight. Up: an edge has the sum over
//! the leaves below it of their values times the factors below it. A split's two edges gain `o - z` times their sums, and their
//! sums times their factors are the sums times `z`, and `t` times what they gain. What the split's feature gets is the
//! product above times what they gain: the integral without the feature's own factor, and nothing is divided.
//!
//! A feature asked again further down replaces its factor: there the upper one's is divided out, the deeper split adds its
//! own and takes back what the upper edge will add. Below an edge that closed the feature, only the share of rows changes:
//! the factor of a deeper edge on it is its share `r` of the split, and the split gains nothing.
//!
//! Numbers chosen by an index, not branches: which way a row goes is what no processor predicts.

use crate::explain::Explainer;
use crate::explain::plan::{GroupPlan, POINTS, Prior};
use crate::explain::quadrature::Rule;

#[derive(Debug)]
pub(super) struct Scratch {
    width: Width,
    /// Per split and point: the product above it, without the factor of its own feature.
    above: Vec<f64>,
    /// Per edge and point: the sum below it.
    below: Vec<f64>,
    /// Per split.
    sides: Vec<Sides>,
    /// By rule: per slot and point.
    sums: [Vec<f64>; POINTS.len()],
}

/// How many numbers an instruction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Every processor of 64 bits.
    Two,
    #[cfg(target_arch = "x86_64")]
    Four,
    #[cfg(target_arch = "x86_64")]
    Eight,
}

impl Width {
    /// What this processor has, the widest first.
    pub(super) fn of_this_processor() -> Vec<Width> {
        let mut widths = vec![Width::Two];
        #[cfg(target_arch = "x86_64")]
        {
            let four = std::arch::is_x86_feature_detected!("avx2").then_some(Width::Four);
            let eight = std::arch::is_x86_feature_detected!("avx512f").then_some(Width::Eight);
            widths.splice(..0, eight.into_iter().chain(four));
        }
        widths
    }
}

impl Scratch {
    pub(super) fn new(explainer: &Explainer) -> Scratch {
        Scratch::with(Width::of_this_processor()[0], explainer)
    }

    pub(super) fn with(width: Width, explainer: &Explainer) -> Scratch {
        let mut scratch =
            Scratch { width, above: Vec::new(), below: Vec::new(), sides: Vec::new(), sums: Default::default() };
        scratch.fit(explainer);
        scratch
    }

    /// Makes room for another explainer's trees; what stands there from before is written over before it is read.
    pub(super) fn fit(&mut self, explainer: &Explainer) {
        self.above.resize(self.above.len().max(explainer.largest), 0.0);
        self.below.resize(self.below.len().max(explainer.largest), 0.0);
        self.sides.resize(self.sides.len().max(explainer.widest), Sides::default());
        for ((sums, asked), points) in self.sums.iter_mut().zip(explainer.plan.asked()).zip(POINTS) {
            sums.resize(asked.places.len() * points, 0.0);
        }
    }

    pub(super) fn clear(&mut self) {
        self.sums.iter_mut().for_each(|sums| sums.fill(0.0));
    }

    /// By rule and slot: what its feature has in all.
    pub(super) fn sums(&self) -> impl Iterator<Item = impl Iterator<Item = f64>> {
        let by_rule = self.sums.iter().zip(POINTS);
        by_rule.map(|(sums, points)| sums.chunks_exact(points).map(|sums| sums.iter().sum()))
    }

    pub(super) fn add(&mut self, plan: GroupPlan<'_>, rule: &Rule, row: &[f64]) {
        match rule.points.len() {
            4 => self.pass::<4>(plan, rule, row),
            8 => self.pass::<8>(plan, rule, row),
            16 => self.pass::<16>(plan, rule, row),
            32 => self.pass::<32>(plan, rule, row),
            64 => self.pass::<64>(plan, rule, row),
            128 => self.pass::<128>(plan, rule, row),
            points => unreachable!("no rule has {points} points"),
        }
    }

    #[inline]
    fn pass<const N: usize>(&mut self, plan: GroupPlan<'_>, rule: &Rule, row: &[f64]) {
        match self.width {
            #[cfg(target_arch = "x86_64")]
            Width::Four => {
                // SAFETY: the width was chosen because this processor has AVX2.
                #[expect(unsafe_code, reason = "what a processor can do is known when the program runs")]
                unsafe {
                    self.pass_by_four::<N>(plan, rule, row);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Width::Eight => {
                // SAFETY: as above, AVX-512.
                #[expect(unsafe_code, reason = "what a processor can do is known when the program runs")]
                unsafe {
                    self.pass_by_eight::<N>(plan, rule, row);
                }
            }
            Width::Two => self.pass_here::<N>(plan, rule, row),
        }
    }

    /// The same operations on the same numbers, four at a time: the same bits.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn pass_by_four<const N: usize>(&mut self, plan: GroupPlan<'_>, rule: &Rule, row: &[f64]) {
        self.pass_here::<N>(plan, rule, row);
    }

    /// And eight.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn pass_by_eight<const N: usize>(&mut self, plan: GroupPlan<'_>, rule: &Rule, row: &[f64]) {
        self.pass_here::<N>(plan, rule, row);
    }

    #[inline(always)]
    fn pass_here<const N: usize>(&mut self, plan: GroupPlan<'_>, rule: &Rule, row: &[f64]) {
        if plan.plain { self.down_up::<N, true>(plan, rule, row) } else { self.down_up::<N, false>(plan, rule, row) }
    }

    #[inline(always)]
    fn down_up<const N: usize, const PLAIN: bool>(&mut self, plan: GroupPlan<'_>, rule: &Rule, row: &[f64]) {
        let points = Points::<N>::new(rule);
        let reciprocals = plan.reciprocals.as_chunks::<N>().0;
        // What takes a factor out; where it closed the feature, there is nothing to take out.
        let without = |prior: &Prior, is_open: bool| &reciprocals[prior.reciprocal as usize * usize::from(is_open)];
        let width = plan.width();
        let above = &mut self.above.as_chunks_mut::<N>().0[..width];
        let below = &mut self.below.as_chunks_mut::<N>().0.as_chunks_mut::<2>().0[..width];
        let sides = &mut self.sides[..width];
        above[0] = points.weights;
        sides[0] = Sides { shares: [1.0; 2], gains: [0.0; 2], open: [true; 2] };
        for (split, place) in plan.splits.iter().zip(1..width) {
            let goes_left = split.decision.goes_left::<PLAIN>(row, plan.sets);
            let taken = TAKEN[usize::from(goes_left)];
            let (parent, side) = (split.from as usize / 2, split.from as usize % 2);
            let mut product = points.times(&above[parent], sides[parent].factor(side));
            let mut here = Sides {
                shares: split.shares,
                gains: [taken[0] - split.shares[0], taken[1] - split.shares[1]],
                open: [!goes_left, goes_left],
            };
            if let Some(prior) = split.prior {
                let prior = &plan.priors[prior as usize];
                let is_open = sides[prior.edge as usize / 2].open[prior.edge as usize % 2];
                product = multiply(&product, without(prior, is_open));
                let passes = f64::from(u8::from(is_open));
                let before = [1.0, prior.before][usize::from(is_open)];
                here.shares = prior.ratios.map(|ratio| ratio * before);
                here.gains = here.gains.map(|gain| gain * passes);
                here.open = here.open.map(|open| open & is_open);
            }
            above[place] = product;
            sides[place] = here;
        }
        for leaf in plan.leaves {
            below[leaf.edge as usize / 2][leaf.edge as usize % 2] = [leaf.value; N];
        }
        let sums = self.sums[plan.rule].as_chunks_mut::<N>().0;
        for (split, place) in plan.splits.iter().zip(1..width).rev() {
            let Sides { shares, gains, .. } = sides[place];
            let mut gained = both(&below[place], gains);
            let mut sum = points.add(&both(&below[place], shares), &gained);
            if let Some(prior) = split.prior {
                let prior = &plan.priors[prior as usize];
                let is_open = sides[prior.edge as usize / 2].open[prior.edge as usize % 2];
                sum = multiply(&sum, without(prior, is_open));
                let gain = [0.0, 1.0 - prior.before][usize::from(is_open)];
                gained = less(&gained, &sum, gain);
            }
            let slot = &mut sums[split.slot as usize];
            *slot = add(slot, &multiply(&above[place], &gained));
            below[split.from as usize / 2][split.from as usize % 2] = sum;
        }
    }
}

/// `o` of the right edge and the left, where the row goes right, and where it goes left.
const TAKEN: [[f64; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

/// Of a split's edges, right and left: `z` and `o - z`, and whether the row passes all splits on the edge's feature down
/// to here.
#[derive(Debug, Clone, Copy, Default)]
struct Sides {
    shares: [f64; 2],
    gains: [f64; 2],
    open: [bool; 2],
}

impl Sides {
    #[inline(always)]
    fn factor(&self, side: usize) -> [f64; 2] {
        [self.shares[side], self.gains[side]]
    }
}

/// A [`Rule`] of known size, so that loops over its points become vector instructions.
struct Points<const N: usize> {
    weights: [f64; N],
    points: [f64; N],
}

impl<const N: usize> Points<N> {
    fn new(rule: &Rule) -> Points<N> {
        let fixed = |values: &[f64]| values.try_into().expect("a rule of N points has N of everything");
        Points { weights: fixed(&rule.weights), points: fixed(&rule.points) }
    }

    /// A product times one factor more.
    #[inline(always)]
    fn times(&self, product: &[f64; N], [share, gain]: [f64; 2]) -> [f64; N] {
        each(|k| product[k] * (share + gain * self.points[k]))
    }

    /// `at + t * gained`
    #[inline(always)]
    fn add(&self, at: &[f64; N], gained: &[f64; N]) -> [f64; N] {
        each(|k| at[k] + self.points[k] * gained[k])
    }
}

/// What the edges of a split have below, each times a number.
#[inline(always)]
fn both<const N: usize>([right, left]: &[[f64; N]; 2], [by_right, by_left]: [f64; 2]) -> [f64; N] {
    each(|k| by_right * right[k] + by_left * left[k])
}

#[inline(always)]
fn less<const N: usize>(from: &[f64; N], taken: &[f64; N], by: f64) -> [f64; N] {
    each(|k| from[k] - by * taken[k])
}

#[inline(always)]
fn add<const N: usize>(a: &[f64; N], b: &[f64; N]) -> [f64; N] {
    each(|k| a[k] + b[k])
}

#[inline(always)]
fn multiply<const N: usize>(a: &[f64; N], b: &[f64; N]) -> [f64; N] {
    each(|k| a[k] * b[k])
}

#[inline(always)]
fn each<const N: usize>(value: impl Fn(usize) -> f64) -> [f64; N] {
    let mut values = [0.0; N];
    for (k, slot) in values.iter_mut().enumerate() {
        *slot = value(k);
    }
    values
}
