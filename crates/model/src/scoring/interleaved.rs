//! The first engine: every tree in one array of nodes, eight walks in flight at once.
//!
//! A walk down one tree waits for memory and for its own last comparison; eight independent ones (eight trees of a row, or
//! eight rows of a tree) fill that time.

use std::sync::Arc;

use crate::scoring::TreeScorer;
use crate::trees::{Child, Decision, Trees};

const WALKS: usize = 8;
/// Rows whose scores stay in the first-level cache while all trees pass over them.
const BLOCK: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Node {
    decision: Decision,
    /// Right, left. A node's index, or the complement of a leaf's.
    children: [i32; 2],
}

#[derive(Debug, Clone)]
pub struct Interleaved {
    features: usize,
    outputs: usize,
    nodes: Vec<Node>,
    leaves: Vec<f64>,
    roots: Vec<i32>,
    sets: Vec<Arc<[u32]>>,
    /// No split tests categories or takes zero for missing: the short step will do.
    plain: bool,
}

impl Interleaved {
    pub fn new(trees: &Trees) -> Interleaved {
        let mut engine = Interleaved {
            features: trees.features(),
            outputs: trees.outputs(),
            nodes: Vec::new(),
            leaves: Vec::new(),
            roots: Vec::new(),
            sets: Vec::new(),
            plain: true,
        };
        for tree in trees.trees() {
            let (node_base, leaf_base) = (engine.nodes.len(), engine.leaves.len());
            let reference = |child: Child| match child {
                Child::Split(split) => index(node_base + split as usize),
                Child::Leaf(leaf) => !index(leaf_base + leaf as usize),
            };
            engine.roots.push(reference(tree.root()));
            for split in tree.splits() {
                let decision = Decision::new(split, &mut engine.sets);
                engine.nodes.push(Node { decision, children: [reference(split.right), reference(split.left)] });
            }
            engine.leaves.extend(tree.leaves().iter().map(|leaf| leaf.value));
        }
        engine.plain = engine.nodes.iter().all(|node| node.decision.is_plain());
        engine
    }

    #[inline(always)]
    fn step<const PLAIN: bool>(&self, at: i32, row: &[f64]) -> i32 {
        let node = &self.nodes[at as usize];
        node.children[usize::from(node.decision.goes_left::<PLAIN>(row, &self.sets))]
    }

    /// Walks from `at` to leaves, eight at a time; `rows[j]` is the row walk `j` reads.
    #[inline(always)]
    fn walk<const PLAIN: bool>(&self, mut at: [i32; WALKS], rows: [&[f64]; WALKS]) -> [i32; WALKS] {
        loop {
            let mut all = -1;
            for walk in 0..WALKS {
                if at[walk] >= 0 {
                    at[walk] = self.step::<PLAIN>(at[walk], rows[walk]);
                }
                all &= at[walk];
            }
            if all < 0 {
                return at;
            }
        }
    }

    #[inline(always)]
    fn leaf_value(&self, at: i32) -> f64 {
        self.leaves[!at as usize]
    }

    fn one<const PLAIN: bool>(&self, row: &[f64], out: &mut [f64]) {
        let mut output = 0;
        let mut add = |value: f64| {
            out[output] += value;
            output = if output + 1 == self.outputs { 0 } else { output + 1 };
        };
        let (groups, rest) = self.roots.as_chunks::<WALKS>();
        for roots in groups {
            for leaf in self.walk::<PLAIN>(*roots, [row; WALKS]) {
                add(self.leaf_value(leaf));
            }
        }
        for root in rest {
            add(self.leaf_value(self.walk_one::<PLAIN>(*root, row)));
        }
    }

    #[inline(always)]
    fn walk_one<const PLAIN: bool>(&self, mut at: i32, row: &[f64]) -> i32 {
        while at >= 0 {
            at = self.step::<PLAIN>(at, row);
        }
        at
    }

    fn many<const PLAIN: bool>(&self, rows: &[f64], out: &mut [f64]) {
        let blocks = rows.chunks(BLOCK * self.features).zip(out.chunks_mut(BLOCK * self.outputs));
        for (rows, out) in blocks {
            let count = out.len() / self.outputs;
            let row = |index: usize| &rows[index * self.features..(index + 1) * self.features];
            for (tree, root) in self.roots.iter().enumerate() {
                let output = tree % self.outputs;
                let mut first = 0;
                while first + WALKS <= count {
                    let group = std::array::from_fn(|walk| row(first + walk));
                    for (walk, leaf) in self.walk::<PLAIN>([*root; WALKS], group).into_iter().enumerate() {
                        out[(first + walk) * self.outputs + output] += self.leaf_value(leaf);
                    }
                    first += WALKS;
                }
                for index in first..count {
                    out[index * self.outputs + output] += self.leaf_value(self.walk_one::<PLAIN>(*root, row(index)));
                }
            }
        }
    }
}

impl TreeScorer for Interleaved {
    fn features(&self) -> usize {
        self.features
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn raw(&self, row: &[f64], out: &mut [f64]) {
        assert_eq!(row.len(), self.features, "values in a row");
        assert_eq!(out.len(), self.outputs, "raw scores of a row");
        out.fill(0.0);
        if self.plain { self.one::<true>(row, out) } else { self.one::<false>(row, out) }
    }

    fn raw_batch(&self, rows: &[f64], out: &mut [f64]) {
        assert_eq!(rows.len() % self.features, 0, "values in whole rows");
        assert_eq!(rows.len() / self.features * self.outputs, out.len(), "raw scores of all rows");
        out.fill(0.0);
        if self.plain { self.many::<true>(rows, out) } else { self.many::<false>(rows, out) }
    }
}

/// Indices stay below `i32::MAX`: each node and leaf took bytes of a text, and a text of that size is refused.
fn index(position: usize) -> i32 {
    i32::try_from(position).expect("the text of a model is shorter than 2 GiB")
}
