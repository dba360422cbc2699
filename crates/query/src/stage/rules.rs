//! One line of a contract, compiled: which rows of a batch fail it.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use karat_core::{DataType, Instant, Name, Schema, Value, Window, Zone};
use karat_features::Expression;
use karat_project::spec::{Action, Check, Moment, Rule};
use regex::Regex;

use super::Occasion;
use super::prepare::holds;
use super::relation::{Related, converter};
use crate::plan::{Parts, compile_condition, find_column};
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
    Range { place: usize, data_type: DataType, min: Bound, max: Bound },
    Length { place: usize, min: u64, max: u64 },
    Pattern(usize, Regex),
    RowCount { min: u64, max: u64 },
    Relation { place: usize, source: Name, references: String, data_type: DataType, tolerance: Option<f64> },
    Freshness { place: usize, within: Window },
    Volume { last: usize, tolerance: f64 },
    Expression(Expression),
}

/// An end of a range; null where it is open.
pub(crate) enum Bound {
    Fixed(Value),
    Moving(Moment),
}

impl Bound {
    /// What it is for a delivery.
    fn value(&self, data_type: DataType, occasion: &Occasion, zone: &Zone) -> Value {
        match self {
            Bound::Fixed(value) => value.clone(),
            Bound::Moving(moment) => {
                let instant = moment.at(occasion.at, zone);
                match data_type {
                    DataType::Date => Value::Date(day_of(instant, zone)),
                    _ => Value::Timestamp(instant),
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Bound::Fixed(Value::Null))
    }
}

/// The calendar day of an instant; of one beyond the calendar the nearest there is.
fn day_of(instant: Instant, zone: &Zone) -> i32 {
    let text = zone.civil(instant).map(|civil| civil.date().to_string());
    match text.and_then(|text| karat_core::time::civil_date(&text)) {
        Some(day) => day,
        None if instant.micros() < 0 => i32::MIN,
        None => i32::MAX,
    }
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
        let at = format!("contract[{index}]");
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
                let bound = |json: &Option<serde_json::Value>, field: &str| -> Result<(Bound, String)> {
                    let Some(json) = json else { return Ok((Bound::Fixed(Value::Null), String::new())) };
                    if let Some(moment) = json.as_str().filter(|_| data_type.is_time()).and_then(Moment::parse) {
                        return Ok((Bound::Moving(moment), json.as_str().unwrap_or_default().to_owned()));
                    }
                    if let Some(whole) = whole_bound(json, data_type, field) {
                        return Ok((Bound::Fixed(whole), json.to_string()));
                    }
                    let value = parse(json, data_type, field)?;
                    let words = value.to_string();
                    Ok((Bound::Fixed(value), words))
                };
                let ((min, low), (max, high)) = (bound(min, "min")?, bound(max, "max")?);
                let reason = match (min.is_open(), max.is_open()) {
                    (true, true) => return Err(problem("min", "say `min`, `max` or both".to_owned())),
                    (false, true) => format!("below {low}"),
                    (true, false) => format!("above {high}"),
                    (false, false) => format!("outside {low} to {high}"),
                };
                (Test::Range { place, data_type, min, max }, reason)
            }
            Check::Length { column, min, max } => {
                let (place, data_type) = place(column, "column")?;
                if data_type != DataType::Text {
                    return Err(problem("column", format!("`{column}` is {data_type}; lengths are of text")));
                }
                let reason = match (min, max) {
                    (Some(min), Some(max)) if min == max => format!("not of {min} characters"),
                    (Some(min), Some(max)) => format!("not of {min} to {max} characters"),
                    (Some(min), None) => format!("shorter than {min} characters"),
                    (None, Some(max)) => format!("longer than {max} characters"),
                    (None, None) => return Err(problem("min", "say `min`, `max` or both".to_owned())),
                };
                (Test::Length { place, min: min.unwrap_or(0), max: max.unwrap_or(u64::MAX) }, reason)
            }
            Check::Freshness { column, within } => {
                let (place, data_type) = place(column, "column")?;
                if !data_type.is_time() {
                    let text = format!("`{column}` is {data_type}, where a date or timestamp is needed");
                    return Err(problem("column", text));
                }
                (Test::Freshness { place, within: *within }, format!("nothing newer than {within} before the delivery"))
            }
            Check::Volume { last, tolerance } => {
                let reason = format!("within {} % of the last deliveries' mean", tolerance * 100.0);
                (Test::Volume { last: *last as usize, tolerance: *tolerance }, reason)
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
                (Test::RowCount { min: min.unwrap_or(0), max: max.unwrap_or(u64::MAX) }, reason)
            }
            Check::Relation { column, source: other, references, tolerance } => {
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
                (Test::Relation { place, source, references, data_type, tolerance: *tolerance }, reason)
            }
            Check::Expression { sql } => {
                let condition = compile_condition(source, &format!("{at}.sql"), sql, columns)?;
                (Test::Expression(condition), format!("`{sql}` is not true"))
            }
        };
        if rule.check.is_whole() && !matches!(rule.action, Action::Warn | Action::Fail) {
            let text = "a check of the whole delivery is about no one row: its action is `warn` or `fail`";
            return Err(problem("action", text.to_owned()));
        }
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

    /// The rows that fail, in order. Tests that look further than one batch are not asked here.
    pub(super) fn failing(
        &self,
        batch: &RecordBatch,
        parts: &Parts,
        related: &Related,
        occasion: &Occasion,
    ) -> Result<Vec<usize>> {
        Ok(match &self.test {
            Test::NotNull(place) => {
                let array = batch.column(*place);
                rows(array.len(), |row| array.is_null(row))
            }
            Test::Allowed(place, allowed) => not_allowed(batch.column(*place), allowed),
            Test::Range { place, data_type, min, max } => {
                let value = |bound: &Bound| bound.value(*data_type, occasion, &parts.source.zone());
                outside(batch.column(*place), &value(min), &value(max))
            }
            Test::Length { place, min, max } => {
                let texts = batch.column(*place).as_string::<i32>();
                let fits = |text: &str| (*min..=*max).contains(&(text.chars().count() as u64));
                rows(texts.len(), |row| texts.is_valid(row) && !fits(texts.value(row)))
            }
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
                let places: Vec<usize> = (0..parts.prepared.columns().len()).collect();
                let holds = holds(condition, &batch.project(&places)?)?;
                rows(holds.len(), |row| !holds.value(row))
            }
            Test::Unique(_) | Test::RowCount { .. } | Test::Freshness { .. } | Test::Volume { .. } => {
                unreachable!("these look further than one batch")
            }
        })
    }

    /// The share of rows that may fail without anything being done about them.
    pub(super) fn tolerance(&self) -> Option<f64> {
        match &self.test {
            Test::Relation { tolerance, .. } => *tolerance,
            _ => None,
        }
    }

    /// Whether rows wait until the share that fails is known.
    pub(super) fn waits(&self) -> bool {
        self.tolerance().is_some() && matches!(self.action, Action::Quarantine | Action::SetNull)
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

/// A fraction as a bound of an int: the least or the greatest int within it.
fn whole_bound(json: &serde_json::Value, data_type: DataType, field: &str) -> Option<Value> {
    if data_type != DataType::Int || json.as_i64().is_some() {
        return None;
    }
    let bound = json.as_f64()?;
    Some(Value::Int(if field == "min" { bound.ceil() } else { bound.floor() } as i64))
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
