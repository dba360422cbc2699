use std::collections::HashSet;

use crate::files::Span;
use crate::suggest::shorten;
use crate::variables::{VariableError, expand, has_variables};

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) shape: Shape,
    /// The text that stands in the file, where variables in it were filled in: messages show it, never the value.
    pub(crate) written: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// A scalar by YAML 1.2's core schema: `yes`, `no` and dates are text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// What an `i64` cannot hold, and every number with a point or an exponent. The text is kept for messages.
    Float(f64, String),
    Text(String),
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.shape, Shape::Scalar(Scalar::Null))
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.shape {
            Shape::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Shape::Scalar(_) | Shape::List(_) => None,
        }
    }

    /// What stands here, as messages call it: `the number 3`, `a list`.
    pub(crate) fn describe(&self) -> String {
        if let Some(written) = &self.written {
            return format!("what `{}` stands for", shorten(written));
        }
        match &self.shape {
            Shape::Scalar(Scalar::Null) => "nothing".to_owned(),
            Shape::Scalar(Scalar::Bool(b)) => format!("`{b}`"),
            Shape::Scalar(Scalar::Int(i)) => format!("the number {i}"),
            Shape::Scalar(Scalar::Float(_, text)) => format!("the number {text}"),
            Shape::Scalar(Scalar::Text(text)) => format!("the text `{}`", shorten(text)),
            Shape::List(_) => "a list".to_owned(),
            Shape::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Takes away the list items that start where one of `failed` does, so that places of the items that were decoded
    /// count as the decoded lists do.
    pub(crate) fn prune(&mut self, failed: &HashSet<Span>) {
        match &mut self.shape {
            Shape::Scalar(_) => {}
            Shape::List(items) => {
                items.retain(|item| !failed.contains(&item.span));
                items.iter_mut().for_each(|item| item.prune(failed));
            }
            Shape::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.prune(failed)),
        }
    }

    /// Fills in the variables of every text below; reports those that cannot be. A text that is one reference and
    /// nothing else may stand for a number.
    pub(crate) fn fill_in(&mut self, report: &mut impl FnMut(Span, VariableError)) {
        match &mut self.shape {
            Shape::Scalar(Scalar::Text(text)) if has_variables(text) => match expand(text) {
                Ok(filled) => {
                    let number = match Scalar::plain(&filled) {
                        Scalar::Int(int) if text.starts_with("${") && text.find('}') == Some(text.len() - 1) => {
                            Some(int)
                        }
                        _ => None,
                    };
                    self.written = Some(std::mem::take(text));
                    self.shape = Shape::Scalar(number.map_or(Scalar::Text(filled), Scalar::Int));
                }
                Err(error) => report(self.span, error),
            },
            Shape::Scalar(_) => {}
            Shape::List(items) => items.iter_mut().for_each(|item| item.fill_in(report)),
            Shape::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.fill_in(report)),
        }
    }

    /// `over` laid over this: mappings merge key by key, everything else is replaced.
    pub(crate) fn overlay(&mut self, over: Node) {
        match (&mut self.shape, over.shape) {
            (Shape::Map(entries), Shape::Map(others)) => {
                for other in others {
                    match entries.iter_mut().find(|entry| entry.key == other.key) {
                        Some(entry) => entry.value.overlay(other.value),
                        None => entries.push(other),
                    }
                }
            }
            (shape, other) => {
                *shape = other;
                self.span = over.span;
                self.written = over.written;
            }
        }
    }
}

impl Scalar {
    /// What a plain (unquoted) scalar means.
    pub(crate) fn plain(text: &str) -> Scalar {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
            "true" | "True" | "TRUE" => return Scalar::Bool(true),
            "false" | "False" | "FALSE" => return Scalar::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN, text.to_owned()),
            _ => {}
        }
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
            let infinity = if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
            return Scalar::Float(infinity, text.to_owned());
        }
        let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok();
        if let Some(int) = text.strip_prefix("0x").and_then(|digits| radix(digits, 16)) {
            return Scalar::Int(int);
        }
        if let Some(int) = text.strip_prefix("0o").and_then(|digits| radix(digits, 8)) {
            return Scalar::Int(int);
        }
        // Rust reads more as a float than YAML does (`inf`, `nan`): a number begins with a digit or a point.
        let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.contains(|c: char| c.is_ascii_digit())
            && unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
        if numeric {
            if let Ok(int) = text.parse::<i64>() {
                return Scalar::Int(int);
            }
            if let Ok(float) = text.parse::<f64>() {
                return Scalar::Float(float, text.to_owned());
            }
        }
        Scalar::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for text in ["yes", "no", "N", "2021-10-01", "1.2.3", "inf", "nan", "1e", "0x", "-", ".", "--1", "1 2"] {
            assert_eq!(Scalar::plain(text), Scalar::Text(text.to_owned()));
        }
        assert_eq!(Scalar::plain("~"), Scalar::Null);
        assert_eq!(Scalar::plain("True"), Scalar::Bool(true));
        assert_eq!(Scalar::plain("-12"), Scalar::Int(-12));
        assert_eq!(Scalar::plain("0x1F"), Scalar::Int(31));
        assert_eq!(Scalar::plain("1e3"), Scalar::Float(1000.0, "1e3".to_owned()));
        assert_eq!(Scalar::plain(".5"), Scalar::Float(0.5, ".5".to_owned()));
        assert_eq!(Scalar::plain("-.inf"), Scalar::Float(f64::NEG_INFINITY, "-.inf".to_owned()));
        let beyond = "99999999999999999999";
        assert_eq!(Scalar::plain(beyond), Scalar::Float(1e20, beyond.to_owned()));
    }
}
