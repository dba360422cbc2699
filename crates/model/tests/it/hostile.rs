//! Texts nobody should trust: an error with a place, or a model that scores; never a panic, a loop or a flood.

use fastrand::Rng;
use karat_core::ErrorKind;
use karat_model::{Explainer, Interleaved, TreeScorer, Trees};
use proptest::prelude::*;

use crate::python::folder;

fn fixture(name: &str) -> String {
    std::fs::read_to_string(folder().join(name).with_extension("txt")).unwrap()
}

/// Sizes no longer fit an edited text; without them LightGBM reads trees in order, as we do.
fn without_sizes(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("tree_sizes")).collect::<Vec<&str>>().join("\n")
}

/// Whatever parses must score and explain without a panic.
fn survive(text: &str) {
    let Ok(trees) = Trees::parse(text) else { return };
    let engine = Interleaved::new(&trees);
    let mut rows = vec![0.5; 9 * trees.features()];
    rows[0] = f64::NAN;
    let mut raw = vec![0.0; 9 * trees.outputs()];
    engine.raw_batch(&rows, &mut raw);
    if let Ok(explainer) = Explainer::new(&trees) {
        let mut out = vec![0.0; explainer.width()];
        explainer.contributions(&rows[..trees.features()], &mut out);
    }
}

/// One word of a text replaced by something a fuzzer likes.
fn mutate(text: &str, rng: &mut Rng) -> String {
    const WORDS: [&str; 20] = [
        "-1",
        "0",
        "1",
        "2147483647",
        "-2147483648",
        "4294967296",
        "18446744073709551615",
        "1e308",
        "1e999",
        "nan",
        "inf",
        "-inf",
        "",
        " ",
        "x",
        "1.5",
        "-0",
        "999999999999999999999999",
        "é",
        "\u{0}",
    ];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(0..lines.len());
        match rng.u8(0..6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[rng.usize(0..lines.len())].clone()),
            2 => {
                let other = rng.usize(0..lines.len());
                lines.swap(at, other);
            }
            3 => lines.truncate(at + 1),
            _ => {
                let (key, value) = lines[at].split_once('=').unwrap_or((&lines[at], ""));
                let mut words: Vec<&str> = value.split(' ').collect();
                let word = rng.usize(0..words.len());
                words[word] = WORDS[rng.usize(0..WORDS.len())];
                lines[at] = format!("{key}={}", words.join(" "));
            }
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn mutated_models_never_panic(seed in any::<u64>()) {
        let mut rng = Rng::with_seed(seed);
        for name in ["binary", "zero_as_missing", "multiclass"] {
            let text = without_sizes(&fixture(name));
            survive(&mutate(&text, &mut rng));
        }
    }

    #[test]
    fn bytes_flipped_anywhere_never_panic(seed in any::<u64>()) {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = fixture("zero_as_missing").into_bytes();
        for _ in 0..rng.usize(1..8) {
            let at = rng.usize(0..bytes.len());
            bytes[at] = rng.u8(0..128);
        }
        bytes.truncate(rng.usize(bytes.len() / 2..=bytes.len()));
        survive(std::str::from_utf8(&bytes).unwrap());
    }

    #[test]
    fn any_text_never_panics(text in ".{0,200}") {
        survive(&text);
        survive(&format!("tree\n{text}\nTree=0\n{text}\nend of trees\n"));
    }
}

/// A whole small model, one line of which is replaced.
fn small(key: &str, value: &str) -> String {
    let lines = [
        ("tree", ""),
        ("version", "v4"),
        ("num_class", "1"),
        ("num_tree_per_iteration", "1"),
        ("label_index", "0"),
        ("max_feature_idx", "1"),
        ("objective", "binary sigmoid:1"),
        ("feature_names", "a b"),
        ("feature_infos", "none none"),
        ("Tree", "0"),
        ("num_leaves", "4"),
        ("num_cat", "1"),
        ("split_feature", "0 1 0"),
        ("threshold", "0.5 0 1"),
        ("decision_type", "2 1 8"),
        ("left_child", "1 -1 -2"),
        ("right_child", "2 -3 -4"),
        ("leaf_value", "1 2 3 4"),
        ("leaf_count", "1 2 3 4"),
        ("internal_count", "10 4 6"),
        ("cat_boundaries", "0 1"),
        ("cat_threshold", "5"),
        ("is_linear", "0"),
        ("end of trees", ""),
    ];
    let line = |(own, default): (&str, &str)| match (own, if own == key { value } else { default }) {
        ("tree" | "end of trees", value) => format!("{own}{value}"),
        (own, value) => format!("{own}={value}"),
    };
    lines.map(line).join("\n")
}

#[test]
fn the_small_model_is_sound() {
    let trees = Trees::parse(&small("", "")).unwrap();
    assert_eq!(trees.trees()[0].leaf_of(&[0.0, 2.0]), 0);
    assert_eq!(trees.trees()[0].leaf_of(&[0.0, 1.0]), 2);
    Explainer::new(&trees).unwrap();
}

#[test]
fn errors_name_tree_and_field() {
    for (key, value, message) in [
        ("tree", "x", "header, `tree`: missing"),
        ("end of trees", "x", "cut short"),
        ("max_feature_idx", "99999999999", "`max_feature_idx`"),
        ("max_feature_idx", "-1", "`max_feature_idx`"),
        ("num_tree_per_iteration", "0", "`num_tree_per_iteration`"),
        ("num_tree_per_iteration", "2", "1 trees do not divide by 2"),
        ("objective", "binary sigmoid:-1", "sigmoid"),
        ("feature_names", "a", "1 values where 2 belong"),
        ("Tree", "7", "numbered in order"),
        ("num_leaves", "0", "tree 0, `num_leaves`"),
        ("num_leaves", "2147483647", "tree 0, `leaf_value`: 4 values where 2147483647 belong"),
        ("num_leaves", "18446744073709551615", "`num_leaves`"),
        ("split_feature", "0 1 2", "asks for feature 2 of 2"),
        ("split_feature", "0 -1 0", "value 1, `-1`, cannot be read"),
        ("threshold", "nan 0 1", "`threshold`: value 0 is not a number"),
        ("threshold", "0.5 1 1", "category set 1 of 1"),
        ("threshold", "0.5 inf 1", "category set inf of 1"),
        ("threshold", "0.5 -1 1", "category set -1 of 1"),
        ("threshold", "0.5 0.5 1", "category set 0.5 of 1"),
        ("decision_type", "2 1 12", "decision type 12"),
        ("decision_type", "2 1 300", "`decision_type`: value 2"),
        ("left_child", "0 -1 -2", "split 0 is reached twice"),
        ("left_child", "1 1 -2", "split 1 is reached twice"),
        ("left_child", "1 -1 2", "split 2 is reached twice"),
        ("left_child", "-1 -2 -2", "reached"),
        ("left_child", "1 -9 -2", "-9 points nowhere"),
        ("left_child", "1 -2147483648 -2", "points nowhere"),
        ("right_child", "3 -3 -4", "3 points nowhere in a tree of 4 leaves"),
        ("right_child", "2 -1 -4", "leaf 0 is reached twice"),
        ("leaf_value", "1 2 inf 4", "`leaf_value`: value 2 is not finite"),
        ("leaf_count", "1 2 3", "3 values where 4 belong"),
        ("leaf_count", "1 -2 3 4", "cannot be read"),
        ("num_cat", "18446744073709551615", "`cat_boundaries`"),
        ("num_cat", "0", "category set 0 of 0"),
        ("cat_boundaries", "1 1", "do not rise from 0"),
        ("cat_boundaries", "0 4000000000", "1 values where 4000000000 belong"),
        ("cat_threshold", "5 6", "2 values where 1 belong"),
        ("is_linear", "1", "linear_tree=false"),
        ("version", "v9", "version `v9`"),
        ("objective", "lambdarank", "objective `lambdarank`"),
    ] {
        let error = Trees::parse(&small(key, value)).unwrap_err();
        assert!(error.to_string().contains(message), "{key}={value}: {error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn splits_that_only_point_at_each_other_are_found() {
    let text = small("left_child", "-1 2 1").replace("right_child=2 -3 -4", "right_child=-2 -3 -4");
    let error = Trees::parse(&text).unwrap_err();
    assert!(error.to_string().contains("not every split and leaf is reached"), "{error}");
}

#[test]
fn trees_after_the_echoed_parameters_are_not_read() {
    let text = small("", "").replace("Tree=0", "\nparameters:\nTree=0");
    assert!(Trees::parse(&text).unwrap_err().to_string().contains("cut short"), "they are outside the digest");
}

#[test]
fn sizes_must_fit_as_lightgbm_finds_trees_by_them() {
    let text = fixture("binary").replacen("tree_sizes=", "tree_sizes=1", 1);
    assert!(Trees::parse(&text).unwrap_err().to_string().contains("`tree_sizes`: tree 0 has"));
}

/// A chain of 20,000 splits over as many features: no recursion, no quadratic memory, and a clear refusal to explain.
#[test]
fn deep_chains_neither_overflow_nor_flood() {
    let splits = 20_000;
    let join = |values: Vec<String>| values.join(" ");
    let number = |value: i64| value.to_string();
    let lists = [
        ("split_feature", join((0..splits).map(number).collect())),
        ("threshold", join((0..splits).map(|_| number(0)).collect())),
        ("decision_type", join((0..splits).map(|_| number(2)).collect())),
        ("left_child", join((1..splits).map(number).chain([number(-splits - 1)]).collect())),
        ("right_child", join((1..=splits).map(|leaf| number(-leaf)).collect())),
        ("leaf_value", join((0..=splits).map(|_| number(1)).collect())),
        ("leaf_count", join((0..=splits).map(|_| number(1)).collect())),
        ("internal_count", join((0..splits).map(|split| number(splits + 1 - split)).collect())),
        ("feature_names", join((0..splits).map(number).collect())),
    ];
    let header = format!("tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx={}\n", splits - 1);
    let line = |index: usize| format!("{}={}\n", lists[index].0, lists[index].1);
    let tree: String = (0..8).map(line).collect();
    let text = format!("{header}{}\nTree=0\nnum_leaves={}\nnum_cat=0\n{tree}\nend of trees\n", line(8), splits + 1);
    let trees = Trees::parse(&text).unwrap();
    let mut raw = [0.0];
    Interleaved::new(&trees).raw(&vec![-1.0; splits as usize], &mut raw);
    assert_eq!(raw, [1.0]);
    let error = Explainer::new(&trees).unwrap_err();
    assert!(error.to_string().contains("20000 different features"), "{error}");
}
