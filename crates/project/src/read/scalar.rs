//! Decoders of single values. Each reports what it expected and what it found.

use std::str::FromStr;

use karat_core::{DataType, Name, Window, Zone};

use super::reader::Reader;
use super::slips;
use crate::files::Span;
use crate::spec::ByteSize;
use crate::suggest::{nearest, shorten, ticked};
use crate::variables::expand;
use crate::yaml::{Node, Scalar, Shape};

pub(crate) fn text(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    match &node.shape {
        Shape::Scalar(Scalar::Text(text)) => Some(text.clone()),
        Shape::Scalar(Scalar::Int(_) | Scalar::Float(..) | Scalar::Bool(_)) => {
            reader.wrong_with_help(node, "text", "put it in quotes")
        }
        Shape::Scalar(Scalar::Null) | Shape::List(_) | Shape::Map(_) => reader.wrong(node, "text"),
    }
}

/// A text that may refer to variables: kept as it is written, once all of them are there.
pub(crate) fn variable_text(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = text(reader, node)?;
    match expand(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            reader.problem(node.span, error.to_string());
            None
        }
    }
}

/// An SQL expression or query: text that is not blank.
pub(crate) fn sql(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    match text(reader, node)? {
        blank if blank.trim().is_empty() => reader.wrong(node, "an SQL expression"),
        sql => Some(sql),
    }
}

pub(crate) fn texts(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    reader.list(node, "a list of texts", text)
}

pub(crate) fn columns(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    reader.list(node, "a list of columns", text)
}

pub(crate) fn name(reader: &mut Reader<'_>, node: &Node) -> Option<Name> {
    let text = text(reader, node)?;
    match Name::new(&text) {
        Ok(name) => Some(name),
        Err(_) => bad_name(reader, node.span, &text),
    }
}

pub(crate) fn bad_name<T>(reader: &mut Reader<'_>, span: Span, text: &str) -> Option<T> {
    let rule = "a letter, then letters, digits, `_` or `-`, at most 63 characters";
    reader.problem(span, format!("`{}` is not a name: {rule}", shorten(text)));
    None
}

pub(crate) fn boolean(reader: &mut Reader<'_>, node: &Node) -> Option<bool> {
    match &node.shape {
        Shape::Scalar(Scalar::Bool(value)) => Some(*value),
        Shape::Scalar(Scalar::Text(text)) => {
            let help = match text.to_ascii_lowercase().as_str() {
                "yes" | "y" | "on" | "true" => "write `true`",
                "no" | "n" | "off" | "false" => "write `false`",
                _ => return reader.wrong(node, "`true` or `false`"),
            };
            reader.wrong_with_help(node, "`true` or `false`", help)
        }
        _ => reader.wrong(node, "`true` or `false`"),
    }
}

/// A finite number.
pub(crate) fn number(reader: &mut Reader<'_>, node: &Node) -> Option<f64> {
    match &node.shape {
        Shape::Scalar(Scalar::Int(int)) => Some(*int as f64),
        Shape::Scalar(Scalar::Float(float, _)) if float.is_finite() => Some(*float),
        Shape::Scalar(Scalar::Text(text)) => match slips::number(text) {
            Some(help) => reader.wrong_with_help(node, "a number", help),
            None => reader.wrong(node, "a number"),
        },
        _ => reader.wrong(node, "a number"),
    }
}

/// A whole number between those of `T`.
pub(crate) fn whole<T: TryFrom<i64> + Bounded>(reader: &mut Reader<'_>, node: &Node) -> Option<T> {
    let (least, most) = T::BOUNDS;
    match &node.shape {
        Shape::Scalar(Scalar::Int(int)) => match T::try_from(*int) {
            Ok(value) => Some(value),
            Err(_) if most == i64::MAX => reader.wrong(node, format!("a whole number from {least} up")),
            Err(_) => reader.wrong(node, format!("a whole number from {least} to {most}")),
        },
        _ => reader.wrong(node, "a whole number"),
    }
}

/// A whole number that may not be 0.
pub(crate) fn at_least_one<T: TryFrom<i64> + Bounded>(reader: &mut Reader<'_>, node: &Node) -> Option<T> {
    match &node.shape {
        Shape::Scalar(Scalar::Int(..=0)) => reader.wrong(node, "a whole number from 1 up"),
        _ => whole(reader, node),
    }
}

/// The range of a type of whole numbers, as far as files can write it.
pub(crate) trait Bounded {
    const BOUNDS: (i64, i64);
}

impl Bounded for u8 {
    const BOUNDS: (i64, i64) = (0, u8::MAX as i64);
}

impl Bounded for u16 {
    const BOUNDS: (i64, i64) = (0, u16::MAX as i64);
}

impl Bounded for u32 {
    const BOUNDS: (i64, i64) = (0, u32::MAX as i64);
}

impl Bounded for u64 {
    const BOUNDS: (i64, i64) = (0, i64::MAX);
}

impl Bounded for i32 {
    const BOUNDS: (i64, i64) = (i32::MIN as i64, i32::MAX as i64);
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(reader: &mut Reader<'_>, node: &Node, words: &[(&str, T)]) -> Option<T> {
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let expected = match names.as_slice() {
        [only] => format!("`{only}`"),
        _ => format!("one of {}", ticked(&names)),
    };
    let Shape::Scalar(Scalar::Text(text)) = &node.shape else { return reader.wrong(node, expected) };
    if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
        return Some(*value);
    }
    match nearest(text, names) {
        Some(near) => reader.wrong_with_help(node, &expected, format!("did you mean `{near}`?")),
        None => reader.wrong(node, expected),
    }
}

pub(crate) fn window(reader: &mut Reader<'_>, node: &Node) -> Option<Window> {
    let text = match &node.shape {
        Shape::Scalar(Scalar::Text(text)) => text.clone(),
        Shape::Scalar(Scalar::Int(number)) => number.to_string(),
        Shape::Scalar(Scalar::Float(_, text)) => text.clone(),
        _ => return reader.wrong_with_help(node, "a length of time", "write it like `30 days` or `6 months`"),
    };
    match text.parse() {
        Ok(window) => Some(window),
        Err(_) => reader.wrong_with_help(node, "a length of time", slips::length(&text)),
    }
}

/// A length of time that a clock measures: no calendar months.
pub(crate) fn length(reader: &mut Reader<'_>, node: &Node) -> Option<Window> {
    match parsed(reader, node, "a length of time", "write it like `500 milliseconds` or `10 seconds`")? {
        Window::Months(_) => reader.wrong_with_help(node, "a length of time", "write it like `10 seconds`"),
        fixed @ Window::Fixed(_) => Some(fixed),
    }
}

pub(crate) fn size(reader: &mut Reader<'_>, node: &Node) -> Option<ByteSize> {
    match &node.shape {
        Shape::Scalar(Scalar::Int(bytes @ 0..)) => Some(ByteSize(*bytes as u64)),
        _ => parsed(reader, node, "a number of bytes", "write it like `4 MiB`"),
    }
}

pub(crate) fn zone(reader: &mut Reader<'_>, node: &Node) -> Option<Zone> {
    let name = text(reader, node)?;
    match Zone::named(&name) {
        Ok(zone) => Some(zone),
        Err(_) => reader.wrong_with_help(node, "a time zone", "write a name like Europe/Prague, or UTC"),
    }
}

fn parsed<T: FromStr>(reader: &mut Reader<'_>, node: &Node, expected: &str, help: &str) -> Option<T> {
    let value = match &node.shape {
        Shape::Scalar(Scalar::Text(text)) => text.parse().ok(),
        _ => None,
    };
    match value {
        Some(value) => Some(value),
        None => reader.wrong_with_help(node, expected, help),
    }
}

pub(crate) fn data_type(reader: &mut Reader<'_>, node: &Node) -> Option<DataType> {
    const TYPES: [(&str, DataType); 6] = [
        ("bool", DataType::Bool),
        ("int", DataType::Int),
        ("float", DataType::Float),
        ("text", DataType::Text),
        ("date", DataType::Date),
        ("timestamp", DataType::Timestamp),
    ];
    // What other tools call them.
    let ours = match &node.shape {
        Shape::Scalar(Scalar::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "str" | "string" | "varchar" | "char" | "utf8" | "object" => Some("text"),
            "integer" | "bigint" | "smallint" | "int32" | "int64" | "long" => Some("int"),
            "double" | "real" | "decimal" | "numeric" | "float32" | "float64" | "number" => Some("float"),
            "datetime" | "time" | "instant" => Some("timestamp"),
            _ => None,
        },
        _ => None,
    };
    match ours {
        Some(ours) => {
            let names = TYPES.map(|(name, _)| name);
            reader.wrong_with_help(node, &format!("one of {}", ticked(&names)), format!("did you mean `{ours}`?"))
        }
        None => choice(reader, node, &TYPES),
    }
}

/// A single value as JSON: of an allowed list, or a bound.
pub(crate) fn json(reader: &mut Reader<'_>, node: &Node) -> Option<serde_json::Value> {
    match &node.shape {
        Shape::Scalar(Scalar::Bool(value)) => Some((*value).into()),
        Shape::Scalar(Scalar::Int(value)) => Some((*value).into()),
        Shape::Scalar(Scalar::Float(value, _)) if value.is_finite() => Some((*value).into()),
        Shape::Scalar(Scalar::Text(value)) => Some(value.clone().into()),
        _ => reader.wrong(node, "a single value: text, a number, `true` or `false`"),
    }
}

pub(crate) fn jsons(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<serde_json::Value>> {
    reader.list(node, "a list of values", json)
}
