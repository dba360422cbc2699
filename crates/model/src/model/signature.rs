use std::collections::HashSet;
use std::fmt;

use karat_core::DataType;
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// What the model takes, in the trees' column order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature {
    pub inputs: Vec<Input>,
}

/// One input: a feature or a field of the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
    pub transform: Transform,
    /// How a reason speaks of it: "share of earlier months paid late".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The lender's own code for that reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What training was told; the trees already keep to it.
    #[serde(default, skip_serializing_if = "Monotone::is_none")]
    pub monotone: Monotone,
}

/// From a value to the number the trees compare. Null is NaN in all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// The number itself (`int`, `float`).
    Numeric,
    /// False 0, true 1 (`bool`).
    Boolean,
    /// The text's position in this list; a text that is not in it is missing.
    Categories(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monotone {
    #[default]
    None,
    Increasing,
    Decreasing,
}

/// What an outcome is called: `false` and `true`, `"paid"` and `"late"`, 0 and 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a label is text, a whole number, true or false")]
pub enum Label {
    Bool(bool),
    Int(i64),
    Text(String),
}

impl Signature {
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|input| input.name == name)
    }

    pub(super) fn check(&self, features: usize) -> Result<(), ModelError> {
        let wrong = |problem: String| Err(ModelError::Signature(problem));
        if self.inputs.len() != features {
            return wrong(format!("{} inputs for trees of {features} features", self.inputs.len()));
        }
        let mut names = HashSet::new();
        for input in &self.inputs {
            if !names.insert(input.name.as_str()) {
                return wrong(format!("two inputs are called `{}`", input.name));
            }
            let fits = match &input.transform {
                Transform::Numeric => input.data_type.is_numeric(),
                Transform::Boolean => input.data_type == DataType::Bool,
                Transform::Categories(_) => input.data_type == DataType::Text,
            };
            if !fits {
                return wrong(format!(
                    "`{}` is of type {}: numeric takes int and float, boolean takes bool, categories take text; \
                     make a number of anything else with an expression",
                    input.name, input.data_type
                ));
            }
            if let Transform::Categories(texts) = &input.transform {
                let mut seen = HashSet::new();
                if let Some(text) = texts.iter().find(|text| !seen.insert(text.as_str())) {
                    return wrong(format!("`{}` lists the category `{text}` twice", input.name));
                }
            }
        }
        Ok(())
    }
}

impl Input {
    /// An input without reason words or constraint.
    pub fn new(name: impl Into<String>, data_type: DataType, transform: Transform) -> Input {
        Input { name: name.into(), data_type, transform, words: None, code: None, monotone: Monotone::None }
    }
}

impl Monotone {
    fn is_none(&self) -> bool {
        *self == Monotone::None
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Bool(value) => value.fmt(f),
            Label::Int(value) => value.fmt(f),
            Label::Text(value) => f.write_str(value),
        }
    }
}
