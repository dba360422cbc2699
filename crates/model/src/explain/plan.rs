//! Trees laid out for the pass: splits by their depth, one edge per child, shares computed ahead. What a row needs of one
//! tree after the other stands in memory in that order: a decision now and then finds nothing of it in the caches.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::trees::{Child, Decision, Tree};
use crate::{ModelError, explain::quadrature::Rule};

/// The sizes of rule a tree may need: each is exact up to twice as many distinct features on a path.
pub(super) const POINTS: [usize; 6] = [4, 8, 16, 32, 64, 128];

#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    trees: Vec<PlannedTree>,
    /// By rule.
    asked: [Asked; POINTS.len()],
    splits: Vec<PlannedSplit>,
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
struct PlannedTree {
    rule: usize,
    plain: bool,
    splits: Range<usize>,
    leaves: Range<usize>,
    reciprocals: Range<usize>,
}

/// One tree of a plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreePlan<'p> {
    pub rule: usize,
    /// No split asks for more than [`Decision`]'s plain question.
    pub plain: bool,
    /// Edge `2 s` leads right from split `s`, edge `2 s + 1` left. Parents come before children.
    pub splits: &'p [PlannedSplit],
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
    /// The edge that leads here; one after the last for the root.
    pub from: u32,
    pub prior: Option<Prior>,
    /// Share of the training rows that pass all splits on this feature above.
    pub before: f64,
    /// Shares of the rows here that go right, and left.
    pub ratios: [f64; 2],
    /// The slot of its feature.
    pub slot: u32,
}

/// The nearest edge above that tests the same feature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prior {
    pub edge: u32,
    /// Its place among the [reciprocals](TreePlan::reciprocals).
    pub reciprocal: u32,
}

#[derive(Debug, Clone)]
pub(super) struct PlannedLeaf {
    pub edge: u32,
    pub value: f64,
}

impl Plan {
    /// `last_edge` has none per feature, and again when this returns.
    pub(super) fn add(
        &mut self,
        tree: &Tree,
        index: usize,
        output: usize,
        last_edge: &mut [Option<u32>],
    ) -> Result<(), ModelError> {
        check_counts(tree, index)?;
        let (first, first_leaf) = (self.splits.len(), self.leaves.len());
        let (mut priors, root) = (HashMap::new(), 2 * tree.splits().len() as u32);
        let (mut distinct, mut deepest, mut plain) = (0usize, 0usize, true);
        let mut ahead = vec![Visit::Enter { child: tree.root(), from: root }];
        while let Some(visit) = ahead.pop() {
            match visit {
                Visit::Enter { child: Child::Leaf(_), .. } => deepest = deepest.max(distinct),
                Visit::Enter { child: Child::Split(split), from } => {
                    let split = &tree.splits()[split as usize];
                    let prior = last_edge[split.feature as usize];
                    let before = prior.map_or(1.0, |edge| share_of(&self.splits[first..], edge));
                    distinct += usize::from(prior.is_none());
                    let right = 2 * (self.splits.len() - first) as u32;
                    let children = [(right, split.right), (right + 1, split.left)];
                    let ratios = children.map(|(edge, child)| {
                        if let Child::Leaf(leaf) = child {
                            self.leaves.push(PlannedLeaf { edge, value: tree.leaves()[leaf as usize].value });
                        }
                        f64::from(tree.count(child)) / f64::from(split.count)
                    });
                    let decision = Decision::new(split, &mut self.sets);
                    plain &= decision.is_plain();
                    let next = priors.len() as u32 + 1;
                    let asked = prior.map(|edge| Prior { edge, reciprocal: *priors.entry(edge).or_insert(next) });
                    self.splits.push(PlannedSplit { decision, from, prior: asked, before, ratios, slot: 0 });
                    ahead.push(Visit::Leave { feature: split.feature, prior });
                    for (edge, child) in children {
                        ahead.push(Visit::Enter { child, from: edge });
                        ahead.push(Visit::Take { feature: split.feature, edge });
                    }
                }
                Visit::Take { feature, edge } => last_edge[feature as usize] = Some(edge),
                Visit::Leave { feature, prior } => {
                    last_edge[feature as usize] = prior;
                    distinct -= usize::from(prior.is_none());
                }
            }
        }
        let edges = by_depth(&mut self.splits[first..]);
        self.leaves[first_leaf..].iter_mut().for_each(|leaf| leaf.edge = edges[leaf.edge as usize]);
        let priors = priors.into_iter().map(|(edge, place)| (edges[edge as usize], place)).collect();
        let rule = POINTS.iter().position(|points| deepest <= 2 * points).ok_or_else(|| {
            let problem = format!("a path asks {deepest} different features, more than 256");
            ModelError::Unexplainable { tree: index, problem }
        })?;
        for split in &mut self.splits[first..] {
            split.slot = self.asked[rule].slot((output, split.decision.feature as usize));
        }
        let first_reciprocal = self.reciprocals.len();
        self.reciprocals.extend(reciprocals(&self.splits[first..], &priors, POINTS[rule]));
        self.trees.push(PlannedTree {
            rule,
            plain,
            splits: first..self.splits.len(),
            leaves: first_leaf..self.leaves.len(),
            reciprocals: first_reciprocal..self.reciprocals.len(),
        });
        Ok(())
    }

    /// By rule.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter()
    }

    pub(super) fn trees(&self) -> impl Iterator<Item = TreePlan<'_>> {
        self.trees.iter().map(|tree| TreePlan {
            rule: tree.rule,
            plain: tree.plain,
            splits: &self.splits[tree.splits.clone()],
            leaves: &self.leaves[tree.leaves.clone()],
            reciprocals: &self.reciprocals[tree.reciprocals.clone()],
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

impl TreePlan<'_> {
    pub(super) fn edges(&self) -> usize {
        2 * self.splits.len()
    }

    /// Numbers of scratch space: one per edge, the root's too, and point.
    pub(super) fn scratch_len(&self) -> usize {
        (self.edges() + 1) * POINTS[self.rule]
    }
}

/// Puts the splits of a tree in the order of their depth: those next to each other have nothing to do with each other then, and a
/// processor works on several at once. Gives the new number of each edge, the root's too.
fn by_depth(splits: &mut [PlannedSplit]) -> Vec<u32> {
    let root = 2 * splits.len();
    let mut depths = vec![0u32; splits.len()];
    for index in 0..splits.len() {
        let from = splits[index].from as usize;
        depths[index] = if from == root { 0 } else { depths[from / 2] + 1 };
    }
    let mut order: Vec<usize> = (0..splits.len()).collect();
    order.sort_by_key(|index| depths[*index]);
    let mut edges = vec![root as u32; root + 1];
    for (place, index) in order.iter().enumerate() {
        (edges[2 * index], edges[2 * index + 1]) = (2 * place as u32, 2 * place as u32 + 1);
    }
    let moved: Vec<PlannedSplit> = order.iter().map(|index| splits[*index].clone()).collect();
    for (split, mut moved) in splits.iter_mut().zip(moved) {
        moved.from = edges[moved.from as usize];
        if let Some(prior) = &mut moved.prior {
            prior.edge = edges[prior.edge as usize];
        }
        *split = moved;
    }
    edges
}

/// Share of the training rows that pass all splits on the edge's feature down to here: `z`.
fn share_of(splits: &[PlannedSplit], edge: u32) -> f64 {
    let split = &splits[edge as usize / 2];
    split.ratios[edge as usize % 2] * split.before
}

/// `priors`: edges with their places, from 1 on.
fn reciprocals(splits: &[PlannedSplit], priors: &HashMap<u32, u32>, points: usize) -> Vec<f64> {
    let rule = Rule::gauss_legendre(points);
    let mut reciprocals = vec![1.0; (priors.len() + 1) * points];
    for (edge, place) in priors {
        let share = share_of(splits, *edge);
        let of_edge = &mut reciprocals[*place as usize * points..][..points];
        for ((reciprocal, t), complement) in of_edge.iter_mut().zip(&rule.points).zip(&rule.complements) {
            *reciprocal = 1.0 / (share * complement + t);
        }
    }
    reciprocals
}

/// Steps of a depth-first walk without recursion, so that no tree is too deep for the stack.
enum Visit {
    Enter { child: Child, from: u32 },
    Take { feature: u32, edge: u32 },
    Leave { feature: u32, prior: Option<u32> },
}

/// LightGBM's `Tree::ExpectedValue`: the mean leaf over the training rows.
pub(super) fn expected_value(tree: &Tree) -> f64 {
    let [leaf] = tree.leaves() else {
        let total = f64::from(tree.count(tree.root()));
        return tree.leaves().iter().fold(0.0, |sum, leaf| sum + f64::from(leaf.count) / total * leaf.value);
    };
    leaf.value
}

fn check_counts(tree: &Tree, index: usize) -> Result<(), ModelError> {
    for (position, split) in tree.splits().iter().enumerate() {
        let largest = tree.count(split.left).max(tree.count(split.right));
        if split.count == 0 || largest > split.count {
            let problem = format!("split {position} has {} training rows, a child of it {largest}", split.count);
            return Err(ModelError::Unexplainable { tree: index, problem });
        }
    }
    Ok(())
}
