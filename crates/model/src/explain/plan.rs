//! A tree laid out for the pass: splits in depth-first order, one edge per child, shares computed ahead.

use std::sync::Arc;

use crate::trees::{Child, Decision, Tree};
use crate::{ModelError, explain::quadrature::Rule};

/// The sizes of rule a tree may need: each is exact up to twice as many distinct features on a path.
pub(super) const POINTS: [usize; 7] = [4, 6, 8, 16, 32, 64, 128];
pub(super) const NO_EDGE: u32 = u32::MAX;

#[derive(Debug, Clone)]
pub(super) struct TreePlan {
    /// Which of a row's outputs the tree adds to.
    pub output: usize,
    rule: usize,
    pub splits: Vec<PlannedSplit>,
    pub sets: Vec<Arc<[u32]>>,
    /// No split asks for more than [`Decision`]'s plain question.
    pub plain: bool,
    /// Edge `2 s` leads right from split `s`, edge `2 s + 1` left. Parents come before children.
    pub edges: Vec<Edge>,
    /// Per edge and point `t`: `1 / (share (1 - t) + t)`.
    pub reciprocals: Vec<f64>,
}

#[derive(Debug, Clone)]
pub(super) struct PlannedSplit {
    pub decision: Decision,
    /// The edge that leads here; [`NO_EDGE`] for the root.
    pub from: u32,
    /// The nearest edge above that tests the same feature; [`NO_EDGE`] for none.
    pub prior: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    /// Share of the training rows that pass all splits on this feature down to here: `z`.
    pub share: f64,
    /// Share of the rows at the split that take this edge.
    pub ratio: f64,
    /// The leaf's value, 1 where a split follows: what the edge's products are multiplied by.
    pub factor: f64,
}

impl TreePlan {
    /// `last_edge` has a [`NO_EDGE`] per feature, and again when this returns.
    pub(super) fn new(tree: &Tree, index: usize, output: usize, last_edge: &mut [u32]) -> Result<TreePlan, ModelError> {
        check_counts(tree, index)?;
        let mut plan =
            TreePlan { output, rule: 0, splits: vec![], sets: vec![], plain: true, edges: vec![], reciprocals: vec![] };
        let (mut distinct, mut deepest) = (0usize, 0usize);
        let mut ahead = vec![Visit::Enter { child: tree.root(), from: NO_EDGE }];
        while let Some(visit) = ahead.pop() {
            match visit {
                Visit::Enter { child: Child::Leaf(_), .. } => deepest = deepest.max(distinct),
                Visit::Enter { child: Child::Split(split), from } => {
                    let split = &tree.splits()[split as usize];
                    let prior = last_edge[split.feature as usize];
                    let before = if prior == NO_EDGE { 1.0 } else { plan.edges[prior as usize].share };
                    distinct += usize::from(prior == NO_EDGE);
                    let right = plan.edges.len() as u32;
                    for child in [split.right, split.left] {
                        let ratio = f64::from(tree.count(child)) / f64::from(split.count);
                        let factor = match child {
                            Child::Leaf(leaf) => tree.leaves()[leaf as usize].value,
                            Child::Split(_) => 1.0,
                        };
                        plan.edges.push(Edge { share: ratio * before, ratio, factor });
                    }
                    let decision = Decision::new(split, &mut plan.sets);
                    plan.plain &= decision.is_plain();
                    plan.splits.push(PlannedSplit { decision, from, prior });
                    ahead.push(Visit::Leave { feature: split.feature, prior });
                    for (edge, child) in [(right, split.right), (right + 1, split.left)] {
                        ahead.push(Visit::Enter { child, from: edge });
                        ahead.push(Visit::Take { feature: split.feature, edge });
                    }
                }
                Visit::Take { feature, edge } => last_edge[feature as usize] = edge,
                Visit::Leave { feature, prior } => {
                    last_edge[feature as usize] = prior;
                    distinct -= usize::from(prior == NO_EDGE);
                }
            }
        }
        plan.rule = POINTS.iter().position(|points| deepest <= 2 * points).ok_or_else(|| {
            let problem = format!("a path asks {deepest} different features, more than 256");
            ModelError::Unexplainable { tree: index, problem }
        })?;
        plan.precompute();
        Ok(plan)
    }

    pub(super) fn rule(&self) -> usize {
        self.rule
    }

    /// Numbers of scratch space: one per edge and point.
    pub(super) fn scratch_len(&self) -> usize {
        self.edges.len() * POINTS[self.rule]
    }

    fn precompute(&mut self) {
        let rule = Rule::gauss_legendre(POINTS[self.rule]);
        self.reciprocals.reserve_exact(self.scratch_len());
        for edge in &self.edges {
            let points = rule.points.iter().zip(&rule.complements);
            self.reciprocals.extend(points.map(|(t, complement)| 1.0 / (edge.share * complement + t)));
        }
    }
}

/// Steps of a depth-first walk without recursion, so that no tree is too deep for the stack.
enum Visit {
    Enter { child: Child, from: u32 },
    Take { feature: u32, edge: u32 },
    Leave { feature: u32, prior: u32 },
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
