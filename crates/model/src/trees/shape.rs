//! Children must form one tree: everything reached from split 0, once.

use super::fields::Section;
use super::{Child, Tree};
use crate::ModelError;

/// LightGBM writes split `n` as `n` and leaf `n` as `-n - 1`.
pub(super) fn child(
    section: &Section<'_>,
    field: &'static str,
    reference: i32,
    splits: usize,
) -> Result<Child, ModelError> {
    let (index, end) = if reference >= 0 { (reference, splits) } else { (!reference, splits + 1) };
    if index as usize >= end {
        return Err(section.wrong(field, format!("{reference} points nowhere in a tree of {} leaves", splits + 1)));
    }
    Ok(if reference >= 0 { Child::Split(index as u32) } else { Child::Leaf(index as u32) })
}

pub(super) fn check(section: &Section<'_>, tree: &Tree) -> Result<(), ModelError> {
    let mut splits = vec![false; tree.splits.len()];
    let mut leaves = vec![false; tree.leaves.len()];
    let mut ahead = vec![(Child::Split(0), "left_child")];
    while let Some((child, field)) = ahead.pop() {
        let (what, index, seen) = match child {
            Child::Split(index) => ("split", index as usize, &mut splits),
            Child::Leaf(index) => ("leaf", index as usize, &mut leaves),
        };
        if std::mem::replace(&mut seen[index], true) {
            return Err(section.wrong(field, format!("{what} {index} is reached twice")));
        }
        if let Child::Split(_) = child {
            ahead.push((tree.splits[index].left, "left_child"));
            ahead.push((tree.splits[index].right, "right_child"));
        }
    }
    // Splits that only point at each other are not met above, and the leaves below them are missing here.
    if splits.iter().chain(&leaves).all(|seen| *seen) {
        Ok(())
    } else {
        Err(section.wrong("left_child", "not every split and leaf is reached from the root"))
    }
}
