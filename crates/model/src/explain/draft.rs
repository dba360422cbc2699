//! A tree on its way into a plan: what its splits are to each other, before they are put in order.

use std::sync::Arc;

use crate::ModelError;
use crate::trees::{Child, Decision, Tree};

/// A tree, or several behind each other.
#[derive(Debug, Default)]
pub(super) struct DraftTree {
    /// Edge `2 s` leads right from split `s`, edge `2 s + 1` left. Parents come before children.
    pub splits: Vec<Draft>,
    /// The edges that lead to leaves, and the leaves' values.
    pub leaves: Vec<(u32, f64)>,
    /// How many different features the longest path asks; of a single tree.
    pub deepest: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub decision: Decision,
    /// What its tree adds to.
    pub output: usize,
    /// The edge that leads here; to the first split of a tree leads none.
    pub from: Option<u32>,
    /// The nearest edge above that tests the same feature.
    pub prior: Option<u32>,
    /// Share of the training rows that pass all splits on this feature above.
    pub before: f64,
    /// Shares of the rows here that go right, and left.
    pub ratios: [f64; 2],
}

/// Steps of a depth-first walk without recursion, so that no tree is too deep for the stack.
enum Visit {
    Enter { child: Child, from: Option<u32> },
    Take { feature: u32, edge: u32 },
    Leave { feature: u32, prior: Option<u32> },
}

impl DraftTree {
    /// `last_edge` has none per feature, and again when this returns. Of a single leaf, nothing.
    pub(super) fn new(
        tree: &Tree,
        index: usize,
        last_edge: &mut [Option<u32>],
        sets: &mut Vec<Arc<[u32]>>,
    ) -> Result<DraftTree, ModelError> {
        check_counts(tree, index)?;
        let mut draft = DraftTree::default();
        let mut distinct = 0;
        let mut ahead = vec![Visit::Enter { child: tree.root(), from: None }];
        while let Some(visit) = ahead.pop() {
            match visit {
                Visit::Enter { child: Child::Leaf(leaf), from } => {
                    draft.deepest = draft.deepest.max(distinct);
                    draft.leaves.extend(from.map(|edge| (edge, tree.leaves()[leaf as usize].value)));
                }
                Visit::Enter { child: Child::Split(split), from } => {
                    let split = &tree.splits()[split as usize];
                    let prior = last_edge[split.feature as usize];
                    distinct += usize::from(prior.is_none());
                    let right = 2 * draft.splits.len() as u32;
                    let children = [(right, split.right), (right + 1, split.left)];
                    draft.splits.push(Draft {
                        decision: Decision::new(split, sets),
                        output: 0,
                        from,
                        prior,
                        before: prior.map_or(1.0, |edge| draft.share_of(edge)),
                        ratios: children.map(|(_, child)| f64::from(tree.count(child)) / f64::from(split.count)),
                    });
                    ahead.push(Visit::Leave { feature: split.feature, prior });
                    for (edge, child) in children {
                        ahead.push(Visit::Enter { child, from: Some(edge) });
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
        Ok(draft)
    }

    /// Share of the training rows that pass all splits on the edge's feature down to here: `z`.
    fn share_of(&self, edge: u32) -> f64 {
        let split = &self.splits[edge as usize / 2];
        split.ratios[edge as usize % 2] * split.before
    }

    /// Takes a tree that adds to an output.
    pub(super) fn append(&mut self, tree: DraftTree, output: usize) {
        let first = 2 * self.splits.len() as u32;
        let moved = |edge: u32| first + edge;
        self.splits.extend(tree.splits.into_iter().map(|split| Draft {
            output,
            from: split.from.map(moved),
            prior: split.prior.map(moved),
            ..split
        }));
        self.leaves.extend(tree.leaves.into_iter().map(|(edge, value)| (moved(edge), value)));
    }

    /// Puts the splits in the order of their depth. Gives the new number of each edge; those in the splits are old.
    pub(super) fn by_depth(&mut self) -> Vec<u32> {
        let mut depths = Vec::with_capacity(self.splits.len());
        for split in &self.splits {
            let depth: u32 = split.from.map_or(0, |edge| depths[edge as usize / 2] + 1);
            depths.push(depth);
        }
        let mut order: Vec<usize> = (0..self.splits.len()).collect();
        order.sort_by_key(|split| depths[*split]);
        let mut edges = vec![0; 2 * self.splits.len()];
        for (place, split) in order.iter().enumerate() {
            (edges[2 * split], edges[2 * split + 1]) = (2 * place as u32, 2 * place as u32 + 1);
        }
        self.splits = order.into_iter().map(|split| self.splits[split].clone()).collect();
        edges
    }
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
