//! Trees laid out for the pass: several together, their splits by their depth, shares computed ahead. What a row needs of
//! one group after the other stands in memory in that order: a decision now and then finds nothing of it in the caches.
//!
//! Splits at one depth have nothing to do with each other, and a processor works on several at once; of one tree there
//! are too few of them to keep it busy.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::draft::{Draft, DraftTree};
use super::quadrature::Rule;
use crate::trees::Decision;
use crate::{ModelError, Trees};

/// The sizes of rule a tree may need: each is exact up to twice as many distinct features on a path.
pub(super) const POINTS: [usize; 6] = [4, 8, 16, 32, 64, 128];

/// What a pass over a group works on is no more than so many numbers, a single tree excepted: the nearest caches hold them.
const GROUP_NUMBERS: usize = 6 << 10;

/// The edge that leads to the first split of each tree.
const ROOT: u32 = 0;

#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    groups: Vec<PlannedGroup>,
    /// By rule.
    asked: [Asked; POINTS.len()],
    splits: Vec<PlannedSplit>,
    priors: Vec<Prior>,
    leaves: Vec<PlannedLeaf>,
    reciprocals: Vec<f64>,
    sets: Vec<Arc<[u32]>>,
}

/// The features that trees of one rule ask: each has a slot of the sums.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// By slot: the output and the feature.
    pub places: Vec<(usize, usize)>,
    slots: HashMap<(usize, usize), u32>,
}

#[derive(Debug, Clone)]
struct PlannedGroup {
    rule: usize,
    plain: bool,
    splits: Range<usize>,
    priors: Range<usize>,
    leaves: Range<usize>,
    reciprocals: Range<usize>,
}

/// Trees of a plan that a row goes through at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupPlan<'p> {
    pub rule: usize,
    /// No split asks for more than [`Decision`]'s plain question.
    pub plain: bool,
    /// The first split is 1. Edge `2 s` leads right from split `s`, edge `2 s + 1` left, and edge 0 to the first splits of
    /// all trees. Parents come before children.
    pub splits: &'p [PlannedSplit],
    pub priors: &'p [Prior],
    pub leaves: &'p [PlannedLeaf],
    /// Ones, and per edge below which its feature is asked again, and point `t`: `1 / (share (1 - t) + t)`.
    pub reciprocals: &'p [f64],
    pub sets: &'p [Arc<[u32]>],
}

/// As much as one line of a cache.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct PlannedSplit {
    pub decision: Decision,
    /// The edge that leads here.
    pub from: u32,
    /// Its place among the [priors](GroupPlan::priors), where its feature was asked above.
    pub prior: Option<u32>,
    /// The slot of its feature.
    pub slot: u32,
    /// Shares of the training rows that pass all splits on its feature, this one to the right, and to the left.
    pub shares: [f64; 2],
}

/// The nearest edge above a split that tests the same feature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prior {
    pub edge: u32,
    /// Its place among the [reciprocals](GroupPlan::reciprocals).
    pub reciprocal: u32,
    /// Share of the training rows that pass all splits on this feature down to the edge.
    pub before: f64,
    /// Shares of the rows at the split that go right, and left.
    pub ratios: [f64; 2],
}

#[derive(Debug, Clone)]
pub(super) struct PlannedLeaf {
    pub edge: u32,
    pub value: f64,
}

impl Plan {
    /// Refuses trees whose counts cannot be shares, and paths of more than 256 distinct features.
    pub(super) fn new(trees: &Trees, rules: &[Rule; POINTS.len()]) -> Result<Plan, ModelError> {
        let mut plan = Plan::default();
        let mut last_edge = vec![None; trees.features()];
        let mut waiting: [DraftTree; POINTS.len()] = Default::default();
        for (index, tree) in trees.trees().iter().enumerate() {
            let draft = DraftTree::new(tree, index, &mut last_edge, &mut plan.sets)?;
            let rule = POINTS.iter().position(|points| draft.deepest <= 2 * points).ok_or_else(|| {
                let problem = format!("a path asks {} different features, more than 256", draft.deepest);
                ModelError::Unexplainable { tree: index, problem }
            })?;
            let group = &mut waiting[rule];
            if numbers(group.splits.len() + draft.splits.len(), rule) > GROUP_NUMBERS {
                plan.add(rule, &rules[rule], std::mem::take(group));
            }
            group.append(draft, index % trees.outputs());
        }
        for (rule, group) in waiting.into_iter().enumerate() {
            plan.add(rule, &rules[rule], group);
        }
        Ok(plan)
    }

    fn add(&mut self, rule: usize, gauss: &Rule, mut group: DraftTree) {
        if group.splits.is_empty() {
            return;
        }
        let edges = group.by_depth();
        let planned = |edge: u32| edges[edge as usize] + 2;
        let (first, first_prior) = (self.splits.len(), self.priors.len());
        let (first_leaf, first_reciprocal) = (self.leaves.len(), self.reciprocals.len());
        self.reciprocals.extend(gauss.points.iter().map(|_| 1.0));
        let mut places: HashMap<u32, u32> = HashMap::new();
        for split in &group.splits {
            let Draft { decision, output, from, before, ratios, .. } = *split;
            let prior = split.prior.map(|edge| {
                let next = places.len() as u32 + 1;
                let reciprocal = *places.entry(edge).or_insert_with(|| {
                    let of = |(t, complement): (&f64, &f64)| 1.0 / (before * complement + t);
                    self.reciprocals.extend(gauss.points.iter().zip(&gauss.complements).map(of));
                    next
                });
                self.priors.push(Prior { edge: planned(edge), reciprocal, before, ratios });
                (self.priors.len() - 1 - first_prior) as u32
            });
            let slot = self.asked[rule].slot((output, decision.feature as usize));
            let shares = ratios.map(|ratio| ratio * before);
            self.splits.push(PlannedSplit { decision, from: from.map_or(ROOT, planned), prior, slot, shares });
        }
        let leaves = group.leaves.iter().map(|(edge, value)| PlannedLeaf { edge: planned(*edge), value: *value });
        self.leaves.extend(leaves);
        self.groups.push(PlannedGroup {
            rule,
            plain: group.splits.iter().all(|split| split.decision.is_plain()),
            splits: first..self.splits.len(),
            priors: first_prior..self.priors.len(),
            leaves: first_leaf..self.leaves.len(),
            reciprocals: first_reciprocal..self.reciprocals.len(),
        });
    }

    /// By rule.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter()
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = GroupPlan<'_>> {
        self.groups.iter().map(|group| GroupPlan {
            rule: group.rule,
            plain: group.plain,
            splits: &self.splits[group.splits.clone()],
            priors: &self.priors[group.priors.clone()],
            leaves: &self.leaves[group.leaves.clone()],
            reciprocals: &self.reciprocals[group.reciprocals.clone()],
            sets: &self.sets,
        })
    }
}

impl Asked {
    /// A new one for what has none.
    fn slot(&mut self, place: (usize, usize)) -> u32 {
        *self.slots.entry(place).or_insert_with(|| {
            self.places.push(place);
            self.places.len() as u32 - 1
        })
    }
}

impl GroupPlan<'_> {
    /// Splits, with one before the first.
    pub(super) fn width(&self) -> usize {
        self.splits.len() + 1
    }

    /// Numbers of scratch space: one per edge and point.
    pub(super) fn scratch_len(&self) -> usize {
        2 * self.width() * POINTS[self.rule]
    }
}

/// About how many numbers a pass over so many splits works on.
fn numbers(splits: usize, rule: usize) -> usize {
    3 * splits * POINTS[rule]
}
