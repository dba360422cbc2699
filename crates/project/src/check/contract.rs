use karat_core::{DataType, Value, ValueError};
use regex::Regex;

use super::columns::{Columns, Reading};
use super::scope::Scope;
use crate::kind::Kind;
use crate::spec::{Action, Check, Moment, Rule, Source};
use crate::yaml::Aim;

pub(super) fn check(scope: &mut Scope<'_>, source: &Source) {
    let columns = Columns::of(scope.draft, source);
    for (index, rule) in source.contract.iter().enumerate() {
        let path = format!("contract[{index}]");
        check_columns(scope, &columns, &rule.check, &path);
        check_action(scope, source, rule, &path);
        check_content(scope, &columns, source, &rule.check, &path);
    }
}

fn check_columns(scope: &mut Scope<'_>, columns: &Columns<'_>, check: &Check, path: &str) {
    match check {
        Check::Unique { columns: names } => {
            if names.is_empty() {
                scope.at(&format!("{path}.columns"), "a `unique` check needs a column");
            }
            let written_as_one = names.len() == 1 && scope.is_written(&format!("{path}.column"));
            for (index, name) in names.iter().enumerate() {
                let at = if written_as_one { format!("{path}.column") } else { format!("{path}.columns[{index}]") };
                columns.require(scope, name, Reading::Delivered, &at);
            }
        }
        other => {
            if let Some(column) = other.column() {
                columns.require(scope, column, Reading::Delivered, &format!("{path}.column"));
            }
        }
    }
}

fn check_action(scope: &mut Scope<'_>, source: &Source, rule: &Rule, path: &str) {
    let check = rule.check.name();
    let action = format!("{path}.action");
    if rule.check.is_whole() {
        if !matches!(rule.action, Action::Warn | Action::Fail) {
            let message = format!("a `{check}` check is about the whole delivery: it can only `warn` or `fail`");
            scope.at_with_help(&action, message, "write `action: fail` or `action: warn`");
        }
        if rule.fail_above.is_some() {
            scope.at_key(
                &format!("{path}.fail_above"),
                format!("`fail_above` is a share of rows, and `{check}` is about none in particular"),
            );
        }
    }
    if rule.action == Action::SetNull {
        check_set_null(scope, source, rule, &action, check);
    }
    if let Some(share) = rule.fail_above
        && !(0.0..=1.0).contains(&share)
    {
        let help = if (1.0..=100.0).contains(&share) {
            format!("{share} % is {}", share / 100.0)
        } else {
            "write 0.01 for 1 %".to_owned()
        };
        scope.at_with_help(
            &format!("{path}.fail_above"),
            format!("`fail_above` is a share of rows, from 0 to 1, not {share}"),
            help,
        );
    }
}

fn check_set_null(scope: &mut Scope<'_>, source: &Source, rule: &Rule, path: &str, check: &str) {
    if rule.check.is_whole() {
        return; // Reported already.
    }
    if matches!(rule.check, Check::NotNull { .. }) {
        scope.at(path, "`set_null` cannot mend a missing value");
        return;
    }
    let Some(column) = rule.check.column() else {
        scope.at_with_help(
            path,
            format!("`set_null` empties one cell, and this `{check}` check is not about one column"),
            "use `quarantine`, `warn` or `fail`",
        );
        return;
    };
    let roles = [
        ("event_time", &source.event_time),
        ("known_time", &source.known_time),
        ("sequence", &source.sequence),
        ("event_id", &source.event_id),
    ];
    let role = roles.into_iter().find(|(_, name)| name.as_deref() == Some(column)).map(|(role, _)| role);
    let role = role.or(source.keys.iter().any(|key| key == column).then_some("keys"));
    if let Some(role) = role {
        scope.at_with_help(
            path,
            format!("`set_null` would empty `{column}`, which the source needs as `{role}`"),
            "use `quarantine`",
        );
    }
}

fn check_content(scope: &mut Scope<'_>, columns: &Columns<'_>, source: &Source, check: &Check, path: &str) {
    let type_of = |column: &str| columns.data_type(column);
    match check {
        Check::Allowed { column, values } => {
            if values.is_empty() {
                scope.at(&format!("{path}.values"), "an `allowed` check with no values allows nothing");
            }
            for (index, value) in values.iter().enumerate() {
                let at = format!("{path}.values[{index}]");
                if let Some(data_type) = type_of(column) {
                    check_value(scope, column, data_type, value, Value::from_json(value, data_type), &at);
                }
            }
        }
        Check::Range { column, min, max } => check_range(scope, column, type_of(column), [min, max], path),
        Check::Pattern { column, pattern } => {
            if let Err(error) = Regex::new(pattern) {
                scope.at(&format!("{path}.pattern"), format!("not a regular expression: {}", brief(&error)));
            }
            if let Some(data_type) = type_of(column).filter(|data_type| *data_type != DataType::Text) {
                scope.at(
                    &format!("{path}.column"),
                    format!("a `pattern` is matched against text, and `{column}` is of type {data_type}"),
                );
            }
        }
        Check::RowCount { min, max } => match (min, max) {
            (None, None) => require_bounds(scope, "row_count", path),
            (Some(min), Some(max)) if min > max => {
                scope.at(&format!("{path}.max"), format!("`max` {max} is less than `min` {min}"));
            }
            _ => {}
        },
        Check::Relation { column, source: other, references, tolerance } => {
            check_relation(scope, source, column, other, references.as_deref(), path);
            check_tolerance(scope, *tolerance, path);
        }
        Check::Length { column, min, max } => {
            if let Some(data_type) = type_of(column).filter(|data_type| *data_type != DataType::Text) {
                let message = format!("a `length` is of text, and `{column}` is of type {data_type}");
                scope.at(&format!("{path}.column"), message);
            }
            match (min, max) {
                (None, None) => require_bounds(scope, "length", path),
                (Some(min), Some(max)) if min > max => {
                    scope.at(&format!("{path}.max"), format!("`max` {max} is less than `min` {min}"));
                }
                _ => {}
            }
        }
        Check::Freshness { column, .. } => {
            if let Some(data_type) = type_of(column).filter(|data_type| !data_type.is_time()) {
                let message = format!("`freshness` is of a date or timestamp, and `{column}` is of type {data_type}");
                scope.at(&format!("{path}.column"), message);
            }
        }
        Check::Volume { last, tolerance } => {
            if *last == 0 {
                scope.at(
                    &format!("{path}.last"),
                    "a `volume` check needs a delivery to compare with: `last: 1` or more",
                );
            }
            if *tolerance < 0.0 {
                scope.at(&format!("{path}.tolerance"), format!("`tolerance` is a share of the mean, not {tolerance}"));
            }
        }
        Check::NotNull { .. } | Check::Unique { .. } | Check::Expression { .. } => {}
    }
}

fn check_range(
    scope: &mut Scope<'_>,
    column: &str,
    data_type: Option<DataType>,
    [min, max]: [&Option<serde_json::Value>; 2],
    path: &str,
) {
    if data_type == Some(DataType::Bool) {
        scope.at_with_help(
            &format!("{path}.column"),
            format!("`{column}` is of type bool, which has no range"),
            "use an `allowed` check",
        );
        return;
    }
    let mut bound = |name: &str, bound: &Option<serde_json::Value>| {
        let value = bound.as_ref()?;
        let data_type = data_type?;
        if data_type.is_time() && value.as_str().and_then(Moment::parse).is_some() {
            return None;
        }
        // Any number bounds an int: `min: 0.5` is as good as `min: 1`.
        let read = match (data_type, value) {
            (DataType::Int, serde_json::Value::Number(_)) => Value::from_json(value, DataType::Float),
            _ => Value::from_json(value, data_type),
        };
        check_value(scope, column, data_type, value, read, &format!("{path}.{name}"))
    };
    let bounds = (bound("min", min), bound("max", max));
    match bounds {
        (Some(least), Some(most)) if least > most => {
            scope.at(&format!("{path}.max"), format!("`max` {most} is less than `min` {least}"));
        }
        _ if min.is_none() && max.is_none() => require_bounds(scope, "range", path),
        _ => {}
    }
}

fn check_tolerance(scope: &mut Scope<'_>, tolerance: Option<f64>, path: &str) {
    if let Some(share) = tolerance.filter(|share| !(0.0..=1.0).contains(share)) {
        let message = format!("`tolerance` is a share of rows, from 0 to 1, not {share}");
        scope.at_with_help(&format!("{path}.tolerance"), message, "write 0.01 for 1 %");
    }
}

fn require_bounds(scope: &mut Scope<'_>, check: &str, path: &str) {
    // One that is there and could not be read has been reported.
    if !scope.is_written(&format!("{path}.min")) && !scope.is_written(&format!("{path}.max")) {
        scope.at_key(path, format!("a `{check}` check needs `min`, `max` or both"));
    }
}

/// The value as it was read; `None` where it does not fit the column's type.
fn check_value(
    scope: &mut Scope<'_>,
    column: &str,
    data_type: DataType,
    value: &serde_json::Value,
    read: Result<Value, ValueError>,
    path: &str,
) -> Option<Value> {
    match read {
        Ok(value) => Some(value),
        Err(_) => {
            let help = match data_type {
                DataType::Text => format!("put it in quotes: \"{value}\""),
                DataType::Date => "write it like 2021-10-01, `now` or \"-10 years\"".to_owned(),
                DataType::Timestamp => "write it like 2021-10-01T00:00:00Z, `now` or \"-10 years\"".to_owned(),
                DataType::Bool => "write `true` or `false`".to_owned(),
                DataType::Int if value.is_number() => "write a whole number".to_owned(),
                DataType::Int | DataType::Float => "write a number, without quotes".to_owned(),
            };
            scope.at_with_help(path, format!("`{column}` is of type {data_type}, and {value} is not"), help);
            None
        }
    }
}

fn check_relation(
    scope: &mut Scope<'_>,
    source: &Source,
    column: &str,
    other: &karat_core::Name,
    references: Option<&str>,
    path: &str,
) {
    let at = format!("{path}.source");
    if *other == source.name {
        scope.at(&at, "a `relation` looks into another source, not its own");
        return;
    }
    scope.reference(Kind::Source, other, &at, Aim::Value);
    let Some(others) = Columns::named(scope.draft, other) else { return };
    let at = if references.is_some() { "references" } else { "column" };
    let theirs = others.require(scope, references.unwrap_or(column), Reading::Kept, &format!("{path}.{at}"));
    let ours = Columns::of(scope.draft, source).data_type(column);
    if let (Some(ours), Some(theirs)) = (ours, theirs)
        && ours != theirs
    {
        scope.at(
            &format!("{path}.column"),
            format!("`{column}` is of type {ours}, and what it references in `{other}` of type {theirs}"),
        );
    }
}

/// The last line of a regex error says what is wrong; those before draw it.
fn brief(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
