//! A logged decision computed again: from the log alone, and from history as of then.

use anyhow::{Context, Result, bail};
use arrow::array::{AsArray, Int64Array};
use karat_core::{PredictionId, Value, key};
use karat_features::Spine;
use karat_history::log;
use karat_serving::{
    Difference, FromHistory, PredictionRecord, Reason, RecordReader, arithmetic, gave_reasons, history, reasons_of,
};
use serde::Serialize;

use crate::catalog::key_arrays;
use crate::training_set::as_of_pass;
use crate::{NotFound, Usage, Workspace, artifact};

/// Both verdicts on one decision.
#[derive(Debug, Serialize)]
pub struct Replayed {
    pub prediction: PredictionRecord,
    pub arithmetic: Verdict,
    pub history: Verdict,
    /// What the answer gave as its reasons; where it was to give none, what moved the score, made now.
    pub reasons: Vec<Reason>,
    /// Whether the reasons are the answer's.
    pub reasons_given: bool,
    /// Who permitted the version that decided.
    pub approvals: Vec<karat_registry::Approval>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Every bit agrees.
    Same,
    Different {
        differences: Vec<Difference>,
    },
    /// Nothing to compare, and why.
    NotApplicable {
        why: String,
    },
}

impl Verdict {
    fn of(differences: Vec<Difference>) -> Verdict {
        if differences.is_empty() { Verdict::Same } else { Verdict::Different { differences } }
    }
}

impl Replayed {
    /// Whether nothing differs.
    pub fn holds(&self) -> bool {
        ![&self.arithmetic, &self.history].into_iter().any(|verdict| matches!(verdict, Verdict::Different { .. }))
    }
}

/// Reads no commit later than those logged, and uses the definitions the version pins.
pub async fn run(workspace: &Workspace, prediction: &str) -> Result<Replayed> {
    let id: PredictionId = prediction
        .parse()
        .map_err(|_| Usage(format!("`{prediction}` is not the id of a prediction, as answers carry it")))?;
    let record = find(workspace, id)?;
    let version = workspace.registry.version(&record.model, record.version).await?;
    let release = (record.release, record.release_digest.clone());
    let model = artifact::serving_model(workspace, &version, release).await?;
    let history = if record.sent {
        Verdict::NotApplicable { why: "the caller sent the features; no history stands behind them".to_owned() }
    } else {
        let mut differences = pinned_differences(&record, &model);
        differences.extend(history(&record, &model, &from_history(workspace, &record, &model).await?));
        Verdict::of(differences)
    };
    Ok(Replayed {
        arithmetic: Verdict::of(arithmetic(&record, &model)),
        history,
        reasons: reasons_of(&record, &model),
        reasons_given: gave_reasons(&record),
        approvals: version.approvals,
        prediction: record,
    })
}

/// Ids sort by time, and so does the log; still every payload is looked at, so that none is missed.
fn find(workspace: &Workspace, id: PredictionId) -> Result<PredictionRecord> {
    let reader = RecordReader::beside(workspace.predictions());
    for payload in log::read(workspace.predictions())? {
        if let Some(record) = reader.read_if(&payload?, id).map_err(anyhow::Error::msg)? {
            return Ok(record);
        }
    }
    bail!(NotFound(format!("no prediction {id} is in the log of this project")))
}

fn pinned_differences(record: &PredictionRecord, model: &karat_serving::ServingModel) -> Vec<Difference> {
    let pinned = model.pinned.digests();
    let mut differences = Vec::new();
    for (view, digest) in &pinned {
        if record.definitions.get(view) != Some(digest) {
            differences.push(Difference {
                what: format!("definition of {view}"),
                logged: record.definitions.get(view).map_or(serde_json::Value::Null, |d| d.as_str().into()),
                recomputed: digest.as_str().into(),
            });
        }
    }
    differences
}

/// The features as of then, as known then, from no later commit than each view had seen then.
async fn from_history(
    workspace: &Workspace,
    record: &PredictionRecord,
    model: &karat_serving::ServingModel,
) -> Result<FromHistory> {
    let key = record.key.as_ref().context("a decision on stored features has a key")?;
    let key = key::from_json(&model.pinned.keys, key).context("the logged key")?;
    let mut rows = Vec::new();
    let mut no_history = Vec::new();
    for (place, (read, pinned)) in model.views().iter().zip(&model.pinned.views).enumerate() {
        let spine = Spine {
            keys: key_arrays(read.view.key_columns(), [model.key_of(place, &key).as_slice()]),
            as_of: Int64Array::from(vec![record.as_of.micros()]),
            known_at: None,
            since: None,
        };
        let source = &read.view.definition().source.name;
        let commit = record.commit_of(&pinned.name, source);
        let commit = commit.with_context(|| format!("the log does not say which commit of {source} was seen"))?;
        let row = as_of_pass(workspace, &read.view, &spine, Some(commit)).await?.0;
        if row.column(row.num_columns() - 1).as_boolean().value(0) {
            no_history.push(pinned.name.clone());
        }
        rows.push(row);
    }
    let inputs = model.pinned.inputs.iter().filter_map(|input| match input.origin {
        karat_serving::InputOrigin::View { view, output } => {
            Some((input.name.clone(), Value::from_array(rows[view].column(output), 0)))
        }
        karat_serving::InputOrigin::Request => None,
    });
    Ok(FromHistory { features: inputs.collect(), no_history })
}
