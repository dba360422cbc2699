use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

/// The types of a column, a feature or a request field. Every one has exactly one Arrow form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// `Boolean`
    Bool,
    /// `Int64`
    Int,
    /// `Float64`
    Float,
    /// `Utf8`
    Text,
    /// `Date32`: a calendar day; as an instant it is midnight in the source's `time_zone`, else UTC.
    Date,
    /// `Timestamp(Microsecond, "+00:00")`
    Timestamp,
}

/// Named offsets other than this one need arrow's `chrono-tz`; this one needs nothing.
const UTC: &str = "+00:00";

impl DataType {
    /// `an int`
    pub fn with_article(self) -> String {
        match self {
            DataType::Int => "an int".to_owned(),
            other => format!("a {other}"),
        }
    }

    pub fn arrow(self) -> ArrowType {
        match self {
            DataType::Bool => ArrowType::Boolean,
            DataType::Int => ArrowType::Int64,
            DataType::Float => ArrowType::Float64,
            DataType::Text => ArrowType::Utf8,
            DataType::Date => ArrowType::Date32,
            DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(UTC))),
        }
    }

    /// The type an Arrow column is cast to when it enters Karat; `None` for what has no place here (lists, structs, binary).
    pub fn of_arrow(arrow: &ArrowType) -> Option<DataType> {
        Some(match arrow {
            ArrowType::Boolean => DataType::Bool,
            ArrowType::Int8
            | ArrowType::Int16
            | ArrowType::Int32
            | ArrowType::Int64
            | ArrowType::UInt8
            | ArrowType::UInt16
            | ArrowType::UInt32
            | ArrowType::UInt64 => DataType::Int,
            ArrowType::Float16
            | ArrowType::Float32
            | ArrowType::Float64
            | ArrowType::Decimal128(..)
            | ArrowType::Decimal256(..) => DataType::Float,
            ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::Text,
            ArrowType::Dictionary(_, value) => return DataType::of_arrow(value),
            ArrowType::Date32 | ArrowType::Date64 => DataType::Date,
            ArrowType::Timestamp(..) => DataType::Timestamp,
            _ => return None,
        })
    }

    pub fn is_numeric(self) -> bool {
        matches!(self, DataType::Int | DataType::Float)
    }

    /// Whether a value of this type can be placed on the time line.
    pub fn is_time(self) -> bool {
        matches!(self, DataType::Date | DataType::Timestamp)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataType::Bool => "bool",
            DataType::Int => "int",
            DataType::Float => "float",
            DataType::Text => "text",
            DataType::Date => "date",
            DataType::Timestamp => "timestamp",
        })
    }
}

/// What a value is: a single one, or a list of single ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    One(DataType),
    /// Of elements of this type, any of which may be null; the list itself never is.
    List(DataType),
}

impl ValueType {
    /// `None` for a list.
    pub fn one(self) -> Option<DataType> {
        match self {
            ValueType::One(data_type) => Some(data_type),
            ValueType::List(_) => None,
        }
    }

    pub fn arrow(self) -> ArrowType {
        match self {
            ValueType::One(data_type) => data_type.arrow(),
            ValueType::List(element) => ArrowType::List(Arc::new(Field::new_list_field(element.arrow(), true))),
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueType::One(data_type) => data_type.fmt(f),
            ValueType::List(element) => write!(f, "list of {element}"),
        }
    }
}

/// A named, typed, nullable column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
}

impl Column {
    pub fn new(name: impl Into<String>, data_type: DataType) -> Column {
        Column { name: name.into(), data_type }
    }
}

/// Columns in order. Names are unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema(Vec<Column>);

impl Schema {
    /// Panics when two columns share a name: whoever builds a schema has checked that.
    pub fn new(columns: Vec<Column>) -> Schema {
        let mut names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two columns share a name: {names:?}");
        Schema(columns)
    }

    pub fn columns(&self) -> &[Column] {
        &self.0
    }

    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|column| column.name == name)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.0.iter().find(|column| column.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|column| column.name.as_str())
    }

    pub fn arrow(&self) -> arrow::datatypes::SchemaRef {
        Arc::new(arrow::datatypes::Schema::new(self.arrow_fields()))
    }

    pub fn arrow_fields(&self) -> Vec<Field> {
        self.0.iter().map(|column| Field::new(&column.name, column.data_type.arrow(), true)).collect()
    }
}
