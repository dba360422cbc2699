//! What a person should know about the values behind a decision (failed checks, stale data, values a contract nulled), and
//! what the checks put in their place.

use karat_core::{Instant, Value, Zone};
use karat_features::FeatureRow;
use karat_project::spec::{FeatureCheck, OnFailure};
use serde::{Deserialize, Serialize};

use crate::{Input, Pinned, PinnedView, ServingError};

/// Something about a value that a person should know before trusting the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QaFailure {
    pub feature: String,
    pub value: serde_json::Value,
    /// What was not met, in words: `range 18..100`, `not_null`, `stale_after 70 days`, `job_start_date 3021-09-18 nulled by range`.
    pub check: String,
}

/// `rows` are the views' rows and commits, in the order of [`Pinned::views`]; `values` the inputs, in theirs. They are
/// those to decide on when this returns; what is told is of the values that were there.
pub(crate) fn settle(
    pinned: &Pinned,
    rows: &[(FeatureRow, u64)],
    values: &mut [Value],
    as_of: Instant,
) -> Result<Vec<QaFailure>, ServingError> {
    let mut failures = Vec::new();
    for (input, value) in pinned.inputs.iter().zip(values) {
        let acting = acting(input, value);
        failures.extend(failed(input, value).map(|check| QaFailure {
            feature: input.name.clone(),
            value: value.to_json(),
            check: if acting.is_some_and(|acting| std::ptr::eq(acting, check)) { acted(check) } else { words(check) },
        }));
        if let Some((view, output)) = input.view_output()
            && let Some((row, _)) = rows.get(view)
        {
            failures.extend(row.nulled.iter().filter(|nulled| nulled.feature == output).map(|nulled| QaFailure {
                feature: input.name.clone(),
                value: value.to_json(),
                check: format!("{} {} nulled by {}", nulled.column, nulled.value, nulled.check),
            }));
        }
        let Some(check) = acting else { continue };
        match replacement(input, check) {
            Some(other) => *value = other,
            None => {
                return Err(ServingError::CheckFailed { feature: input.name.clone(), check: words(check) });
            }
        }
    }
    for (view, (row, _)) in pinned.views.iter().zip(rows) {
        failures.extend(stale(view, row, as_of));
    }
    Ok(failures)
}

/// The value that is decided on where history says `value`: what a replay compares.
pub(crate) fn settled(input: &Input, value: &Value) -> Value {
    // What is refused is decided on never.
    acting(input, value).and_then(|check| replacement(input, check)).unwrap_or_else(|| value.clone())
}

/// Why a substitute is none for the input's type.
pub(crate) fn wrong_substitute(input: &Input) -> Option<String> {
    input.checks.iter().find_map(|check| match check.on_failure() {
        OnFailure::Substitute(json) => Value::from_json(json, input.data_type).err().map(|error| error.to_string()),
        OnFailure::Report | OnFailure::Null | OnFailure::Refuse => None,
    })
}

/// The first failed check that does something.
fn acting<'i>(input: &'i Input, value: &Value) -> Option<&'i FeatureCheck> {
    failed(input, value).find(|check| !check.on_failure().is_report())
}

/// What is decided on instead; `None` where nothing is.
fn replacement(input: &Input, check: &FeatureCheck) -> Option<Value> {
    match check.on_failure() {
        OnFailure::Null => Some(Value::Null),
        OnFailure::Substitute(json) => {
            Some(Value::from_json(json, input.data_type).expect("substitutes are read when a version is loaded"))
        }
        OnFailure::Report | OnFailure::Refuse => None,
    }
}

fn failed<'i>(input: &'i Input, value: &Value) -> impl Iterator<Item = &'i FeatureCheck> {
    input.checks.iter().filter(move |check| !passes(check, value))
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
fn acted(check: &FeatureCheck) -> String {
    match check.on_failure() {
        OnFailure::Report | OnFailure::Refuse => words(check),
        OnFailure::Null => format!("{}: null instead", words(check)),
        OnFailure::Substitute(value) => format!("{}: {value} instead", words(check)),
    }
}

fn stale(view: &PinnedView, row: &FeatureRow, as_of: Instant) -> Option<QaFailure> {
    let window = view.stale_after?;
    let newest = row.newest_event?;
    let fresh_until = window.end(newest, &Zone::utc());
    (fresh_until < as_of).then(|| QaFailure {
        feature: view.name.to_string(),
        value: newest.to_string().into(),
        check: format!("stale_after {window}"),
    })
}
