//! What a person should know about the values behind a decision: failed checks, stale data, values a contract nulled.

use karat_core::{Instant, Value, Zone};
use karat_features::FeatureRow;
use karat_project::spec::FeatureCheck;
use serde::{Deserialize, Serialize};

use crate::{Pinned, PinnedView};

/// Something about a value that a person should know before trusting the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QaFailure {
    pub feature: String,
    pub value: serde_json::Value,
    /// What was not met, in words: `range 18..100`, `not_null`, `stale_after 70 days`, `job_start_date 3021-09-18 nulled by range`.
    pub check: String,
}

/// `rows` are the views' rows and commits, in the order of [`Pinned::views`]; `values` the inputs, in theirs.
pub(crate) fn failures(
    pinned: &Pinned,
    rows: &[(FeatureRow, u64)],
    values: &[Value],
    as_of: Instant,
) -> Vec<QaFailure> {
    let mut failures = Vec::new();
    for (input, value) in pinned.inputs.iter().zip(values) {
        failures.extend(input.checks.iter().filter(|check| !passes(check, value)).map(|check| QaFailure {
            feature: input.name.clone(),
            value: value.to_json(),
            check: words(check),
        }));
        let Some((view, output)) = input.view_output() else { continue };
        let Some((row, _)) = rows.get(view) else { continue };
        failures.extend(row.nulled.iter().filter(|nulled| nulled.feature == output).map(|nulled| QaFailure {
            feature: input.name.clone(),
            value: value.to_json(),
            check: format!("{} {} nulled by {}", nulled.column, nulled.value, nulled.check),
        }));
    }
    for (view, (row, _)) in pinned.views.iter().zip(rows) {
        failures.extend(stale(view, row, as_of));
    }
    failures
}

fn passes(check: &FeatureCheck, value: &Value) -> bool {
    match check {
        FeatureCheck::NotNull {} => !value.is_null(),
        FeatureCheck::Range { min, max } => {
            let number = match value {
                Value::Int(i) => *i as f64,
                Value::Float(f) => *f,
                _ => return true,
            };
            // A NaN is within no range.
            min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)
        }
        FeatureCheck::Allowed { values } => match value {
            Value::Null => true,
            Value::Text(text) => values.iter().any(|allowed| allowed.as_str() == Some(text.as_ref())),
            value => values.contains(&value.to_json()),
        },
    }
}

fn words(check: &FeatureCheck) -> String {
    let bound = |bound: &Option<f64>| bound.map_or_else(String::new, |b| b.to_string());
    match check {
        FeatureCheck::NotNull {} => "not_null".to_owned(),
        FeatureCheck::Range { min, max } => format!("range {}..{}", bound(min), bound(max)),
        FeatureCheck::Allowed { values } => {
            format!("allowed {}", values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
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
