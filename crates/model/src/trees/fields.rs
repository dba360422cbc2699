//! `key=value` sections of the text: the header, then one per tree.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::{ModelError, Place};

#[derive(Debug)]
pub(super) struct Section<'a> {
    place: Place,
    fields: BTreeMap<&'a str, &'a str>,
}

impl<'a> Section<'a> {
    pub(super) fn read(place: Place, text: &'a str) -> Result<Section<'a>, ModelError> {
        let mut section = Section { place, fields: BTreeMap::new() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            if section.fields.insert(key, value).is_some() {
                return Err(section.wrong("key=value", format!("`{}` stands twice", excerpt(key))));
            }
        }
        Ok(section)
    }

    pub(super) fn wrong(&self, field: &'static str, problem: impl Into<String>) -> ModelError {
        ModelError::Text { place: self.place, field, problem: problem.into() }
    }

    pub(super) fn optional(&self, field: &str) -> Option<&'a str> {
        self.fields.get(field).copied()
    }

    pub(super) fn required(&self, field: &'static str) -> Result<&'a str, ModelError> {
        self.optional(field).ok_or_else(|| self.wrong(field, "missing"))
    }

    pub(super) fn one<T: FromStr>(&self, field: &'static str) -> Result<T, ModelError> {
        let text = self.required(field)?;
        text.trim().parse().map_err(|_| self.wrong(field, format!("`{}` is not what stands here", excerpt(text))))
    }

    /// A list of exactly `length` values. Memory is bounded by the text, whatever length another field claims.
    pub(super) fn list<T: FromStr>(&self, field: &'static str, length: usize) -> Result<Vec<T>, ModelError> {
        let mut values = Vec::new();
        for (index, word) in self.required(field)?.split_ascii_whitespace().enumerate() {
            let value = word.parse();
            values.push(
                value.map_err(|_| self.wrong(field, format!("value {index}, `{}`, cannot be read", excerpt(word))))?,
            );
        }
        if values.len() != length {
            return Err(self.wrong(field, format!("{} values where {length} belong", values.len())));
        }
        Ok(values)
    }

    pub(super) fn finite(&self, field: &'static str, length: usize) -> Result<Vec<f64>, ModelError> {
        let values = self.list::<f64>(field, length)?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(self.wrong(field, format!("value {index} is not finite"))),
            None => Ok(values),
        }
    }
}

/// The beginning of a stranger's text, safe to print.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect()
}
