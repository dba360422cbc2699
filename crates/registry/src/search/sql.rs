//! From comparisons and orders to SQL. Names of tables and columns are ours; everything a client wrote is bound.

use karat_metadata::{QueryBuilder, Row};
use serde_json::Value as Json;

use super::subject::{AttributeKind, Subject};
use super::{Comparator, Comparison, Entity, OrderBy, Value};
use crate::RegistryError;

/// Narrows a query over the subject's table, alias `r`, that has its WHERE already.
pub(crate) fn push_filter(
    query: &mut QueryBuilder,
    subject: &'static Subject,
    comparisons: &[Comparison],
    which: Which,
) {
    for comparison in comparisons {
        query.push(" AND ");
        match comparison.entity {
            Entity::Attribute => push_attribute(query, subject, comparison),
            Entity::Dataset => push_dataset(query, comparison),
            _ => push_detail(query, subject, comparison, which),
        }
    }
}

fn push_attribute(query: &mut QueryBuilder, subject: &'static Subject, comparison: &Comparison) {
    let attribute = subject.attribute(&comparison.key).expect("the parser knows attributes");
    query.push(attribute.column);
    match (&comparison.value, attribute.kind) {
        (Value::Text(id), AttributeKind::NumberedId) => {
            query.push(format_args!(" {} ", comparison.comparator.as_str()));
            query.push_bind(id.parse::<i64>().unwrap_or(i64::MIN));
        }
        (Value::List(ids), AttributeKind::NumberedId) => {
            query.push(format_args!(" {} (", comparison.comparator.as_str()));
            let mut items = query.separated(", ");
            for id in ids {
                items.push_bind(id.parse::<i64>().unwrap_or(i64::MIN));
            }
            query.push(")");
        }
        _ => push_compared(query, comparison),
    }
}

fn push_detail(query: &mut QueryBuilder, subject: &'static Subject, comparison: &Comparison, which: Which) {
    let detail = subject.detail(comparison.entity).expect("the parser knows what has details");
    let (table, id, owner) = (detail.table, listed("r", subject.id), listed("d", detail.owner));
    let same = match which {
        Which::All => same("d", detail.owner, subject.id),
        // The values' own columns: what fails is passed over before its row is looked up.
        Which::WithFirstValue => same_columns(("d", detail.owner), ("o0", detail.owner)),
    };
    let begins_here = comparison.comparator == Comparator::Equal && which == Which::All;
    match comparison.comparator {
        // What may be rare begins at its own index; everything else looks at each candidate.
        _ if begins_here => query.push(format_args!("({id}) IN (SELECT {owner} FROM {table} d WHERE d.key = ")),
        Comparator::IsNull => query.push(format_args!("NOT EXISTS (SELECT 1 FROM {table} d WHERE {same} AND d.key = ")),
        _ => query.push(format_args!("EXISTS (SELECT 1 FROM {table} d WHERE {same} AND d.key = ")),
    };
    query.push_bind(comparison.key.clone());
    match comparison.comparator {
        Comparator::IsNull | Comparator::IsNotNull => {}
        // NaN, kept as 0, is unequal to everything and nothing else.
        Comparator::NotEqual if comparison.entity == Entity::Metric => {
            query.push(" AND (d.is_nan OR d.value");
            push_compared(query, comparison);
            query.push(")");
        }
        _ => push_value(query, "d", comparison),
    }
    query.push(")");
}

/// ` AND d.value > …`, of a number one that is none left out.
fn push_value(query: &mut QueryBuilder, alias: &str, comparison: &Comparison) {
    if comparison.entity == Entity::Metric {
        query.push(format_args!(" AND {alias}.is_nan = FALSE"));
    }
    query.push(format_args!(" AND {alias}.value"));
    push_compared(query, comparison);
}

/// What of a scope is counted: the rows that have a number of this metric, or those that meet a comparison.
pub(crate) enum Counted<'c> {
    Numbers(&'c str),
    Meeting(&'c Comparison),
}

impl Counted<'_> {
    pub(crate) fn push(&self, query: &mut QueryBuilder, subject: &'static Subject) {
        let (entity, key) = match self {
            Counted::Numbers(metric) => (Entity::Metric, *metric),
            Counted::Meeting(comparison) => (comparison.entity, comparison.key.as_str()),
        };
        let table = subject.detail(entity).expect("the parser knows what has details").table;
        query.push(format_args!("SELECT 1 FROM {table} d WHERE d.key = ")).push_bind(key);
        match self {
            Counted::Numbers(_) => drop(query.push(" AND d.is_nan = FALSE")),
            Counted::Meeting(comparison) => push_value(query, "d", comparison),
        }
    }
}

/// `r.model, r.version`
fn listed(alias: &str, columns: &[&str]) -> String {
    columns.iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ")
}

/// `d.model = r.model AND d.version = r.version`
fn same(alias: &str, owner: &[&str], id: &[&str]) -> String {
    same_columns((alias, owner), ("r", id))
}

fn same_columns((alias, columns): (&str, &[&str]), (other, others): (&str, &[&str])) -> String {
    let each = columns.iter().zip(others).map(|(column, its)| format!("{alias}.{column} = {other}.{its}"));
    each.collect::<Vec<_>>().join(" AND ")
}

fn push_dataset(query: &mut QueryBuilder, comparison: &Comparison) {
    query.push("r.run_id IN (SELECT i.run_id FROM datasets d JOIN run_inputs i ON i.dataset_id = d.id WHERE ");
    query.push(match comparison.key.as_str() {
        "name" => "d.name",
        "digest" => "d.digest",
        // An input without one has no context to compare.
        _ => "i.context != '' AND i.context",
    });
    push_compared(query, comparison);
    query.push(")");
}

fn push_compared(query: &mut QueryBuilder, comparison: &Comparison) {
    match (&comparison.value, comparison.comparator) {
        (Value::Text(pattern), Comparator::Like) => {
            query.push_like(pattern);
        }
        (Value::Text(pattern), Comparator::ILike) => {
            query.push_ilike(pattern);
        }
        (Value::List(items), comparator) => {
            query.push(format_args!(" {} (", comparator.as_str()));
            let mut list = query.separated(", ");
            for item in items {
                list.push_bind(item.clone());
            }
            query.push(")");
        }
        (value, comparator) => {
            query.push(format_args!(" {} ", comparator.as_str()));
            match value {
                Value::Int(number) => query.push_bind(*number),
                Value::Float(number) => query.push_bind(*number),
                Value::Text(text) => query.push_bind(text.clone()),
                Value::List(_) | Value::Nothing => unreachable!("the parser gives these their own comparators"),
            };
        }
    }
}

/// One thing rows are ordered by: never null, so that a page can begin after it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    expression: String,
    descending: bool,
    kind: KeyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Int,
    Float,
    Text,
}

impl Key {
    fn int(expression: impl Into<String>, descending: bool) -> Key {
        Key { expression: expression.into(), descending, kind: KeyKind::Int }
    }

    pub(crate) fn takes(&self, value: &Json) -> bool {
        match self.kind {
            KeyKind::Int => value.is_i64(),
            KeyKind::Float => value.is_number(),
            KeyKind::Text => value.is_string(),
        }
    }

    /// The value of the row's column `kN`.
    pub(crate) fn of(&self, row: &Row, number: usize) -> Result<Json, RegistryError> {
        let column = format!("k{number}");
        let column = column.as_str();
        Ok(match self.kind {
            KeyKind::Int => row.get::<i64>(column)?.into(),
            KeyKind::Float => row.get::<f64>(column)?.into(),
            KeyKind::Text => row.get::<String>(column)?.into(),
        })
    }

    fn push_bound(&self, query: &mut QueryBuilder, value: &Json) {
        match self.kind {
            KeyKind::Int => query.push_bind(value.as_i64().unwrap_or_default()),
            KeyKind::Float => query.push_bind(value.as_f64().unwrap_or_default()),
            KeyKind::Text => query.push_bind(value.as_str().unwrap_or_default().to_owned()),
        };
    }
}

/// The keys of an order, which begin the query: `SELECT {columns}, … AS k0, …`, its FROM, and the tables that hold them.
/// Values first, then NaN, then what has none, in either direction.
pub(crate) fn push_keys(
    query: &mut QueryBuilder,
    subject: &'static Subject,
    (columns, from): (&str, &'static str),
    order: &[OrderBy],
    last: &[(&'static str, bool)],
    which: Which,
) -> Vec<Key> {
    let mut keys = Vec::new();
    for (number, clause) in order.iter().enumerate() {
        let descending = clause.descending;
        match clause.entity {
            Entity::Attribute => {
                let attribute = subject.attribute(&clause.key).expect("the parser knows attributes");
                push_attribute_keys(&mut keys, attribute.column, attribute.kind, attribute.nullable, descending);
            }
            Entity::Metric if number == 0 && which == Which::WithFirstValue => {
                keys.push(Key::int(CONSTANT, false));
                keys.push(Key { expression: "o0.value".to_owned(), descending, kind: KeyKind::Float });
            }
            Entity::Metric => {
                let class = format!("CASE WHEN o{number}.is_nan THEN 1 WHEN o{number}.value IS NULL THEN 2 ELSE 0 END");
                keys.push(Key::int(class, false));
                let expression = format!("COALESCE(o{number}.value, 0.0)");
                keys.push(Key { expression, descending, kind: KeyKind::Float });
            }
            _ => {
                keys.push(Key::int(is_null(&format!("o{number}.value")), false));
                let expression = format!("COALESCE(o{number}.value, '')");
                keys.push(Key { expression, descending, kind: KeyKind::Text });
            }
        }
    }
    for (name, descending) in last {
        if !order.iter().any(|clause| clause.entity == Entity::Attribute && clause.key == *name) {
            let attribute = subject.attribute(name).expect("an attribute of the subject");
            push_attribute_keys(&mut keys, attribute.column, attribute.kind, attribute.nullable, *descending);
        }
    }
    query.push("SELECT ").push(columns);
    for (number, key) in keys.iter().enumerate() {
        query.push(format_args!(", {} AS k{number}", key.expression));
    }
    let joined = match which {
        Which::All => {
            query.push(format_args!(" FROM {from} r"));
            0
        }
        Which::WithFirstValue => {
            // Begun at the values, whose index has them in order; to SQLite CROSS says that it may not begin elsewhere.
            let values = subject.detail(Entity::Metric).expect("ordered by one").ordered;
            query.push(format_args!(" FROM {values} o0 CROSS JOIN {from} r"));
            1
        }
    };
    for (number, clause) in order.iter().enumerate().skip(joined) {
        if let Some(detail) = subject.detail(clause.entity) {
            let (table, same) = (detail.ordered, same(&format!("o{number}"), detail.owner, subject.id));
            query.push(format_args!(" LEFT JOIN {table} o{number} ON {same} AND o{number}.key = "));
            query.push_bind(clause.key.clone());
        }
    }
    keys
}

/// Which rows a query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those that have a number of the metric that they are ordered by first: they come first.
    WithFirstValue,
}

/// A key that is the same of all rows.
const CONSTANT: &str = "0";

/// Whether a comparison says from where to where an index of this metric's values is read.
pub(crate) fn bounds(comparison: &Comparison, metric: &str) -> bool {
    use Comparator::*;
    comparison.entity == Entity::Metric
        && comparison.key == metric
        && matches!(comparison.comparator, Equal | Less | LessOrEqual | Greater | GreaterOrEqual)
}

/// What [`Which::WithFirstValue`] says, after a WHERE, and what bounds the values.
pub(crate) fn push_first_value(
    query: &mut QueryBuilder,
    subject: &'static Subject,
    metric: &str,
    bounds: &[Comparison],
) {
    let detail = subject.detail(Entity::Metric).expect("ordered by one");
    query.push(format_args!("{} AND o0.is_nan = FALSE AND o0.key = ", same("o0", detail.owner, subject.id)));
    query.push_bind(metric);
    for comparison in bounds {
        query.push(" AND o0.value");
        push_compared(query, comparison);
    }
    query.push(" AND ");
}

/// A number, which PostgreSQL does not take a truth value for.
fn is_null(expression: &str) -> String {
    format!("CASE WHEN {expression} IS NULL THEN 1 ELSE 0 END")
}

fn push_attribute_keys(keys: &mut Vec<Key>, column: &str, kind: AttributeKind, nullable: bool, descending: bool) {
    let numeric = match kind {
        AttributeKind::Time | AttributeKind::WholeTime | AttributeKind::NumberedId | AttributeKind::Number => true,
        AttributeKind::Text | AttributeKind::Id => false,
    };
    let (kind, nothing) = if numeric { (KeyKind::Int, "0") } else { (KeyKind::Text, "''") };
    let expression = match nullable {
        false => column.to_owned(),
        true => {
            keys.push(Key::int(is_null(column), false));
            format!("COALESCE({column}, {nothing})")
        }
    };
    keys.push(Key { expression, descending, kind });
}

pub(crate) fn push_order(query: &mut QueryBuilder, keys: &[Key]) {
    // In an ORDER BY a number would be a column's.
    for (number, key) in keys.iter().filter(|key| key.expression != CONSTANT).enumerate() {
        let begin = if number == 0 { " ORDER BY " } else { ", " };
        query.push(format_args!("{begin}{}{}", key.expression, if key.descending { " DESC" } else { "" }));
    }
}

/// The columns that name a row: `r.model, r.version`
pub(crate) fn names(subject: &'static Subject) -> String {
    listed("r", subject.id)
}

/// Around a query of names and keys, whole rows: what is sorted is narrow then.
pub(crate) fn push_rows(query: &mut QueryBuilder, subject: &'static Subject, from: &'static str, keys: &[Key]) {
    query.push(format_args!(") f JOIN {from} r ON {} ORDER BY ", same("f", subject.id, subject.id)));
    for (number, key) in keys.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        query.push(format_args!("{comma}f.k{number}{}", if key.descending { " DESC" } else { "" }));
    }
}

/// What comes after the row whose keys were `values`.
pub(crate) fn push_condition(query: &mut QueryBuilder, keys: &[Key], values: &[Json]) {
    let Some((first, value)) = keys.first().zip(values.first()) else { return };
    // Says nothing new, but an index can begin at it.
    let varying = keys.iter().zip(values).find(|(key, _)| key.expression != CONSTANT);
    let (first, value) = varying.unwrap_or((first, value));
    query.push(format_args!(" AND {} {} ", first.expression, if first.descending { "<=" } else { ">=" }));
    first.push_bound(query, value);
    query.push(" AND ");
    for (number, (key, value)) in keys.iter().zip(values).enumerate() {
        query.push(format_args!("({} {} ", key.expression, if key.descending { "<" } else { ">" }));
        key.push_bound(query, value);
        if number + 1 < keys.len() {
            query.push(format_args!(" OR ({} = ", key.expression));
            key.push_bound(query, value);
            query.push(" AND ");
        }
    }
    query.push(")".repeat(keys.len() * 2 - 1));
}
