//! What a person should know about the values behind a decision: failed checks, stale data, values a contract nulled.

use karat_core::{Instant, Value, Zone};
use karat_features::{FeatureRow, NulledFeature};
use serde::{Deserialize, Serialize};

use crate::{Input, Pinned, PinnedView, checks};

/// Something about a value that a person should know before trusting the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QaFailure {
    pub feature: String,
    pub value: serde_json::Value,
    /// What was not met, in words: `range 18..100`, `not_null`, `stale_after 70 days`, `job_start_date 3021-09-18 nulled by range`.
    pub check: String,
}

/// Why an input's checks let no decision be made.
pub(crate) struct Refused {
    pub(crate) feature: String,
    pub(crate) check: String,
}

/// `rows` are the views' rows and commits, in the order of [`Pinned::views`]; `values` the inputs, in theirs. They are
/// those to decide on when this returns; what is told is of the values that were there.
pub(crate) fn settle(
    pinned: &Pinned,
    rows: &[(FeatureRow, u64)],
    values: &mut [Value],
    as_of: Instant,
) -> Result<Vec<QaFailure>, Refused> {
    let mut failures = Vec::new();
    for (input, value) in pinned.inputs.iter().zip(values) {
        let nulled = nulled(input, rows, value);
        let settled = input.settle_telling(value, |check, value| {
            failures.push(QaFailure {
                feature: input.name.clone(),
                value: value.to_json(),
                check: checks::told(check),
            });
        });
        settled.map_err(|refusal| Refused { feature: input.name.clone(), check: refusal.words() })?;
        failures.extend(nulled);
    }
    for (view, (row, _)) in pinned.views.iter().zip(rows) {
        failures.extend(stale(view, row, as_of));
    }
    Ok(failures)
}

/// What a contract took from the rows that the input's value rests on.
fn nulled(input: &Input, rows: &[(FeatureRow, u64)], value: &Value) -> Vec<QaFailure> {
    let Some((view, output)) = input.view_output() else { return Vec::new() };
    let Some((row, _)) = rows.get(view) else { return Vec::new() };
    let of_input = row.nulled.iter().filter(|nulled| nulled.feature == output);
    let failure = |nulled: &NulledFeature| QaFailure {
        feature: input.name.clone(),
        value: value.to_json(),
        check: format!("{} {} nulled by {}", nulled.column, nulled.value, nulled.check),
    };
    of_input.map(failure).collect()
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
