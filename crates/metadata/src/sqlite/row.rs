use std::str;
use std::sync::Arc;

use rusqlite::types::ValueRef;

use crate::MetadataError;
use crate::row::Place;

/// The values of one row of an answer.
#[derive(Debug)]
pub struct SqliteRow {
    names: Arc<[Box<str>]>,
    values: Box<[Value]>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Float(f64),
    Text(Box<str>),
}

impl SqliteRow {
    pub(super) fn new(names: Arc<[Box<str>]>, values: Box<[Value]>) -> SqliteRow {
        SqliteRow { names, values }
    }

    /// The value as `read` takes it; null only where `read` takes that.
    pub(crate) fn get<T>(&self, place: Place<'_>, read: fn(&Value) -> Option<T>) -> Result<T, MetadataError> {
        let number = match place {
            Place::Number(number) => Some(number),
            Place::Name(name) => self.names.iter().position(|column| **column == *name),
        };
        let value = number.and_then(|number| self.values.get(number));
        let value = value.ok_or_else(|| MetadataError::Corrupt(format!("there is no column {place}")))?;
        read(value).ok_or_else(|| MetadataError::Corrupt(format!("column {place} holds {value:?}")))
    }
}

impl Value {
    pub(super) fn of(value: ValueRef<'_>, column: usize) -> Result<Value, rusqlite::Error> {
        Ok(match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Real(number) => Value::Float(number),
            // Karat keeps no other bytes than text.
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Value::Text(str::from_utf8(bytes).map_err(|error| rusqlite::Error::Utf8Error(column, error))?.into())
            }
        })
    }

    pub fn bool(&self) -> Option<bool> {
        self.int().map(|number| number != 0)
    }

    pub fn int(&self) -> Option<i64> {
        if let Value::Int(number) = self { Some(*number) } else { None }
    }

    /// SQLite gives whole numbers as integers where an expression has no column's type.
    pub fn float(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            Value::Int(number) => Some(*number as f64),
            Value::Null | Value::Text(_) => None,
        }
    }

    pub fn text(&self) -> Option<String> {
        if let Value::Text(text) = self { Some(text.to_string()) } else { None }
    }
}
