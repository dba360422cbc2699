use std::collections::HashSet;
use std::fmt::Display;

use crate::files::{Files, Span};
use crate::problem::Problem;
use crate::suggest::{nearest, shorten, ticked};
use crate::yaml::{Entry, Node, Shape};

/// Problems reported of one resource. Nobody reads more, and hostile files have them by the hundred thousand.
const MOST: usize = 1000;

/// Collects what is wrong while nodes are decoded. A decoder that finds a mistake reports it and goes on, so that one
/// look at the problems shows them all.
pub(crate) struct Reader<'a> {
    pub(crate) files: &'a Files,
    pub(crate) problems: &'a mut Vec<Problem>,
    /// How many there may be at most.
    most: usize,
    /// List items that could not be decoded, by where they start.
    pub(crate) failed_items: HashSet<Span>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(files: &'a Files, problems: &'a mut Vec<Problem>) -> Reader<'a> {
        let most = problems.len() + MOST;
        Reader { files, problems, most, failed_items: HashSet::new() }
    }

    pub(crate) fn problem(&mut self, span: Span, message: impl Into<String>) {
        if self.problems.len() < self.most {
            self.problems.push(self.files.problem(span, message));
        }
    }

    pub(crate) fn problem_with_help(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        if self.problems.len() < self.most {
            self.problems.push(self.files.problem(span, message).with_help(help));
        }
    }

    /// Says what was expected and what stands there; `None`, for the decoder to return.
    pub(crate) fn wrong<T>(&mut self, node: &Node, expected: impl Display) -> Option<T> {
        self.problem(node.span, format!("expected {expected}, found {}", node.describe()));
        None
    }

    pub(crate) fn wrong_with_help<T>(&mut self, node: &Node, expected: &str, help: impl Into<String>) -> Option<T> {
        self.problem_with_help(node.span, format!("expected {expected}, found {}", node.describe()), help);
        None
    }

    /// Every item decoded, or `None`-s left out and remembered.
    pub(crate) fn list<T>(
        &mut self,
        node: &Node,
        expected: &str,
        mut item: impl FnMut(&mut Reader<'a>, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Shape::List(items) = &node.shape else {
            return self.wrong_with_help(node, expected, "write it as a list: `[a, b]`, or lines that begin with `- `");
        };
        let mut decoded = Vec::with_capacity(items.len());
        for node in items {
            match item(self, node) {
                Some(value) => decoded.push(value),
                None => {
                    self.failed_items.insert(node.span);
                }
            }
        }
        Some(decoded)
    }

    pub(crate) fn entries<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n [Entry]> {
        match &node.shape {
            Shape::Map(entries) => Some(entries),
            Shape::Scalar(_) | Shape::List(_) => self.wrong(node, expected),
        }
    }
}

/// A mapping with known keys, taken one by one; [`Fields::close`] reports those that nobody took.
pub(crate) struct Fields<'n> {
    node: &'n Node,
    /// `a source`, for messages.
    what: &'static str,
    known: Vec<&'static str>,
    /// Required keys that are not there. They are reported at the end: one may be there, misspelt.
    missing: Vec<&'static str>,
    /// Keys of which one is there, the first of them missing where neither is.
    pairs: Vec<[&'static str; 2]>,
}

impl<'n> Fields<'n> {
    pub(crate) fn open(reader: &mut Reader<'_>, node: &'n Node, what: &'static str) -> Option<Fields<'n>> {
        reader.entries(node, &format!("{what} (`key: value` lines)"))?;
        Some(Fields { node, what, known: Vec::new(), missing: Vec::new(), pairs: Vec::new() })
    }

    /// `None` where the key is absent, empty or wrong.
    pub(crate) fn optional<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        decode: impl FnOnce(&mut Reader<'_>, &Node) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let value = &self.node.entry(key)?.value;
        if value.is_null() { None } else { decode(reader, value) }
    }

    /// Reports the key's absence.
    pub(crate) fn required<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        decode: impl FnOnce(&mut Reader<'_>, &Node) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let what = self.what;
        match self.node.entry(key) {
            Some(entry) if entry.value.is_null() => {
                reader.problem(entry.key_span, format!("`{key}` is empty: {what} needs it"));
                None
            }
            Some(entry) => decode(reader, &entry.value),
            None => {
                self.missing.push(key);
                None
            }
        }
    }

    /// One thing under the first key, or several under the second: one of the two is there. Where neither is, the first is
    /// missing.
    pub(crate) fn one_or_many<T>(
        &mut self,
        reader: &mut Reader<'_>,
        keys: [&'static str; 2],
        one: impl FnOnce(&mut Reader<'_>, &Node) -> Option<T>,
        many: impl FnOnce(&mut Reader<'_>, &Node) -> Option<T>,
    ) -> Option<T> {
        let [first, second] = keys;
        self.pairs.push(keys);
        if !self.has(second) {
            let one = self.required(reader, first, one);
            self.known.push(second);
            return one;
        }
        self.known.push(first);
        if self.has(first) {
            self.not_both(reader, keys);
        }
        self.required(reader, second, many)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.entry(key).is_some()
    }

    pub(crate) fn not_both(&self, reader: &mut Reader<'_>, [first, second]: [&'static str; 2]) {
        if let Some(entry) = self.node.entry(second) {
            reader.problem(entry.key_span, format!("{} has `{first}` or `{second}`, not both", self.what));
        }
    }

    /// Says that `key` has a meaning here, which somebody else reads.
    pub(crate) fn allow(&mut self, key: &'static str) {
        self.known.push(key);
    }

    pub(crate) fn close(self, reader: &mut Reader<'_>) {
        let Shape::Map(entries) = &self.node.shape else { return };
        let absent: Vec<&'static str> =
            self.known.iter().copied().filter(|key| self.node.entry(key).is_none()).collect();
        let mut meant = Vec::new();
        let unknown = entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str()));
        for entry in unknown.take(MOST) {
            let near = key_meant(&entry.key, &absent);
            let help = match near {
                // `{expression: nullif(a, 0)}`, `{description: first, second part}`: the rest of a text became a key.
                _ if entry.value.is_null() && entry.key.contains([')', ' ']) => {
                    "put the whole text in quotes: within `{ }` a comma ends the value".to_owned()
                }
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{} has the keys {}", self.what, ticked(&self.known)),
            };
            meant.extend(near);
            reader.problem_with_help(entry.key_span, format!("unknown key `{}`", shorten(&entry.key)), help);
        }
        let is_meant = |key: &&&str| {
            let other = self.pairs.iter().find(|[first, _]| first == *key).map(|[_, second]| *second);
            meant.contains(*key) || other.is_some_and(|other| meant.contains(&other))
        };
        for key in self.missing.iter().filter(|key| !is_meant(key)) {
            reader.problem(self.node.span, format!("missing key `{key}`: {} needs it", self.what));
        }
    }
}

/// The known key, not yet written, that an unknown one most likely is: of several as likely the first.
fn key_meant(unknown: &str, absent: &[&'static str]) -> Option<&'static str> {
    meant_by(unknown).filter(|meant| absent.contains(meant)).or_else(|| nearest(unknown, absent.iter().rev().copied()))
}

/// Our word for a key as other tools call it.
fn meant_by(key: &str) -> Option<&'static str> {
    Some(match key {
        "avg" | "average" => "mean",
        "std" | "stdev" | "stddev_samp" | "standard_deviation" => "stddev",
        "var" | "var_samp" => "variance",
        "percentile" | "percentile_cont" => "quantile",
        "count_distinct" | "nunique" | "n_unique" => "distinct",
        "approx_count_distinct" | "approx_distinct_count" | "hll" => "approx_distinct",
        "rate" | "fraction" => "share",
        "collect" | "collect_list" | "array" | "array_agg" | "last_k" | "last_n" => "list",
        "filter" => "where",
        "expr" | "formula" => "expression",
        "query" => "sql",
        "file" | "files" | "uri" | "location" => "path",
        "primary_key" | "primary_keys" | "key" | "ids" => "keys",
        "join_key" | "join_keys" | "keys" | "id" => "key",
        "timestamp" | "timestamp_field" | "event_timestamp" | "time" => "event_time",
        "checks" | "expectations" | "tests" => "contract",
        "timezone" | "tz" => "time_zone",
        "target" => "label",
        "dtype" => "type",
        "schema" => "columns",
        "n_estimators" | "num_iterations" | "num_rounds" | "num_boost_round" => "rounds",
        "early_stopping_rounds" => "early_stopping",
        "min_child_samples" => "min_data_in_leaf",
        "subsample" => "bagging_fraction",
        "colsample_bytree" => "feature_fraction",
        "reg_alpha" => "lambda_l1",
        "reg_lambda" => "lambda_l2",
        "min_split_gain" => "min_gain_to_split",
        _ => return None,
    })
}
