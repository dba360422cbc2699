use std::cmp::Ordering;
use std::fmt;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::sync::Arc;

use crate::time::{Instant, civil_date, parse_printed_date};
use crate::{DataType, Zone};

/// One cell. Equality and order are by bits for floats (`-0.0 < 0.0`, NaN after infinity), so that both are total.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// Days since 1970-01-01.
    Date(i32),
    Timestamp(Instant),
    /// A list feature's value: single ones in the order of their events, nulls among them.
    List(Arc<[Value]>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not {}", .wanted.with_article())]
pub struct ValueError {
    pub value: String,
    pub wanted: DataType,
}

impl Value {
    pub fn text(text: impl AsRef<str>) -> Value {
        Value::Text(Arc::from(text.as_ref()))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// `None` for null, which has every type, and for a list, which has none of these.
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Value::Null | Value::List(_) => return None,
            Value::Bool(_) => DataType::Bool,
            Value::Int(_) => DataType::Int,
            Value::Float(_) => DataType::Float,
            Value::Text(_) => DataType::Text,
            Value::Date(_) => DataType::Date,
            Value::Timestamp(_) => DataType::Timestamp,
        })
    }

    /// The cell of a column in one of [`crate::ValueType`]'s Arrow forms. Panics on any other form.
    pub fn from_array(array: &dyn Array, row: usize) -> Value {
        if array.is_null(row) {
            return Value::Null;
        }
        if let Some(lists) = array.as_list_opt::<i32>() {
            let elements = lists.value(row);
            return Value::List((0..elements.len()).map(|place| Value::from_array(&elements, place)).collect());
        }
        match DataType::of_arrow(array.data_type()) {
            Some(DataType::Bool) => Value::Bool(array.as_boolean().value(row)),
            Some(DataType::Int) => Value::Int(array.as_primitive::<Int64Type>().value(row)),
            Some(DataType::Float) => Value::Float(array.as_primitive::<Float64Type>().value(row)),
            Some(DataType::Text) => Value::text(array.as_string::<i32>().value(row)),
            Some(DataType::Date) => Value::Date(array.as_primitive::<Date32Type>().value(row)),
            Some(DataType::Timestamp) => {
                Value::Timestamp(Instant::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row)))
            }
            None => unreachable!("columns are brought to Karat's types where they enter"),
        }
    }

    /// A column of these values. Panics when a value is neither null nor of `data_type`.
    pub fn to_array(values: &[Value], data_type: DataType) -> ArrayRef {
        macro_rules! collect {
            ($array:ty, $variant:ident, $convert:expr) => {
                Arc::new(
                    values
                        .iter()
                        .map(|value| match value {
                            Value::Null => None,
                            Value::$variant(inner) => Some($convert(inner)),
                            other => panic!("{other:?} in a column of type {data_type}"),
                        })
                        .collect::<$array>(),
                )
            };
        }
        match data_type {
            DataType::Bool => collect!(BooleanArray, Bool, |v: &bool| *v),
            DataType::Int => collect!(Int64Array, Int, |v: &i64| *v),
            DataType::Float => collect!(Float64Array, Float, |v: &f64| *v),
            DataType::Text => collect!(StringArray, Text, |v: &Arc<str>| v.clone()),
            DataType::Date => collect!(Date32Array, Date, |v: &i32| *v),
            DataType::Timestamp => {
                let array: TimestampMicrosecondArray = values
                    .iter()
                    .map(|value| match value {
                        Value::Null => None,
                        Value::Timestamp(instant) => Some(instant.micros()),
                        other => panic!("{other:?} in a column of type {data_type}"),
                    })
                    .collect();
                Arc::new(array.with_data_type(data_type.arrow()))
            }
        }
    }

    /// From JSON, into a known type. Ints stand for floats; floats never for ints; dates and timestamps are text.
    /// `"NaN"`, `"Infinity"` and `"-Infinity"` stand for the floats JSON cannot write.
    pub fn from_json(json: &serde_json::Value, wanted: DataType) -> Result<Value, ValueError> {
        use serde_json::Value as Json;
        let wrong = || ValueError { value: json.to_string(), wanted };
        Ok(match (json, wanted) {
            (Json::Null, _) => Value::Null,
            (Json::Bool(b), DataType::Bool) => Value::Bool(*b),
            (Json::Number(n), DataType::Int) => Value::Int(n.as_i64().ok_or_else(wrong)?),
            (Json::Number(n), DataType::Float) => Value::Float(n.as_f64().ok_or_else(wrong)?),
            (Json::String(s), DataType::Float) => Value::Float(match s.as_str() {
                "NaN" => f64::NAN,
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                _ => return Err(wrong()),
            }),
            (Json::String(s), DataType::Text) => Value::text(s),
            (Json::String(s), DataType::Date) => Value::Date(parse_printed_date(s).ok_or_else(wrong)?),
            // What lies beyond the calendar is printed in words, or as a number.
            (Json::String(s), DataType::Timestamp) => match Value::parse(s, wanted, &Zone::utc()) {
                Ok(value) => value,
                Err(_) => Value::Timestamp(s.parse().map_err(|_| wrong())?),
            },
            _ => return Err(wrong()),
        })
    }

    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::from(*i),
            Value::Float(f) if f.is_nan() => Json::from("NaN"),
            Value::Float(f) if f.is_infinite() => Json::from(if *f > 0.0 { "Infinity" } else { "-Infinity" }),
            Value::Float(f) => Json::from(*f),
            Value::Text(t) => Json::from(t.as_ref()),
            Value::Date(_) | Value::Timestamp(_) => Json::from(self.to_string()),
            Value::List(values) => values.iter().map(Value::to_json).collect(),
        }
    }

    /// From plain text (a CSV cell, a key on the command line). A naive timestamp is read in `zone`.
    pub fn parse(text: &str, wanted: DataType, zone: &Zone) -> Result<Value, ValueError> {
        let wrong = || ValueError { value: format!("`{text}`"), wanted };
        Ok(match wanted {
            DataType::Text => Value::text(text),
            DataType::Bool => Value::Bool(match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "1" => true,
                "false" | "f" | "no" | "n" | "0" => false,
                _ => return Err(wrong()),
            }),
            DataType::Int => Value::Int(text.parse().map_err(|_| wrong())?),
            DataType::Float => {
                let float: f64 = text.parse().map_err(|_| wrong())?;
                // `-nan` is no other value than `nan`, and has no form of its own in JSON.
                Value::Float(if float.is_nan() { f64::NAN } else { float })
            }
            DataType::Date => Value::Date(civil_date(text).ok_or_else(wrong)?),
            DataType::Timestamp => Value::Timestamp(Instant::parse_in(text, zone).map_err(|_| wrong())?),
        })
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) => 2,
            Value::Float(_) => 3,
            Value::Text(_) => 4,
            Value::Date(_) => 5,
            Value::Timestamp(_) => 6,
            Value::List(_) => 7,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::List(a), Value::List(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Value::Null => {}
            Value::Bool(b) => b.hash(state),
            Value::Int(i) => i.hash(state),
            Value::Float(f) => f.to_bits().hash(state),
            Value::Text(t) => t.hash(state),
            Value::Date(d) => d.hash(state),
            Value::Timestamp(t) => t.hash(state),
            Value::List(values) => values.hash(state),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(b) => b.fmt(f),
            Value::Int(i) => i.fmt(f),
            Value::Float(x) => x.fmt(f),
            Value::Text(t) => f.write_str(t),
            Value::Date(days) => f.write_str(&crate::time::format_date(*days)),
            Value::Timestamp(t) => t.fmt(f),
            Value::List(values) => {
                f.write_str("[")?;
                for (place, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if place > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A value as [`Value::to_json`] has it, written without building a tree.
#[derive(Debug, Clone, Copy)]
pub struct AsJson<'v>(pub &'v Value);

impl serde::Serialize for AsJson<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Int(i) => serializer.serialize_i64(*i),
            Value::Float(f) if f.is_finite() => serializer.serialize_f64(*f),
            Value::Float(f) if f.is_nan() => serializer.serialize_str("NaN"),
            Value::Float(f) => serializer.serialize_str(if *f > 0.0 { "Infinity" } else { "-Infinity" }),
            Value::Text(t) => serializer.serialize_str(t),
            Value::Date(_) | Value::Timestamp(_) => serializer.collect_str(self.0),
            Value::List(values) => serializer.collect_seq(values.iter().map(AsJson)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trips_every_type() {
        let values = [
            (Value::Bool(true), DataType::Bool),
            (Value::Int(i64::MIN), DataType::Int),
            (Value::Float(0.1 + 0.2), DataType::Float),
            (Value::Float(f64::NEG_INFINITY), DataType::Float),
            (Value::Float(f64::NAN), DataType::Float),
            (Value::text("é"), DataType::Text),
            (Value::Date(384_000), DataType::Date),
            (Value::Timestamp(Instant::from_micros(-1)), DataType::Timestamp),
            (Value::Timestamp(Instant::ALWAYS), DataType::Timestamp),
            (Value::Timestamp(Instant::from_micros(i64::MAX - 7)), DataType::Timestamp),
            (Value::Date(i32::MIN), DataType::Date),
            (Value::Null, DataType::Int),
        ];
        for (value, data_type) in values {
            assert_eq!(Value::from_json(&value.to_json(), data_type).unwrap(), value);
            assert_eq!(serde_json::to_value(AsJson(&value)).unwrap(), value.to_json());
        }
    }

    #[test]
    fn arrays_round_trip_dates_beyond_nanosecond_range() {
        let date = Value::parse("3021-09-18", DataType::Date, &Zone::utc()).unwrap();
        let array = Value::to_array(&[date.clone(), Value::Null], DataType::Date);
        assert_eq!(Value::from_array(&array, 0), date);
        assert_eq!(Value::from_array(&array, 1), Value::Null);
        assert_eq!(date.to_string(), "3021-09-18");
    }

    #[test]
    fn lists_have_one_form_in_arrow_and_one_in_json() {
        use arrow::array::ListArray;
        use arrow::datatypes::Float64Type;
        let lists = [Some(vec![Some(0.5), None, Some(f64::NAN)]), Some(vec![])];
        let array = ListArray::from_iter_primitive::<Float64Type, _, _>(lists);
        assert_eq!(*array.data_type(), crate::ValueType::List(DataType::Float).arrow());
        let value = Value::from_array(&array, 0);
        assert_eq!(value, Value::List([Value::Float(0.5), Value::Null, Value::Float(f64::NAN)].into()));
        assert_eq!(value.to_json(), serde_json::json!([0.5, null, "NaN"]));
        assert_eq!(serde_json::to_value(AsJson(&value)).unwrap(), value.to_json());
        assert_eq!(value.to_string(), "[0.5, null, NaN]");
        assert_eq!(Value::from_array(&array, 1).to_json(), serde_json::json!([]));
        assert!(Value::from_array(&array, 1) < value);
    }

    #[test]
    fn wrong_types_say_what_was_wanted() {
        let error = Value::from_json(&serde_json::json!("x"), DataType::Int).unwrap_err();
        assert_eq!(error.to_string(), "\"x\" is not an int");
    }
}
