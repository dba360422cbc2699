//! `windows: [30 days, 90 days]` of a feature is short for several features, each with one `window`. It stands in the
//! feature's name and, so that no two reasons read alike, in its `words`.
//!
//! Done to the file's tree before it is decoded, so that everything after sees plain features, and a mistake in one is
//! still found in the file.

use std::collections::HashSet;

use super::reader::Reader;
use super::scalar::window;
use crate::yaml::{Entry, Node, Scalar, Shape};

/// Of one feature: each is a copy of what the file says of it.
const MOST: usize = 100;

/// Replaces each feature that has `windows` by one for each of them, called `NAME_30_days`.
pub(crate) fn one_feature_a_window(reader: &mut Reader<'_>, view: &mut Node) {
    let Shape::Map(entries) = &mut view.shape else { return };
    let Some(features) = entries.iter_mut().find(|entry| entry.key == "features") else { return };
    let Shape::Map(features) = &mut features.value.shape else { return };
    if features.iter().all(|feature| windows_of(&feature.value).is_none()) {
        return;
    }
    let mut names: HashSet<String> = features.iter().map(|feature| feature.key.clone()).collect();
    let mut expanded: Vec<Entry> = Vec::with_capacity(features.len());
    for feature in std::mem::take(features) {
        let Some(windows) = windows_of(&feature.value).cloned() else {
            expanded.push(feature);
            continue;
        };
        for one in each_window(reader, &feature, &windows) {
            if one.key == feature.key || names.insert(one.key.clone()) {
                expanded.push(one);
            } else {
                let message = format!("`windows` makes `{}` a feature, and the view has one of that name", one.key);
                reader.problem(windows.key_span, message);
            }
        }
    }
    *features = expanded;
}

fn windows_of(feature: &Node) -> Option<&Entry> {
    feature.entry("windows").filter(|windows| !windows.value.is_null())
}

/// Where the windows cannot be read, the feature stays as one without them: the rest of it is still looked at.
fn each_window(reader: &mut Reader<'_>, feature: &Entry, windows: &Entry) -> Vec<Entry> {
    let Shape::Map(entries) = &feature.value.shape else { return Vec::new() };
    let rest = |entries: Vec<Entry>| Node { shape: Shape::Map(entries), ..feature.value.clone() };
    let kept = || entries.iter().filter(|entry| entry.key != "windows").cloned();
    let plain = || vec![Entry { value: rest(kept().collect()), ..feature.clone() }];
    if feature.value.entry("window").is_some() {
        reader
            .problem(windows.key_span, "a feature has a `window`, or one is made for each of its `windows`: not both");
        return plain();
    }
    let lengths = reader.list(&windows.value, "a list of lengths of time", |reader, node| {
        window(reader, node).and(number_and_unit(node)).map(|parts| (parts, node.clone()))
    });
    let Some(lengths) = lengths else { return plain() };
    let given = if let Shape::List(items) = &windows.value.shape { items.len() } else { 0 };
    if given == 0 {
        reader.problem(windows.value.span, "`windows` with no window in it makes no feature");
    } else if given > MOST {
        reader.problem(windows.value.span, format!("`windows` has {given} of them: {MOST} at most"));
    }
    if lengths.is_empty() || given > MOST {
        return plain();
    }
    let one = |((number, unit), length): ((String, String), Node)| {
        let window = Entry { key: "window".to_owned(), key_span: windows.key_span, value: length };
        let told = kept().map(|mut entry| {
            if let ("words", Shape::Scalar(Scalar::Text(words))) = (entry.key.as_str(), &mut entry.value.shape) {
                words.push_str(&format!(" ({number} {unit})"));
            }
            entry
        });
        Entry {
            key: format!("{}_{number}_{unit}", feature.key),
            key_span: feature.key_span,
            value: rest(told.chain([window]).collect()),
        }
    };
    lengths.into_iter().map(one).collect()
}

/// Of `30 days` or `30days`, as they are written.
fn number_and_unit(length: &Node) -> Option<(String, String)> {
    let Shape::Scalar(Scalar::Text(text)) = &length.shape else { return None };
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.to_owned(), unit.trim().to_owned()))
}
