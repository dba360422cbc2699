//! The two verdicts on a logged decision: whether its arithmetic holds, and whether history says the same features.

use karat_core::{Name, VERSION, Value};
use karat_project::spec::Reasons;
use serde::Serialize;

use crate::reasons::{Explained, ReasonView, Which, because};
use crate::record::LoggedValue;
use crate::{PredictionRecord, Reason, ServingModel};

/// One thing that differs between the log and what was computed again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What differs: `score`, `label`, `feature share_late`, `contribution share_late`…
    pub what: String,
    pub logged: serde_json::Value,
    pub recomputed: serde_json::Value,
}

fn difference(what: impl Into<String>, logged: serde_json::Value, recomputed: serde_json::Value) -> Difference {
    Difference { what: what.into(), logged, recomputed }
}

/// Scores the logged features with the logged model version again; everything must agree, numbers bit for bit and what
/// contributed to nine digits.
pub fn arithmetic(record: &PredictionRecord, model: &ServingModel) -> Vec<Difference> {
    let mut differences = Vec::new();
    if record.model_digest != *model.model.digest() {
        differences.push(difference(
            "model digest",
            record.model_digest.as_str().into(),
            model.model.digest().as_str().into(),
        ));
    }
    let values = match logged_values(record, model) {
        Ok(values) => values,
        Err(difference) => {
            differences.push(*difference);
            return differences;
        }
    };
    let mut row = vec![0.0; values.len()];
    if let Err(error) = model.model.encode_into(&values, &mut row) {
        differences.push(difference("features", serde_json::Value::Null, error.to_string().into()));
        return differences;
    }
    let score = model.model.score(&row);
    if score.to_bits() != record.score.to_bits() {
        differences.push(difference("score", record.score.into(), score.into()));
    }
    let threshold = model.model.threshold();
    if threshold.to_bits() != record.threshold.to_bits() {
        differences.push(difference("threshold", record.threshold.into(), threshold.into()));
    }
    let label = model.model.label(score).to_string();
    if label != record.label {
        differences.push(difference("label", record.label.as_str().into(), label.into()));
    }
    differences.extend(field_differences(record, model));
    differences.extend(reason_differences(record, model, &row, &values));
    differences
}

/// What came with the request stands among the features once more.
fn field_differences(record: &PredictionRecord, model: &ServingModel) -> Vec<Difference> {
    let json = |value: Option<&LoggedValue>| value.map_or(serde_json::Value::Null, |value| value.json().clone());
    let mut names: Vec<&str> = model.pinned.request_fields().map(|(_, input)| input.name.as_str()).collect();
    names.extend(record.fields.keys().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    let is_field = |name: &str| model.pinned.request_fields().any(|(_, input)| input.name == name);
    let differs = names.into_iter().filter(|name| {
        let (field, feature) = (record.fields.get(*name), record.features.get(*name));
        !is_field(name) || field.is_none() || field != feature
    });
    differs
        .map(|name| {
            let feature = record.features.get(name).filter(|_| is_field(name));
            difference(format!("field {name}"), json(record.fields.get(name)), json(feature))
        })
        .collect()
}

fn logged_values(record: &PredictionRecord, model: &ServingModel) -> Result<Vec<Value>, Box<Difference>> {
    let inputs = &model.pinned.inputs;
    if record.features.len() != inputs.len() {
        return Err(Box::new(difference("number of features", record.features.len().into(), inputs.len().into())));
    }
    inputs
        .iter()
        .map(|input| {
            let what = || format!("feature {}", input.name);
            let logged = record.features.get(&input.name);
            let logged =
                logged.ok_or_else(|| Box::new(difference(what(), serde_json::Value::Null, "an input".into())))?;
            logged.value().map_err(|e| Box::new(difference(what(), logged.json().clone(), e.to_string().into())))
        })
        .collect()
}

/// The same up to rounding, in units of the raw score: another build of Karat may add what trees contribute in another order.
fn same_contribution(logged: f64, again: f64) -> bool {
    (logged - again).abs() <= 1e-12 + 1e-9 * logged.abs().max(again.abs())
}

fn reason_differences(
    record: &PredictionRecord,
    model: &ServingModel,
    row: &[f64],
    values: &[Value],
) -> Vec<Difference> {
    let most = u8::try_from(record.reasons.len()).unwrap_or(u8::MAX);
    let explained = record.explained.unwrap_or(Explained { which: Which::All, most });
    let recomputed: Vec<Reason> = reasons(model, row, values, explained);
    let mut differences = Vec::new();
    for place in 0..record.reasons.len().max(recomputed.len()) {
        let (logged, again) = (record.reasons.get(place), recomputed.get(place));
        let (Some(logged), Some(again)) = (logged, again) else {
            let none = || serde_json::Value::from("none");
            let named = |reason: Option<&Reason>| reason.map_or_else(none, |reason| reason.feature.as_str().into());
            differences.push(difference(format!("reason {}", place + 1), named(logged), named(again)));
            continue;
        };
        let name = &again.feature;
        if *name != logged.feature {
            let what = format!("reason {}", place + 1);
            differences.push(difference(what, logged.feature.as_str().into(), name.as_str().into()));
        } else if !same_contribution(logged.contribution, again.contribution) {
            differences.push(difference(
                format!("contribution {name}"),
                logged.contribution.into(),
                again.contribution.into(),
            ));
        } else if again.value != logged.value {
            let what = format!("feature {name} as its reason has it");
            differences.push(difference(what, logged.value.clone(), again.value.clone()));
        } else if again.code != logged.code {
            let code = |reason: &Reason| reason.code.clone().map_or(serde_json::Value::Null, Into::into);
            differences.push(difference(format!("code of reason {name}"), code(logged), code(again)));
        } else if record.karat == VERSION && again.text != logged.text {
            // Other versions of Karat may have worded it otherwise.
            let what = format!("text of reason {name}");
            differences.push(difference(what, logged.text.as_str().into(), again.text.as_str().into()));
        }
    }
    differences
}

fn reasons(model: &ServingModel, row: &[f64], values: &[Value], explained: Explained) -> Vec<Reason> {
    let because = because(model, row, explained).into_iter();
    because.map(|because| ReasonView::new(model, values, because).into()).collect()
}

/// Whether the answer was to carry reasons. It may have carried none all the same, where nothing told against somebody.
pub fn gave_reasons(record: &PredictionRecord) -> bool {
    record
        .explained
        .map_or(!record.reasons.is_empty(), |explained| explained.which != Which::None && explained.most > 0)
}

/// The reasons of a logged decision: those the answer carried; where it was to carry none, all that moved the score, made
/// now from the logged features: as many as the endpoint gives (four, where it gives none), as they would have been
/// then.
pub fn reasons_of(record: &PredictionRecord, model: &ServingModel) -> Vec<Reason> {
    if gave_reasons(record) {
        return record.reasons.clone();
    }
    let Ok(values) = logged_values(record, model) else { return Vec::new() };
    let mut row = vec![0.0; values.len()];
    if model.model.encode_into(&values, &mut row).is_err() {
        return Vec::new();
    }
    let most = record.explained.map(|explained| explained.most).filter(|most| *most > 0);
    reasons(model, &row, &values, Explained { which: Which::All, most: most.unwrap_or(Reasons::default().most) })
}

/// What history says of a decision's key, as of then.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FromHistory {
    /// By input.
    pub features: Vec<(String, Value)>,
    /// The views in which the key had no visible event.
    pub no_history: Vec<Name>,
}

/// Compares the logged features with those computed again from history as of then, as the checks leave them, by name, bit
/// for bit.
pub fn history(record: &PredictionRecord, model: &ServingModel, again: &FromHistory) -> Vec<Difference> {
    let FromHistory { features: recomputed, no_history } = again;
    let mut differences = Vec::new();
    if record.no_history != *no_history {
        let names = |views: &[Name]| views.iter().map(|view| view.as_str().into()).collect::<Vec<serde_json::Value>>();
        differences.push(difference(
            "views without history",
            names(&record.no_history).into(),
            names(no_history).into(),
        ));
    }
    for (name, value) in recomputed {
        let Some(input) = model.pinned.inputs.iter().find(|input| input.name == *name) else { continue };
        let mut value = value.clone();
        if let Err(refusal) = input.settle(&mut value) {
            let logged = record.features.get(name).map_or(serde_json::Value::Null, |l| l.json().clone());
            let refused = format!("refused by its check `{}`", refusal.words());
            differences.push(difference(format!("feature {name}"), logged, refused.into()));
            continue;
        }
        let again = LoggedValue::new(&value, input.data_type);
        match record.features.get(name) {
            // Both as the log keeps them: of several bit patterns that are no number, JSON knows one.
            Some(logged) if logged.value() == again.value() => {}
            logged => differences.push(difference(
                format!("feature {name}"),
                logged.map_or(serde_json::Value::Null, |l| l.json().clone()),
                again.json().clone(),
            )),
        }
    }
    differences
}
