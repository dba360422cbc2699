//! Features by brute force: the design's words written down as plainly as possible, over a list of structs.
//! Shares nothing with the crate but the values' type.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use karat_core::{Instant, Value};

use crate::spread::{sketched, spread};

const FINEST: i32 = -72;

/// A record of history.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub client: i64,
    pub id: i64,
    pub event_time: i64,
    pub known: i64,
    pub commit: i64,
    pub removed: bool,
    pub sequence: Option<i64>,
    pub amount: Option<f64>,
    pub n: Option<i64>,
    pub late: Option<bool>,
    pub city: Option<String>,
    pub day: Option<i32>,
}

#[derive(Debug, Clone, Copy)]
pub struct Reader {
    pub client: Option<i64>,
    /// Of keys of two columns the second, which may be null.
    pub city: Option<Option<&'static str>>,
    pub as_of: i64,
    pub known_at: i64,
    pub up_to: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Rules {
    pub timed: bool,
    pub include_as_of: bool,
    pub zone: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Span_ {
    Micros(i64),
    Months(i32),
}

/// An aggregate as a project would write it.
#[derive(Debug, Clone)]
pub struct Aggregate {
    pub word: &'static str,
    pub of: &'static str,
    pub condition: Option<&'static str>,
    pub window: Option<Span_>,
    pub last: Option<usize>,
}

impl Reader {
    pub fn asks_about(&self, record: &Record) -> bool {
        let is_there = self.city.is_none_or(|city| city.is_some() && record.city.as_deref() == city);
        is_there && Some(record.client) == self.client
    }
}

/// The key's visible rows in order.
pub fn visible<'a>(records: &'a [Record], rules: &Rules, reader: Reader) -> Vec<&'a Record> {
    let seen: Vec<&Record> = records
        .iter()
        .filter(|record| reader.asks_about(record))
        .filter(|record| {
            !rules.timed
                || record.event_time < reader.as_of
                || (rules.include_as_of && record.event_time == reader.as_of)
        })
        .filter(|record| record.known <= reader.known_at)
        .filter(|record| reader.up_to.is_none_or(|commit| record.commit <= commit))
        .collect();
    let mut rows: Vec<&Record> = Vec::new();
    let ids: HashSet<i64> = seen.iter().map(|record| record.id).collect();
    for id in ids {
        let mut of_id: Vec<&&Record> = seen.iter().filter(|record| record.id == id).collect();
        let happened = |record: &Record| if rules.timed { record.event_time } else { 0 };
        of_id.sort_by_key(|record| (record.known, record.commit, happened(record), !record.removed));
        let winner = of_id.last().unwrap();
        if !winner.removed {
            rows.push(winner);
        }
    }
    let time = |record: &Record| if rules.timed { record.event_time } else { 0 };
    rows.sort_by_key(|record| (time(record), record.sequence, record.id));
    rows
}

pub fn aggregate(aggregate: &Aggregate, rows: &[&Record], rules: &Rules, as_of: i64) -> Value {
    let mut rows: Vec<&Record> = rows.to_vec();
    if let Some(window) = aggregate.window {
        let start = back(as_of, window, &rules.zone);
        rows.retain(|record| record.event_time >= start);
    }
    if let Some(condition) = aggregate.condition {
        rows.retain(|record| column(record, condition) == Value::Bool(true));
    }
    if let Some(last) = aggregate.last {
        rows = rows[rows.len().saturating_sub(last)..].to_vec();
    }
    let all: Vec<Value> = rows.iter().map(|record| column(record, aggregate.of)).collect();
    let some: Vec<Value> = all.iter().filter(|value| !value.is_null()).cloned().collect();
    match aggregate.word {
        "count" if aggregate.of == "rows" => Value::Int(rows.len() as i64),
        "count" => Value::Int(some.len() as i64),
        "first" => all.first().cloned().unwrap_or(Value::Null),
        "last" => all.last().cloned().unwrap_or(Value::Null),
        "list" => Value::List(all.into()),
        "distinct" => {
            let different: HashSet<String> = some
                .iter()
                .map(|value| match value {
                    Value::Float(float) => (float + 0.0).to_string(),
                    other => other.to_string(),
                })
                .collect();
            Value::Int(different.len() as i64)
        }
        "approx_distinct" => Value::Int(sketched(&some)),
        "variance" | "stddev" => spread_of(&some, if aggregate.word == "stddev" { 2 } else { 1 }),
        "median" => quantile(&some, 0.5),
        word if word.starts_with("quantile ") => quantile(&some, word["quantile ".len()..].parse().unwrap()),
        "share" if some.is_empty() => Value::Null,
        "share" => {
            let yes = some.iter().filter(|value| **value == Value::Bool(true)).count();
            Value::Float(yes as f64 / some.len() as f64)
        }
        "time_since" => {
            let latest = rows
                .iter()
                .rev()
                .find(|record| aggregate.of == "rows" || column(record, aggregate.of) == Value::Bool(true));
            match latest {
                Some(record) => Value::Float((as_of as i128 - record.event_time as i128) as f64 / 86_400_000_000f64),
                None => Value::Null,
            }
        }
        "min" | "max" => {
            let mut values: Vec<Value> = some
                .into_iter()
                .map(|value| match value {
                    Value::Float(float) if float.is_nan() => Value::Float(f64::NAN),
                    other => other,
                })
                .collect();
            values.sort();
            let end = if aggregate.word == "min" { values.first() } else { values.last() };
            end.cloned().unwrap_or(Value::Null)
        }
        "sum" | "mean" if some.is_empty() => Value::Null,
        "sum" | "mean" => {
            let count = if aggregate.word == "mean" { some.len() as i128 } else { 1 };
            match some[0] {
                Value::Int(_) => {
                    let total: i128 = some.iter().map(int).sum();
                    match aggregate.word {
                        "mean" => Value::Float(divide(total, count)),
                        _ => i64::try_from(total).map_or(Value::Null, Value::Int),
                    }
                }
                _ => floats(&some, count),
            }
        }
        other => panic!("{other}"),
    }
}

fn spread_of(values: &[Value], power: u32) -> Value {
    if values.len() < 2 {
        return Value::Null;
    }
    match values[0] {
        Value::Int(_) => spread(&values.iter().map(int).collect::<Vec<_>>(), 0, power),
        _ => {
            let floats: Vec<f64> = values.iter().map(float).collect();
            match floats.iter().all(|float| float.is_finite()) {
                true => spread(&floats.iter().map(|float| fine(*float)).collect::<Vec<_>>(), FINEST, power),
                false => Value::Float(f64::NAN),
            }
        }
    }
}

/// As numpy interpolates between neighbours; infinities, of which it makes nothing, stand for themselves.
fn quantile(values: &[Value], q: f64) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    let place = (values.len() - 1) as f64 * q;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let share = place.fract();
    if let Value::Int(_) = values[0] {
        let mut ints: Vec<i128> = values.iter().map(int).collect();
        ints.sort_unstable();
        let (low, high) = (ints[below], ints[above]);
        return Value::Float(interpolated(low as f64, high as f64, (high - low) as f64, share));
    }
    let mut floats: Vec<f64> = values.iter().map(float).collect();
    if floats.iter().any(|float| float.is_nan()) {
        return Value::Float(f64::NAN);
    }
    floats.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap());
    let (low, high) = (floats[below], floats[above]);
    Value::Float(match low.is_infinite() || high.is_infinite() {
        _ if low == high || share == 0.0 => low + 0.0,
        true => low + high,
        false => interpolated(low, high, high - low, share),
    })
}

fn interpolated(low: f64, high: f64, apart: f64, share: f64) -> f64 {
    (if share < 0.5 { low + apart * share } else { high - apart * (1.0 - share) }) + 0.0
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Float(float) => *float,
        other => panic!("{other:?}"),
    }
}

fn int(value: &Value) -> i128 {
    match value {
        Value::Int(int) => i128::from(*int),
        other => panic!("{other:?}"),
    }
}

/// Sums floats as integers of 2^-72: what histories hold is coarse and small enough for that to be exact.
fn floats(values: &[Value], count: i128) -> Value {
    let floats: Vec<f64> = values.iter().map(float).collect();
    let up = floats.contains(&f64::INFINITY);
    let down = floats.contains(&f64::NEG_INFINITY);
    Value::Float(match (floats.iter().any(|float| float.is_nan()), up, down) {
        (true, _, _) | (_, true, true) => f64::NAN,
        (_, true, _) => f64::INFINITY,
        (_, _, true) => f64::NEG_INFINITY,
        _ => {
            let total: i128 = floats.iter().map(|float| fine(*float)).sum();
            divide(total, count) * 2f64.powi(FINEST)
        }
    })
}

/// A float in units of 2^-72.
fn fine(float: f64) -> i128 {
    let unit = 2f64.powi(FINEST);
    let scaled = float / unit;
    assert_eq!(scaled as i128 as f64 * unit, float, "too fine or too large for this oracle");
    scaled as i128
}

/// Rounded once: by long division to many more bits than a float has, with a last bit for what remains.
fn divide(total: i128, count: i128) -> f64 {
    if total == 0 {
        return 0.0;
    }
    let shift = total.unsigned_abs().leading_zeros() - 6;
    let wide = total.abs() << shift;
    let quotient = (wide / count) << 1 | i128::from(wide % count != 0);
    let rounded = quotient as f64 * 2f64.powi(-(shift as i32) - 1);
    if total < 0 { -rounded } else { rounded }
}

pub fn back(as_of: i64, window: Span_, zone: &str) -> i64 {
    match window {
        Span_::Micros(micros) => as_of.saturating_sub(micros),
        Span_::Months(months) => {
            let zoned = Timestamp::from_microsecond(as_of).unwrap().to_zoned(TimeZone::get(zone).unwrap());
            zoned.checked_sub(Span::new().months(months)).unwrap().timestamp().as_microsecond()
        }
    }
}

pub fn column(record: &Record, name: &str) -> Value {
    match name {
        "rows" => Value::Null,
        "id" => Value::Int(record.id),
        "amount" => record.amount.map_or(Value::Null, Value::Float),
        "n" => record.n.map_or(Value::Null, Value::Int),
        "late" => record.late.map_or(Value::Null, Value::Bool),
        "city" => record.city.as_ref().map_or(Value::Null, Value::text),
        "day" => record.day.map_or(Value::Null, Value::Date),
        "happened" => Value::Timestamp(Instant::from_micros(record.event_time)),
        "n + 1" => record.n.map_or(Value::Null, |n| Value::Int(n + 1)),
        "n > 1" => record.n.map_or(Value::Null, |n| Value::Bool(n > 1)),
        "NOT late" => record.late.map_or(Value::Null, |late| Value::Bool(!late)),
        other => panic!("{other}"),
    }
}
