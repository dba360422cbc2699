use super::reader::{Fields, Reader};
use super::scalar::{choice, columns, json, jsons, name, number, sql, text, whole, window};
use crate::spec::{Action, Check, LAST_DELIVERIES, Rule};
use crate::yaml::Node;

/// A check's name as files write it, before its own keys are read.
#[derive(Debug, Clone, Copy)]
enum CheckName {
    NotNull,
    Unique,
    Allowed,
    Range,
    Pattern,
    RowCount,
    Length,
    Relation,
    Freshness,
    Volume,
    Expression,
}

const CHECKS: [(&str, CheckName); 11] = [
    ("not_null", CheckName::NotNull),
    ("unique", CheckName::Unique),
    ("allowed", CheckName::Allowed),
    ("range", CheckName::Range),
    ("pattern", CheckName::Pattern),
    ("row_count", CheckName::RowCount),
    ("length", CheckName::Length),
    ("relation", CheckName::Relation),
    ("freshness", CheckName::Freshness),
    ("volume", CheckName::Volume),
    ("expression", CheckName::Expression),
];

const ACTIONS: [(&str, Action); 4] =
    [("quarantine", Action::Quarantine), ("set_null", Action::SetNull), ("warn", Action::Warn), ("fail", Action::Fail)];

pub(crate) fn rule(reader: &mut Reader<'_>, node: &Node) -> Option<Rule> {
    let mut fields = Fields::open(reader, node, "a check")?;
    // Without its name, nothing can be said about its other keys.
    let check = fields.required(reader, "check", |reader, node| choice(reader, node, &CHECKS))?;
    let mut fields = Fields::open(reader, node, words(check))?;
    fields.allow("check");
    let check = keys_of(reader, &mut fields, node, check);
    let action = fields.optional(reader, "action", |reader, node| choice(reader, node, &ACTIONS));
    let fail_above = fields.optional(reader, "fail_above", number);
    let description = fields.optional(reader, "description", text);
    fields.close(reader);
    Some(Rule { check: check?, action: action.unwrap_or_default(), fail_above, description })
}

fn words(check: CheckName) -> &'static str {
    match check {
        CheckName::NotNull => "a `not_null` check",
        CheckName::Unique => "a `unique` check",
        CheckName::Allowed => "an `allowed` check",
        CheckName::Range => "a `range` check",
        CheckName::Pattern => "a `pattern` check",
        CheckName::RowCount => "a `row_count` check",
        CheckName::Length => "a `length` check",
        CheckName::Relation => "a `relation` check",
        CheckName::Freshness => "a `freshness` check",
        CheckName::Volume => "a `volume` check",
        CheckName::Expression => "an `expression` check",
    }
}

fn keys_of(reader: &mut Reader<'_>, fields: &mut Fields<'_>, node: &Node, check: CheckName) -> Option<Check> {
    Some(match check {
        CheckName::NotNull => Check::NotNull { column: fields.required(reader, "column", text)? },
        CheckName::Unique => Check::Unique { columns: unique_columns(reader, fields, node)? },
        CheckName::Allowed => {
            let column = fields.required(reader, "column", text);
            let values = fields.required(reader, "values", jsons);
            Check::Allowed { column: column?, values: values? }
        }
        CheckName::Range => {
            let column = fields.required(reader, "column", text);
            let min = fields.optional(reader, "min", json);
            let max = fields.optional(reader, "max", json);
            Check::Range { column: column?, min, max }
        }
        CheckName::Pattern => {
            let column = fields.required(reader, "column", text);
            let pattern = fields.required(reader, "pattern", text);
            Check::Pattern { column: column?, pattern: pattern? }
        }
        CheckName::RowCount => {
            let min = fields.optional(reader, "min", whole);
            let max = fields.optional(reader, "max", whole);
            Check::RowCount { min, max }
        }
        CheckName::Relation => {
            let column = fields.required(reader, "column", text);
            let source = fields.required(reader, "source", name);
            let references = fields.optional(reader, "references", text);
            let tolerance = fields.optional(reader, "tolerance", number);
            Check::Relation { column: column?, source: source?, references, tolerance }
        }
        CheckName::Length => {
            let column = fields.required(reader, "column", text);
            let min = fields.optional(reader, "min", whole);
            let max = fields.optional(reader, "max", whole);
            Check::Length { column: column?, min, max }
        }
        CheckName::Freshness => {
            let column = fields.required(reader, "column", text);
            let within = fields.required(reader, "within", window);
            Check::Freshness { column: column?, within: within? }
        }
        CheckName::Volume => {
            let last = fields.optional(reader, "last", whole).unwrap_or(LAST_DELIVERIES);
            let tolerance = fields.required(reader, "tolerance", number);
            Check::Volume { last, tolerance: tolerance? }
        }
        CheckName::Expression => Check::Expression { sql: fields.required(reader, "sql", sql)? },
    })
}

/// `columns: [a, b]`, or `column: a` for one.
fn unique_columns(reader: &mut Reader<'_>, fields: &mut Fields<'_>, node: &Node) -> Option<Vec<String>> {
    if node.entry("column").is_none() {
        return fields.required(reader, "columns", columns);
    }
    let column = fields.required(reader, "column", text);
    if let Some(entry) = node.entry("columns") {
        reader.problem(entry.key_span, "a `unique` check has `column` or `columns`, not both");
        fields.allow("columns");
    }
    column.map(|column| vec![column])
}
