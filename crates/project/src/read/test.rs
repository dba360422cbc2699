use indexmap::IndexMap;
use karat_core::{Instant, Name};
use serde_json::Value as Json;

use super::reader::{Fields, Reader};
use super::scalar::{boolean, choice, json, name, number, sql, text, whole};
use crate::spec::{
    Bounds, Delivered, ExpectContract, ExpectDecision, ExpectFeatures, ExpectQuery, ExpectTrain, Expectation, Expected,
    GatesOutcome, Given, GivenRow, Quarantined, QuarantinedRow, Test,
};
use crate::yaml::{Node, Shape};

pub(crate) fn test(reader: &mut Reader<'_>, node: &Node) -> Option<Test> {
    let mut fields = Fields::open(reader, node, "a test")?;
    fields.allow("kind");
    let name = fields.required(reader, "name", text);
    let description = fields.optional(reader, "description", text);
    let given = fields.optional(reader, "given", givens).unwrap_or_default();
    let expect =
        fields.required(reader, "expect", |reader, node| reader.list(node, "a list of expectations", expectation));
    fields.close(reader);
    Some(Test { name: name?, description, given, expect: expect? })
}

fn givens(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<Name, Given>> {
    let mut givens = IndexMap::new();
    for entry in reader.entries(node, "sources with their rows (`source: [rows]` lines)")? {
        let Ok(name) = Name::new(&entry.key) else {
            super::scalar::bad_name::<()>(reader, entry.key_span, &entry.key);
            continue;
        };
        let given = match &entry.value.shape {
            Shape::Map(_) => delivered(reader, &entry.value).map(Given::Delivered),
            _ => reader
                .list(&entry.value, "a list of rows, or `{where: …}` for rows of the source's own files", row)
                .map(Given::Rows),
        };
        givens.extend(given.map(|given| (name, given)));
    }
    Some(givens)
}

fn delivered(reader: &mut Reader<'_>, node: &Node) -> Option<Delivered> {
    let mut fields = Fields::open(reader, node, "given rows of a source's own files")?;
    let filter = fields.optional(reader, "where", sql);
    fields.close(reader);
    Some(Delivered { filter })
}

fn row(reader: &mut Reader<'_>, node: &Node) -> Option<GivenRow> {
    map_of(reader, node, "a row (`{column: value, …}`)", value).map(GivenRow)
}

fn map_of<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    expected: &str,
    mut decode: impl FnMut(&mut Reader<'_>, &Node) -> Option<T>,
) -> Option<IndexMap<String, T>> {
    let mut map = IndexMap::new();
    for entry in reader.entries(node, expected)? {
        map.extend(decode(reader, &entry.value).map(|value| (entry.key.clone(), value)));
    }
    Some(map)
}

/// A cell; null is one too.
fn value(reader: &mut Reader<'_>, node: &Node) -> Option<Json> {
    if node.is_null() { Some(Json::Null) } else { json(reader, node) }
}

fn expected(reader: &mut Reader<'_>, node: &Node) -> Option<Expected> {
    match &node.shape {
        Shape::Map(_) => bounds(reader, node).map(Expected::Bounds),
        // Of a list feature.
        Shape::List(_) => reader.list(node, "a list of values", value).map(|values| Expected::Value(values.into())),
        _ => value(reader, node).map(Expected::Value),
    }
}

fn bounds(reader: &mut Reader<'_>, node: &Node) -> Option<Bounds> {
    let mut fields = Fields::open(reader, node, "bounds")?;
    let at_least = fields.optional(reader, "at_least", number);
    let at_most = fields.optional(reader, "at_most", number);
    fields.close(reader);
    if at_least.is_none() && at_most.is_none() {
        return reader.wrong_with_help(node, "bounds", "write `{at_least: 0.9}`, `{at_most: 1}` or both");
    }
    Some(Bounds { at_least, at_most })
}

fn instant(reader: &mut Reader<'_>, node: &Node) -> Option<Instant> {
    match Instant::parse_with_offset(&text(reader, node)?) {
        Ok(instant) => Some(instant),
        Err(error) => {
            reader.problem(node.span, error.to_string());
            None
        }
    }
}

const KINDS: [&str; 5] = ["features", "contract", "query", "train", "decision"];

fn expectation(reader: &mut Reader<'_>, node: &Node) -> Option<Expectation> {
    let is_there = |key: &&&str| node.entry(key).is_some();
    match KINDS.iter().filter(is_there).count() {
        1 => {}
        0 => {
            let help =
                "an expectation is about `features`, a `contract`, a `query`, a training (`train`) or a `decision`";
            return reader.wrong_with_help(node, "an expectation", help);
        }
        _ => return reader.wrong_with_help(node, "one expectation", "write a list item for each"),
    }
    match KINDS.iter().find(is_there).copied() {
        Some("features") => features(reader, node).map(Expectation::Features),
        Some("contract") => contract(reader, node).map(Expectation::Contract),
        Some("query") => query(reader, node).map(Expectation::Query),
        Some("train") => train(reader, node).map(Expectation::Train),
        _ => decision(reader, node).map(Expectation::Decision),
    }
}

fn features(reader: &mut Reader<'_>, node: &Node) -> Option<ExpectFeatures> {
    let mut fields = Fields::open(reader, node, "an expectation of features")?;
    let features = fields.required(reader, "features", name);
    let key = fields.required(reader, "key", json);
    let as_of = fields.optional(reader, "as_of", instant);
    let known_at = fields.optional(reader, "known_at", instant);
    let no_history = fields.optional(reader, "no_history", boolean);
    let values = fields.optional(reader, "values", |reader, node| {
        map_of(reader, node, "features with their values (`name: value` lines)", expected)
    });
    fields.close(reader);
    let values = values.unwrap_or_default();
    if values.is_empty() && no_history.is_none() {
        reader.problem(node.span, "nothing is expected: write `values:` with features and what they must be");
    }
    Some(ExpectFeatures { features: features?, key: key?, as_of, known_at, no_history, values })
}

fn contract(reader: &mut Reader<'_>, node: &Node) -> Option<ExpectContract> {
    let mut fields = Fields::open(reader, node, "an expectation of a contract")?;
    let contract = fields.required(reader, "contract", name);
    let accepted = fields.optional(reader, "accepted", whole::<u64>);
    let quarantined = fields.optional(reader, "quarantined", |reader, node| match &node.shape {
        Shape::List(_) => reader.list(node, "a list of rows", quarantined_row).map(Quarantined::Rows),
        _ => whole(reader, node).map(Quarantined::Count),
    });
    let refused = fields.optional(reader, "refused", text);
    fields.close(reader);
    if !["accepted", "quarantined", "refused"].iter().any(|key| node.entry(key).is_some()) {
        reader.problem(node.span, "nothing is expected: write `accepted:`, `quarantined:` or `refused:`");
    }
    Some(ExpectContract { contract: contract?, accepted, quarantined, refused })
}

fn quarantined_row(reader: &mut Reader<'_>, node: &Node) -> Option<QuarantinedRow> {
    let mut fields = Fields::open(reader, node, "a quarantined row")?;
    let row = fields.required(reader, "row", whole);
    let check = fields.optional(reader, "check", text);
    let column = fields.optional(reader, "column", text);
    let reason = fields.optional(reader, "reason", text);
    fields.close(reader);
    Some(QuarantinedRow { row: row?, check, column, reason })
}

fn query(reader: &mut Reader<'_>, node: &Node) -> Option<ExpectQuery> {
    let mut fields = Fields::open(reader, node, "an expectation of an answer")?;
    let query = fields.required(reader, "query", sql);
    let rows = fields.required(reader, "rows", |reader, node| {
        reader
            .list(node, "a list of rows", |reader, node| map_of(reader, node, "a row (`{column: value, …}`)", expected))
    });
    fields.close(reader);
    Some(ExpectQuery { query: query?, rows: rows? })
}

fn train(reader: &mut Reader<'_>, node: &Node) -> Option<ExpectTrain> {
    let mut fields = Fields::open(reader, node, "an expectation of a training")?;
    let train = fields.required(reader, "train", name);
    let measures = fields.optional(reader, "measures", |reader, node| {
        map_of(reader, node, "measures (`auc: {at_least: 0.9}`)", expected)
    });
    let words = [("passed", GatesOutcome::Passed), ("failed", GatesOutcome::Failed)];
    let gates = fields.optional(reader, "gates", |reader, node| choice(reader, node, &words));
    fields.close(reader);
    Some(ExpectTrain { train: train?, measures: measures.unwrap_or_default(), gates })
}

fn decision(reader: &mut Reader<'_>, node: &Node) -> Option<ExpectDecision> {
    let mut fields = Fields::open(reader, node, "an expectation of a decision")?;
    let decision = fields.required(reader, "decision", name);
    let key = fields.optional(reader, "key", json);
    let as_of = fields.optional(reader, "as_of", instant);
    let sent =
        fields.optional(reader, "fields", |reader, node| map_of(reader, node, "fields with their values", value));
    let row = fields.optional(reader, "row", row);
    let score = fields.optional(reader, "score", expected);
    let label = fields.optional(reader, "label", text);
    fields.close(reader);
    if key.is_some() == row.is_some() {
        reader.problem(node.span, "a decision is about a `key`, whose features are read, or a `row` of every input");
    }
    if !["score", "label"].iter().any(|key| node.entry(key).is_some()) {
        reader.problem(node.span, "nothing is expected: write `label:` or `score:`");
    }
    Some(ExpectDecision { decision: decision?, key, as_of, fields: sent.unwrap_or_default(), row, score, label })
}
