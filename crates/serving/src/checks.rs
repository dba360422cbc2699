//! What an input's checks make of a value. Whoever gives values to a model asks here (endpoints, training, tests, replays), so
//! that a model learns from what it will decide on.

use karat_core::Value;
use karat_project::spec::{FeatureCheck, OnFailure};

use crate::Input;

/// A check that says to decide nothing on a value.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'i> {
    check: &'i FeatureCheck,
}

impl Refusal<'_> {
    /// `range 0..1`
    pub fn words(&self) -> String {
        words(self.check)
    }
}

impl Input {
    /// Whether a check of it may do more than report.
    pub fn checks_act(&self) -> bool {
        self.checks.iter().any(|check| !check.on_failure().is_report())
    }

    /// The checks that do more than report, with what they do: `range ..550: 550 instead`, `not_null: refused`.
    pub fn acting_checks(&self) -> Vec<String> {
        let acting = self.checks.iter().filter(|check| !check.on_failure().is_report());
        acting
            .map(|check| match check.on_failure() {
                OnFailure::Refuse => format!("{}: refused", words(check)),
                OnFailure::Report | OnFailure::Null | OnFailure::Substitute(_) => told(check),
            })
            .collect()
    }

    /// Puts in place of a value what the checks say.
    pub fn settle(&self, value: &mut Value) -> Result<(), Refusal<'_>> {
        self.settle_telling(value, |_, _| {})
    }

    /// As [`Input::settle`]; `failed` hears of each failed check, with the value that failed it. The checks look in their
    /// order, each at what the one before left; after one that refuses, none.
    pub(crate) fn settle_telling(
        &self,
        value: &mut Value,
        mut failed: impl FnMut(&FeatureCheck, &Value),
    ) -> Result<(), Refusal<'_>> {
        for check in &self.checks {
            if passes(check, value) {
                continue;
            }
            failed(check, value);
            match check.on_failure() {
                OnFailure::Report => {}
                OnFailure::Null => *value = Value::Null,
                OnFailure::Substitute(json) => {
                    *value = Value::from_json(json, self.data_type).expect("substitutes are read before a value is");
                }
                OnFailure::Refuse => return Err(Refusal { check }),
            }
        }
        Ok(())
    }

    /// Why a substitute is none for the input's type.
    pub(crate) fn wrong_substitute(&self) -> Option<String> {
        self.checks.iter().find_map(|check| match check.on_failure() {
            OnFailure::Substitute(json) => Value::from_json(json, self.data_type).err().map(|error| error.to_string()),
            OnFailure::Report | OnFailure::Null | OnFailure::Refuse => None,
        })
    }
}

fn passes(check: &FeatureCheck, value: &Value) -> bool {
    match check {
        FeatureCheck::NotNull { .. } => !value.is_null(),
        FeatureCheck::Range { min, max, .. } => {
            let number = match value {
                Value::Int(i) => *i as f64,
                Value::Float(f) => *f,
                _ => return true,
            };
            // A NaN is within no range.
            min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)
        }
        FeatureCheck::Allowed { values, .. } => match value {
            Value::Null => true,
            Value::Text(text) => values.iter().any(|allowed| allowed.as_str() == Some(text.as_ref())),
            value => values.contains(&value.to_json()),
        },
    }
}

fn words(check: &FeatureCheck) -> String {
    let bound = |bound: &Option<f64>| bound.map_or_else(String::new, |b| b.to_string());
    match check {
        FeatureCheck::NotNull { .. } => "not_null".to_owned(),
        FeatureCheck::Range { min, max, .. } => format!("range {}..{}", bound(min), bound(max)),
        FeatureCheck::Allowed { values, .. } => {
            format!("allowed {}", values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}

/// As [`words`], with what was decided on instead.
pub(crate) fn told(check: &FeatureCheck) -> String {
    match check.on_failure() {
        OnFailure::Report | OnFailure::Refuse => words(check),
        OnFailure::Null => format!("{}: null instead", words(check)),
        OnFailure::Substitute(value) => format!("{}: {value} instead", words(check)),
    }
}
