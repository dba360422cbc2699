//! One line of a contract, compiled: which rows of a batch fail it.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use karat_core::{DataType, Name, Schema, Value};
use karat_features::Expression;
use karat_project::spec::{Action, Check, Rule};
use regex::Regex;

use super::prepare::holds;
use super::relation::{Related, converter};
use crate::plan::{compile_condition, find_column};
use crate::{QueryError, Result};

pub(crate) struct CompiledRule {
    pub index: usize,
    pub check: &'static str,
    pub column: Option<String>,
    pub description: Option<String>,
    pub action: Action,
    pub fail_above: Option<f64>,
    /// What failing means, in words.
    pub reason: String,
    /// The columns whose values reports show.
    pub shown: Vec<(String, usize)>,
    pub test: Test,
}

/// Columns are meant by their place among the prepared ones.
pub(crate) enum Test {
    NotNull(usize),
    Unique(Vec<(usize, DataType)>),
    Allowed(usize, Allowed),
    Range { place: usize, min: Value, max: Value },
    Pattern(usize, Regex),
    RowCount { min: u64, max: u64 },
    Relation { place: usize, source: Name, references: String, data_type: DataType },
    Expression(Expression),
}

pub(crate) enum Allowed {
    Text(HashSet<String>),
    Other(HashSet<Value>),
}

impl CompiledRule {
    pub(crate) fn new(
        source: &Name,
        index: usize,
        rule: &Rule,
        columns: &Schema,
        upstream: &BTreeMap<Name, Schema>,
    ) -> Result<CompiledRule> {
        let at = format!("contract.{index}");
        let problem = |field: &str, text: String| QueryError::source(source, format!("{at}.{field}"), text);
        let place = |name: &str, field: &str| -> Result<(usize, DataType)> {
            let column = find_column(source, columns, name, &format!("{at}.{field}"))?;
            Ok((columns.index_of(name).expect("it was found"), column.data_type))
        };
        let parse = |json: &serde_json::Value, data_type, field: &str| {
            Value::from_json(json, data_type).map_err(|error| problem(field, error.to_string()))
        };
        let (test, reason) = match &rule.check {
            Check::NotNull { column } => (Test::NotNull(place(column, "column")?.0), "is null".to_owned()),
            Check::Unique { columns: names } => {
                let places = names.iter().map(|name| place(name, "columns")).collect::<Result<Vec<_>>>()?;
                if places.is_empty() {
                    return Err(problem("columns", "name at least one column".to_owned()));
                }
                (Test::Unique(places), "repeats an earlier row".to_owned())
            }
            Check::Allowed { column, values } => {
                let (place, data_type) = place(column, "column")?;
                let parsed = values.iter().map(|json| parse(json, data_type, "values")).collect::<Result<Vec<_>>>()?;
                let words: Vec<String> = parsed.iter().take(8).map(Value::to_string).collect();
                let more = if parsed.len() > 8 { ", …" } else { "" };
                let reason = format!("not one of {}{more}", words.join(", "));
                let allowed = if data_type == DataType::Text {
                    Allowed::Text(parsed.iter().map(Value::to_string).collect())
                } else {
                    Allowed::Other(parsed.into_iter().collect())
                };
                (Test::Allowed(place, allowed), reason)
            }
            Check::Range { column, min, max } => {
                let (place, data_type) = place(column, "column")?;
                let bound = |json: &Option<serde_json::Value>, field| match json {
                    Some(json) => parse(json, data_type, field),
                    None => Ok(Value::Null),
                };
                let (min, max) = (bound(min, "min")?, bound(max, "max")?);
                let reason = match (&min, &max) {
                    (Value::Null, Value::Null) => {
                        return Err(problem("min", "say `min`, `max` or both".to_owned()));
                    }
                    (min, Value::Null) => format!("below {min}"),
                    (Value::Null, max) => format!("above {max}"),
                    (min, max) => format!("outside {min} to {max}"),
                };
                (Test::Range { place, min, max }, reason)
            }
            Check::Pattern { column, pattern } => {
                let (place, data_type) = place(column, "column")?;
                if data_type != DataType::Text {
                    return Err(problem("column", format!("`{column}` is {data_type}; patterns are for text")));
                }
                let regex = Regex::new(pattern).map_err(|error| problem("pattern", error.to_string()))?;
                (Test::Pattern(place, regex), format!("does not match {pattern}"))
            }
            Check::RowCount { min, max } => {
                let reason = match (min, max) {
                    (Some(min), Some(max)) => format!("expected {min} to {max}"),
                    (Some(min), None) => format!("expected at least {min}"),
                    (None, Some(max)) => format!("expected at most {max}"),
                    (None, None) => return Err(problem("min", "say `min`, `max` or both".to_owned())),
                };
                if !matches!(rule.action, Action::Warn | Action::Fail) {
                    let text = "a count of rows is about no one row: its action is `warn` or `fail`";
                    return Err(problem("action", text.to_owned()));
                }
                (Test::RowCount { min: min.unwrap_or(0), max: max.unwrap_or(u64::MAX) }, reason)
            }
            Check::Relation { column, source: other, references } => {
                let (place, data_type) = place(column, "column")?;
                let references = references.as_ref().unwrap_or(column);
                let Some(schema) = upstream.get(other) else {
                    return Err(problem("source", format!("there is no source `{other}`")));
                };
                let there = find_column(source, schema, references, &format!("{at}.references"))?.data_type;
                if there != data_type {
                    let text = format!("`{column}` is {data_type}, `{other}.{references}` is {there}");
                    return Err(problem("references", text));
                }
                let reason = format!("not in {other}.{references}");
                let (source, references) = (other.clone(), references.clone());
                (Test::Relation { place, source, references, data_type }, reason)
            }
            Check::Expression { sql } => {
                let condition = compile_condition(source, &format!("{at}.sql"), sql, columns)?;
                (Test::Expression(condition), format!("`{sql}` is not true"))
            }
        };
        let column = rule.check.column().map(str::to_owned);
        if rule.action == Action::SetNull && (column.is_none() || matches!(test, Test::Unique(_))) {
            let text = "`set_null` needs a check on the values of one column";
            return Err(problem("action", text.to_owned()));
        }
        if rule.fail_above.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(problem("fail_above", "a share is between 0 and 1".to_owned()));
        }
        let shown_names: Vec<String> = match (&column, &rule.check, &test) {
            (Some(column), ..) => vec![column.clone()],
            (None, Check::Unique { columns }, _) => columns.clone(),
            (None, _, Test::Expression(condition)) => condition.columns().iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        let shown = shown_names.into_iter().filter_map(|name| Some((name.clone(), columns.index_of(&name)?))).collect();
        let fail_above = match rule.action {
            Action::Fail => Some(rule.fail_above.unwrap_or(0.0)),
            _ => rule.fail_above,
        };
        let description = rule.description.clone();
        let check = rule.check.name();
        Ok(CompiledRule { index, check, column, description, action: rule.action, fail_above, reason, shown, test })
    }

    /// The rows that fail, in order. `Unique` and `RowCount` look further than one batch and are not asked here.
    pub(super) fn failing(&self, batch: &RecordBatch, columns: &Schema, related: &Related) -> Result<Vec<usize>> {
        Ok(match &self.test {
            Test::NotNull(place) => {
                let array = batch.column(*place);
                rows(array.len(), |row| array.is_null(row))
            }
            Test::Allowed(place, allowed) => not_allowed(batch.column(*place), allowed),
            Test::Range { place, min, max } => outside(batch.column(*place), min, max),
            Test::Pattern(place, regex) => {
                let texts = batch.column(*place).as_string::<i32>();
                rows(texts.len(), |row| texts.is_valid(row) && !regex.is_match(texts.value(row)))
            }
            Test::Relation { place, data_type, .. } => {
                let array = batch.column(*place);
                let known = related.get(&self.index).expect("related values are loaded before the first row");
                let keys = converter(*data_type)?.convert_columns(std::slice::from_ref(array))?;
                rows(array.len(), |row| array.is_valid(row) && !known.contains(keys.row(row).as_ref()))
            }
            Test::Expression(condition) => {
                let places: Vec<usize> = (0..columns.columns().len()).collect();
                let holds = holds(condition, &batch.project(&places)?)?;
                rows(holds.len(), |row| !holds.value(row))
            }
            Test::Unique(_) | Test::RowCount { .. } => unreachable!("these look further than one batch"),
        })
    }

    /// The value at fault, printed.
    pub(super) fn value(&self, batch: &RecordBatch, row: usize) -> Option<String> {
        let print = |place: usize| {
            let array = batch.column(place);
            (!array.is_null(row)).then(|| Value::from_array(array, row).to_string())
        };
        match self.shown.as_slice() {
            [] => None,
            [(_, place)] => print(*place),
            several => {
                let parts: Vec<String> = several
                    .iter()
                    .map(|(name, place)| format!("{name}={}", print(*place).unwrap_or_else(|| "null".to_owned())))
                    .collect();
                Some(parts.join(", "))
            }
        }
    }
}

fn rows(len: usize, fails: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..len).filter(|row| fails(*row)).collect()
}

fn not_allowed(array: &ArrayRef, allowed: &Allowed) -> Vec<usize> {
    match allowed {
        Allowed::Text(allowed) => {
            let texts = array.as_string::<i32>();
            rows(texts.len(), |row| texts.is_valid(row) && !allowed.contains(texts.value(row)))
        }
        Allowed::Other(allowed) => {
            rows(array.len(), |row| array.is_valid(row) && !allowed.contains(&Value::from_array(array, row)))
        }
    }
}

/// NaN is in no range.
fn outside(array: &ArrayRef, min: &Value, max: &Value) -> Vec<usize> {
    macro_rules! beyond {
        ($values:expr, $variant:ident, $get:expr) => {{
            let values = $values;
            let low = if let Value::$variant(low) = min { Some($get(low)) } else { None };
            let high = if let Value::$variant(high) = max { Some($get(high)) } else { None };
            rows(values.len(), |row| {
                let value = values.value(row);
                values.is_valid(row) && (low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high))
            })
        }};
    }
    match DataType::of_arrow(array.data_type()) {
        Some(DataType::Int) => beyond!(array.as_primitive::<Int64Type>(), Int, |v: &i64| *v),
        Some(DataType::Date) => beyond!(array.as_primitive::<Date32Type>(), Date, |v: &i32| *v),
        Some(DataType::Timestamp) => {
            beyond!(array.as_primitive::<TimestampMicrosecondType>(), Timestamp, |v: &karat_core::Instant| v.micros())
        }
        Some(DataType::Text) => {
            let values = array.as_string::<i32>();
            let low = if let Value::Text(low) = min { Some(low.as_ref()) } else { None };
            let high = if let Value::Text(high) = max { Some(high.as_ref()) } else { None };
            rows(values.len(), |row| {
                let value = values.value(row);
                values.is_valid(row) && (low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high))
            })
        }
        Some(DataType::Bool) => beyond!(array.as_boolean(), Bool, |v: &bool| *v),
        Some(DataType::Float) => {
            let values = array.as_primitive::<Float64Type>();
            let low = if let Value::Float(low) = min { *low } else { f64::NEG_INFINITY };
            let high = if let Value::Float(high) = max { *high } else { f64::INFINITY };
            rows(values.len(), |row| values.is_valid(row) && !(low..=high).contains(&values.value(row)))
        }
        None => unreachable!("columns are brought to Karat's types where they enter"),
    }
}
