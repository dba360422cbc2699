use super::feature_check::feature_check;
use super::reader::{Fields, Reader};
use super::scalar::{number, sql, text, whole, window};
use crate::spec::raw_feature::{KINDS, Q_ALONE, Q_MISSING, Q_RANGE, list_problem};
use crate::spec::{Aggregate, Feature, FeatureKind, Fraction, Rows};
use crate::suggest::ticked;
use crate::yaml::{Node, Scalar, Shape};

const AGGREGATES: [(&str, Aggregate); 14] = [
    ("count", Aggregate::Count),
    ("sum", Aggregate::Sum),
    ("mean", Aggregate::Mean),
    ("stddev", Aggregate::Stddev),
    ("variance", Aggregate::Variance),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("median", Aggregate::Quantile(Fraction::HALF)),
    ("first", Aggregate::First),
    ("distinct", Aggregate::Distinct),
    ("approx_distinct", Aggregate::ApproxDistinct),
    ("share", Aggregate::Share),
    ("time_since", Aggregate::TimeSince),
    ("list", Aggregate::List),
];

/// `last` names a column (an aggregate) or counts events (a limit).
enum Last {
    Limit(u32),
    Of(String),
}

pub(crate) fn feature(reader: &mut Reader<'_>, node: &Node) -> Option<Feature> {
    let mistakes_before = reader.problems.len();
    if let Shape::Scalar(Scalar::Text(_)) = &node.shape {
        return reader.wrong_with_help(
            node,
            "a feature (a mapping)",
            "write `{expression: …}`, or an aggregate such as `{mean: column}`",
        );
    }
    let mut fields = Fields::open(reader, node, "a feature")?;
    let mut kinds: Vec<(&str, FeatureKind)> = Vec::new();
    for (key, aggregate) in AGGREGATES {
        let of = fields.optional(reader, key, sql);
        kinds.extend(of.map(|of| (key, aggregated(aggregate, of))));
    }
    let quantile_of = fields.optional(reader, "quantile", sql);
    let q = fields.optional(reader, "q", fraction);
    match (quantile_of, q, node.entry("q")) {
        (Some(of), Some(q), _) => kinds.push(("quantile", aggregated(Aggregate::Quantile(q), of))),
        (Some(_), None, None) => {
            let span = node.entry("quantile").map_or(node.span, |entry| entry.key_span);
            reader.problem(span, Q_MISSING);
        }
        (None, _, Some(entry)) if node.entry("quantile").is_none() => reader.problem(entry.key_span, Q_ALONE),
        _ => {}
    }
    let mut limit = None;
    match fields.optional(reader, "last", last) {
        Some(Last::Limit(events)) => limit = Some(events),
        Some(Last::Of(of)) => kinds.push(("last", aggregated(Aggregate::Last, of))),
        None => {}
    }
    let expression = fields.optional(reader, "expression", sql);
    kinds.extend(expression.map(|sql| ("expression", FeatureKind::Expression { sql })));
    let filter = fields.optional(reader, "where", sql);
    let window = fields.optional(reader, "window", window);
    // Where it says something, it was made several features.
    fields.allow("windows");
    let words = fields.optional(reader, "words", text);
    let description = fields.optional(reader, "description", text);
    let checks = fields.optional(reader, "checks", |reader, node| reader.list(node, "a list of checks", feature_check));
    fields.close(reader);

    let rows = Rows { filter, window, last: limit };
    let kind = one_kind(reader, node, kinds, mistakes_before)?;
    if matches!(kind, FeatureKind::Expression { .. }) && rows != Rows::default() {
        let narrowing = ["where", "window", "last"].iter().find_map(|key| node.entry(key));
        let span = narrowing.map_or(node.span, |entry| entry.key_span);
        reader.problem(span, "`where`, `window` and `last` narrow an aggregate's events; an expression has none");
        return None;
    }
    let feature = Feature { kind, rows, words, description, checks: checks.unwrap_or_default() };
    match list_problem(feature.rows.last).filter(|_| feature.is_list()) {
        None => Some(feature),
        // Why there is no limit has been said, where one is written.
        Some(problem) => {
            let limit = node.entry("last");
            if limit.is_none() || feature.rows.last.is_some() {
                let span = limit.map(|entry| entry.value.span).or(node.entry("list").map(|entry| entry.key_span));
                reader.problem(span.unwrap_or(node.span), problem);
            }
            None
        }
    }
}

fn aggregated(aggregate: Aggregate, of: String) -> FeatureKind {
    let takes_rows = matches!(aggregate, Aggregate::Count | Aggregate::TimeSince);
    FeatureKind::Aggregate { aggregate, of: (!(takes_rows && of == "rows")).then_some(of) }
}

fn one_kind(
    reader: &mut Reader<'_>,
    node: &Node,
    mut kinds: Vec<(&str, FeatureKind)>,
    mistakes_before: usize,
) -> Option<FeatureKind> {
    match (kinds.pop(), kinds.as_slice()) {
        (Some((_, kind)), []) => Some(kind),
        (Some((last, _)), [..]) => {
            let mut names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
            names.push(last);
            let message = format!("a feature has exactly one of {KINDS}: this one has {}", ticked(&names));
            let span = node.entry(last).map_or(node.span, |entry| entry.key_span);
            reader.problem(span, message);
            None
        }
        // What should have named it may be among the mistakes just reported.
        (None, _) if reader.problems.len() > mistakes_before => None,
        (None, _) => {
            reader.problem(node.span, format!("a feature needs one of {KINDS}"));
            None
        }
    }
}

fn fraction(reader: &mut Reader<'_>, node: &Node) -> Option<Fraction> {
    Fraction::new(number(reader, node)?).or_else(|| reader.wrong(node, Q_RANGE))
}

fn last(reader: &mut Reader<'_>, node: &Node) -> Option<Last> {
    match &node.shape {
        Shape::Scalar(Scalar::Int(0)) => {
            reader.problem(node.span, "`last: 0` keeps no events: write 1 or more");
            None
        }
        Shape::Scalar(Scalar::Int(_)) => whole(reader, node).map(Last::Limit),
        Shape::Scalar(Scalar::Text(_)) => sql(reader, node).map(Last::Of),
        _ => reader.wrong(node, "a column, or how many events"),
    }
}
