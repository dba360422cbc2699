//! Reads the text LightGBM's `save_model` writes (versions v3 and v4), from anyone: nothing in it is trusted.

use std::sync::Arc;

use super::fields::{Section, excerpt};
use super::{Leaf, Missing, Objective, Split, Test, Tree, Trees, shape};
use crate::{ModelError, Place};

/// LightGBM holds indices in an `int`; a model near these caps is no model.
const MAX_FEATURES: usize = 10_000_000;
const MAX_OUTPUTS: usize = 10_000;
const MAX_BYTES: usize = 2_000_000_000;

impl Trees {
    /// Time and memory are linear in the length of the text. The error names tree and field.
    pub fn parse(text: &str) -> Result<Trees, ModelError> {
        let text = Trees::scoring_part(text);
        if text.len() > MAX_BYTES {
            return Err(ModelError::Unsupported(format!("the trees' text has {} bytes, more than 2 GB", text.len())));
        }
        let blocks = Blocks::find(text)?;
        let header = Section::read(Place::Header, blocks.header)?;
        check_kind(&header)?;
        let features = match header.one::<usize>("max_feature_idx")? {
            last if last < MAX_FEATURES => last + 1,
            last => return Err(header.wrong("max_feature_idx", format!("{last} is beyond {MAX_FEATURES}"))),
        };
        let outputs = header.one::<usize>("num_tree_per_iteration")?;
        if outputs == 0 || outputs > MAX_OUTPUTS {
            return Err(header.wrong("num_tree_per_iteration", format!("{outputs} is not within 1 and {MAX_OUTPUTS}")));
        }
        check_sizes(&header, &blocks)?;
        if !blocks.trees.len().is_multiple_of(outputs) {
            let problem = format!("{} trees do not divide by {outputs}", blocks.trees.len());
            return Err(header.wrong("num_tree_per_iteration", problem));
        }
        let objective = Objective::parse(&header, outputs)?;
        let feature_names = header.list("feature_names", features)?;
        let trees = blocks.trees.iter().enumerate().map(|(index, block)| read_tree(index, block, features));
        let trees = trees.collect::<Result<Vec<Tree>, ModelError>>()?;
        let averaged = header.optional("average_output").is_some();
        Ok(Trees { features, outputs, averaged, objective, feature_names, trees })
    }

    /// The part of the text that can change a score: all before the echoed training parameters. Nothing after it is read.
    pub fn scoring_part(text: &str) -> &str {
        text.find("\nparameters:").map_or(text, |end| &text[..end])
    }
}

/// The text cut at its `Tree=` lines.
struct Blocks<'a> {
    header: &'a str,
    trees: Vec<&'a str>,
}

impl<'a> Blocks<'a> {
    fn find(text: &'a str) -> Result<Blocks<'a>, ModelError> {
        let mut starts = Vec::new();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            if line.trim_end() == "end of trees" {
                let first = starts.first().copied().unwrap_or(offset);
                let ends = starts.iter().skip(1).copied().chain([offset]);
                let trees = starts.iter().zip(ends).map(|(start, end)| &text[*start..end]).collect();
                return Ok(Blocks { header: &text[..first], trees });
            }
            if line.starts_with("Tree=") {
                starts.push(offset);
            }
            offset += line.len();
        }
        let problem = "missing: this is not a LightGBM model's text, or it was cut short".to_owned();
        Err(ModelError::Text { place: Place::Header, field: "end of trees", problem })
    }
}

fn check_kind(header: &Section<'_>) -> Result<(), ModelError> {
    if header.optional("tree").is_none() {
        return Err(header.wrong("tree", "missing: a LightGBM model's text begins with it"));
    }
    match header.required("version")? {
        "v3" | "v4" => Ok(()),
        other => Err(ModelError::Unsupported(format!(
            "the trees' text is of version `{}`; save it again with LightGBM 3 or 4",
            excerpt(other)
        ))),
    }
}

/// LightGBM finds its trees by these sizes, so a text where they are off means something else to it than to us.
fn check_sizes(header: &Section<'_>, blocks: &Blocks<'_>) -> Result<(), ModelError> {
    if header.optional("tree_sizes").is_none() {
        return Ok(());
    }
    let sizes = header.list::<usize>("tree_sizes", blocks.trees.len())?;
    match sizes.iter().zip(&blocks.trees).position(|(size, block)| *size != block.len()) {
        Some(index) => {
            let problem = format!("tree {index} has {} bytes, not {}", blocks.trees[index].len(), sizes[index]);
            Err(header.wrong("tree_sizes", problem))
        }
        None => Ok(()),
    }
}

fn read_tree(index: usize, block: &str, features: usize) -> Result<Tree, ModelError> {
    let section = Section::read(Place::Tree(index), block)?;
    if section.one::<usize>("Tree")? != index {
        return Err(section.wrong("Tree", format!("trees are numbered in order, {index} belongs here")));
    }
    if section.optional("is_linear").is_some_and(|linear| linear.trim() != "0") {
        return Err(ModelError::Unsupported(format!("tree {index} has linear leaves; train with linear_tree=false")));
    }
    let leaves = section.one::<usize>("num_leaves")?;
    if leaves == 0 || leaves > i32::MAX as usize {
        return Err(section.wrong("num_leaves", format!("{leaves} leaves")));
    }
    let values = section.finite("leaf_value", leaves)?;
    if leaves == 1 {
        // A constant: LightGBM reads no more of it, and older versions write no count.
        return Ok(Tree { splits: Vec::new(), leaves: vec![Leaf { value: values[0], count: 0 }] });
    }
    let counts = counts(&section, "leaf_count", leaves)?;
    let leaves = values.into_iter().zip(counts).map(|(value, count)| Leaf { value, count }).collect::<Vec<Leaf>>();
    let tree = Tree { splits: read_splits(&section, leaves.len() - 1, features)?, leaves };
    shape::check(&section, &tree)?;
    Ok(tree)
}

fn read_splits(section: &Section<'_>, splits: usize, features: usize) -> Result<Vec<Split>, ModelError> {
    let split_features = section.list::<u32>("split_feature", splits)?;
    // Infinity is a threshold: LightGBM writes it where only missing values go right.
    let thresholds = section.list::<f64>("threshold", splits)?;
    if let Some(index) = thresholds.iter().position(|threshold| threshold.is_nan()) {
        return Err(section.wrong("threshold", format!("value {index} is not a number")));
    }
    let decisions = section.list::<u8>("decision_type", splits)?;
    let left = section.list::<i32>("left_child", splits)?;
    let right = section.list::<i32>("right_child", splits)?;
    let counts = counts(section, "internal_count", splits)?;
    let sets = read_sets(section)?;
    let mut read = Vec::with_capacity(splits);
    for index in 0..splits {
        if split_features[index] as usize >= features {
            let problem = format!("split {index} asks for feature {} of {features}", split_features[index]);
            return Err(section.wrong("split_feature", problem));
        }
        read.push(Split {
            feature: split_features[index],
            test: read_test(section, index, decisions[index], thresholds[index], &sets)?,
            left: shape::child(section, "left_child", left[index], splits)?,
            right: shape::child(section, "right_child", right[index], splits)?,
            count: counts[index],
        });
    }
    Ok(read)
}

/// A missing list is all zeros to LightGBM; such a tree scores, and cannot be explained.
fn counts(section: &Section<'_>, field: &'static str, length: usize) -> Result<Vec<u32>, ModelError> {
    match section.optional(field) {
        Some(_) => section.list(field, length),
        None => Ok(vec![0; length]),
    }
}

fn read_test(
    section: &Section<'_>,
    index: usize,
    decision: u8,
    threshold: f64,
    sets: &[Arc<[u32]>],
) -> Result<Test, ModelError> {
    if decision & 1 == 1 {
        let known = threshold >= 0.0 && threshold.fract() == 0.0 && threshold < sets.len() as f64;
        if !known {
            let problem = format!("split {index} asks for category set {threshold} of {}", sets.len());
            return Err(section.wrong("threshold", problem));
        }
        return Ok(Test::Categories(sets[threshold as usize].clone()));
    }
    let missing = match decision >> 2 {
        0 => Missing::Never,
        1 => Missing::Zero,
        2 => Missing::Nan,
        _ => return Err(section.wrong("decision_type", format!("split {index} has decision type {decision}"))),
    };
    Ok(Test::Numeric { threshold, missing, default_left: decision & 2 != 0 })
}

/// The category sets of a tree, shared by whichever splits ask for them.
fn read_sets(section: &Section<'_>) -> Result<Vec<Arc<[u32]>>, ModelError> {
    let sets = section.one::<usize>("num_cat")?;
    if sets == 0 {
        return Ok(Vec::new());
    }
    let boundaries = section.list::<usize>("cat_boundaries", sets.saturating_add(1))?;
    let words = section.list::<u32>("cat_threshold", boundaries[sets])?;
    if boundaries[0] != 0 || !boundaries.is_sorted() {
        return Err(section.wrong("cat_boundaries", "they do not rise from 0"));
    }
    Ok(boundaries.windows(2).map(|pair| Arc::from(&words[pair[0]..pair[1]])).collect())
}
