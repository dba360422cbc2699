//! The two verdicts on a logged decision: whether its arithmetic holds, and whether history says the same features.

use karat_core::Value;
use serde::Serialize;

use crate::record::LoggedValue;
use crate::{PredictionRecord, ServingModel};

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

/// Scores the logged features with the logged model version again; everything must agree bit for bit.
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
    differences.extend(reason_differences(record, model, &row, &values));
    differences
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

fn reason_differences(
    record: &PredictionRecord,
    model: &ServingModel,
    row: &[f64],
    values: &[Value],
) -> Vec<Difference> {
    let recomputed = model.model.reasons(row, record.reasons.len());
    let mut differences = Vec::new();
    for (place, logged) in record.reasons.iter().enumerate() {
        let Some(again) = recomputed.get(place) else {
            differences.push(difference(
                format!("reason {}", logged.feature),
                logged.contribution.into(),
                "none".into(),
            ));
            continue;
        };
        let name = &model.pinned.inputs[again.feature].name;
        let value = values[again.feature].to_json();
        if *name != logged.feature {
            let what = format!("reason {}", place + 1);
            differences.push(difference(what, logged.feature.as_str().into(), name.as_str().into()));
        } else if again.contribution.to_bits() != logged.contribution.to_bits() {
            differences.push(difference(
                format!("contribution {name}"),
                logged.contribution.into(),
                again.contribution.into(),
            ));
        } else if value != logged.value {
            differences.push(difference(format!("feature {name} as its reason has it"), logged.value.clone(), value));
        }
    }
    differences
}

/// Compares the logged features with those computed again from history as of then, by name, bit for bit.
pub fn history(record: &PredictionRecord, model: &ServingModel, recomputed: &[(String, Value)]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, value) in recomputed {
        let data_type = model.pinned.inputs.iter().find(|input| input.name == *name).map(|input| input.data_type);
        let Some(data_type) = data_type else { continue };
        let again = LoggedValue::new(value, data_type);
        match record.features.get(name) {
            Some(logged) if logged.value().as_ref() == Ok(value) => {}
            logged => differences.push(difference(
                format!("feature {name}"),
                logged.map_or(serde_json::Value::Null, |l| l.json().clone()),
                again.json().clone(),
            )),
        }
    }
    differences
}
