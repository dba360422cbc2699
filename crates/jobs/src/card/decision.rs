//! One logged decision: every input's contribution, and both verdicts of its replay.

use anyhow::{Context, Result, bail};
use karat_core::{Value, key};
use karat_history::log;
use karat_registry::ModelVersion;
use karat_report::card::{Contribution, Explained, ReasonLine, Verdict};
use karat_serving::{Input, PredictionRecord, Reason, RecordReader};

use super::Shown;
use crate::artifact::Loaded;
use crate::{Usage, Workspace, replay};

pub async fn explain(
    workspace: &Workspace,
    version: &ModelVersion,
    loaded: &Loaded,
    shown: Shown<'_>,
    missing: &mut Vec<String>,
) -> Result<Option<Explained>> {
    let id = match shown {
        Shown::Prediction(id) => id.to_owned(),
        Shown::Newest => match newest(workspace, version)? {
            Some(record) => record.prediction_id.to_string(),
            None => return Ok(None),
        },
    };
    let replayed = match (replay::run(workspace, &id).await, shown) {
        (Ok(replayed), _) => replayed,
        (Err(error), Shown::Prediction(_)) => return Err(error),
        (Err(error), Shown::Newest) => {
            missing.push(format!("The newest decision, {id}, cannot be shown: {error:#}."));
            return Ok(None);
        }
    };
    let record = &replayed.prediction;
    if (record.model.as_str(), record.version) != (version.model.as_str(), version.version) {
        bail!(Usage(format!(
            "prediction {id} was made by {}/{}: ask for that version's card",
            record.model, record.version
        )));
    }
    let inputs = &loaded.pinned.inputs;
    let mut values = Vec::with_capacity(inputs.len());
    for input in inputs {
        let logged = record.features.get(&input.name);
        let logged = logged.with_context(|| format!("prediction {id} was logged without {}", input.name))?;
        values.push(logged.value().map_err(anyhow::Error::new)?);
    }
    let mut row = vec![0.0; values.len()];
    loaded.model.encode_into(&values, &mut row)?;
    let mut contributions = vec![0.0; values.len() + 1];
    loaded.model.contributions(&row, &mut contributions);
    let contribution = |(place, ((input, value), contribution)): (usize, ((&Input, &Value), &f64))| Contribution {
        feature: input.name.clone(),
        words: input.words.clone(),
        code: super::code_of(&loaded.pinned, place),
        value: told(value),
        contribution: *contribution,
    };
    let key = record.key.as_ref().map(|logged| key::from_json(&loaded.pinned.keys, logged)).transpose();
    let key = key.with_context(|| format!("prediction {id} was logged with another key"))?;
    Ok(Some(Explained {
        prediction_id: id,
        at: record.at,
        as_of: record.as_of,
        endpoint: record.endpoint.to_string(),
        key: match key {
            Some(key) => loaded.pinned.subject(&key),
            None => "features sent by the caller".to_owned(),
        },
        score: record.score,
        label: record.label.clone(),
        threshold: record.threshold,
        expected: contributions[inputs.len()],
        contributions: inputs.iter().zip(&values).zip(&contributions).enumerate().map(contribution).collect(),
        reasons: replayed
            .reasons
            .iter()
            .map(|reason| ReasonLine {
                code: reason.code.clone(),
                text: text_of(reason, inputs, &values),
                contribution: reason.contribution,
            })
            .collect(),
        findings: record.qa_failures.iter().map(|finding| format!("{}: {}", finding.feature, finding.check)).collect(),
        arithmetic: verdict(&replayed.arithmetic),
        history: verdict(&replayed.history),
        release: record.release,
    }))
}

/// The answer's words, with the value as the card's other figures have it.
fn text_of(reason: &Reason, inputs: &[Input], values: &[Value]) -> String {
    let about = inputs.iter().zip(values).find(|(input, _)| input.name == reason.feature);
    match about {
        Some((_, value)) => reason.text.replacen(&format!(" ({value})"), &format!(" ({})", told(value)), 1),
        None => reason.text.clone(),
    }
}

/// Floats in about six digits: a reader compares them, nobody computes with them.
fn told(value: &Value) -> String {
    match value {
        Value::Null => "missing".to_owned(),
        Value::Float(float) if float.is_finite() && *float != 0.0 => {
            let places = (5 - float.abs().log10().floor() as i32).clamp(0, 9) as usize;
            let text = format!("{float:.places$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        other => other.to_string(),
    }
}

/// The last decision in the log that the version made.
fn newest(workspace: &Workspace, version: &ModelVersion) -> Result<Option<PredictionRecord>> {
    if !workspace.predictions().exists() {
        return Ok(None);
    }
    let reader = RecordReader::beside(workspace.predictions());
    let mut last = None;
    for payload in log::read(workspace.predictions())? {
        let payload = payload?;
        if reader.is_by(&payload, &version.model, version.version).map_err(anyhow::Error::msg)? {
            last = Some(payload);
        }
    }
    last.map(|payload| reader.read(&payload)).transpose().map_err(anyhow::Error::msg)
}

fn verdict(verdict: &replay::Verdict) -> Verdict {
    match verdict {
        replay::Verdict::Same => Verdict::Same,
        replay::Verdict::Different { differences } => Verdict::Different {
            what: differences
                .iter()
                .map(|one| format!("{}: logged {}, computed again {}", one.what, one.logged, one.recomputed))
                .collect(),
        },
        replay::Verdict::NotApplicable { why } => Verdict::NotApplicable { why: why.clone() },
    }
}
