//! Champion against challenger, on rows that neither has learned from.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use karat_core::{Digest, Instant, Value};
use karat_model::Model;
use karat_project::spec;
use karat_registry::gates::Champion;
use karat_training::measures::Scored;
use karat_training::split::{Part, SplitReport, assign};
use karat_training::{PartEvaluation, Trained};
use serde::{Deserialize, Serialize};

use super::metrics::named;
use crate::training_set::{TrainingSet, assemble_pinned};
use crate::{Workspace, artifact};

pub enum Comparison {
    NoChampion,
    IsChampion,
    /// Measures of both on the test rows whose as_of is not before either model's last training label.
    On {
        challenger: BTreeMap<String, f64>,
        champion: BTreeMap<String, f64>,
        /// Both in full, as the run keeps them; `None` where those rows do not hold both labels.
        recorded: Option<Box<Compared>>,
    },
}

pub const COMPARISON_FILE: &str = "comparison.json";

const COMPARISON_FORMAT: u32 = 1;

/// A run's `comparison.json`: challenger and champion on rows that neither has learned from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compared {
    pub format_version: u32,
    /// `credit_default/1`
    pub champion: String,
    pub champion_digest: Digest,
    /// Test rows from this as_of on.
    pub from: Instant,
    pub rows: u64,
    pub challenger_evaluation: PartEvaluation,
    pub champion_evaluation: PartEvaluation,
}

impl Comparison {
    pub fn champion(&self) -> Champion<'_> {
        match self {
            Comparison::NoChampion => Champion::Absent,
            Comparison::IsChampion => Champion::Itself,
            Comparison::On { champion, .. } => Champion::Measured(champion),
        }
    }

    /// What the run keeps of it.
    pub fn recorded(&self) -> Option<&Compared> {
        match self {
            Comparison::On { recorded, .. } => recorded.as_deref(),
            Comparison::NoChampion | Comparison::IsChampion => None,
        }
    }
}

const CHAMPION: &str = "champion";

pub async fn compare(
    workspace: &Workspace,
    model: &spec::Model,
    set: &TrainingSet,
    trained: &Trained,
) -> Result<Comparison> {
    let registered = workspace.registry.models().await?;
    let held = registered.iter().find(|registered| registered.name == model.name.as_str());
    let Some(number) = held.and_then(|held| held.aliases.get(CHAMPION).copied()) else {
        return Ok(Comparison::NoChampion);
    };
    let version = workspace.registry.version(&model.name, number).await?;
    if version.digest.as_ref() == Some(trained.model.digest()) {
        return Ok(Comparison::IsChampion);
    }
    let champion = artifact::load(workspace, &version).await?;
    // The champion sees the features it was trained with, which need not be today's.
    let its_set;
    let its_features = if champion.pinned == set.pinned {
        &set.data.features
    } else {
        its_set = assemble_pinned(workspace, model, champion.pinned, Some(&set.commits)).await?;
        &its_set.data.features
    };
    let last_labels = [last_label_time(&trained.split), champion.lineage.last_label_time];
    let fair_from = last_labels.into_iter().flatten().max().unwrap_or(Instant::ALWAYS);
    let assigned = assign(&set.data, &model.split, model.seed)?;
    let rows: Vec<usize> = assigned
        .rows_of(Part::Test)
        .into_iter()
        .filter(|row| Instant::from_micros(set.data.as_of.value(*row)) >= fair_from)
        .collect();
    let ours = measure(&trained.model, &set.data.features, set, &rows)?;
    let its = measure(&champion.model, its_features, set, &rows)?;
    let by_name = |part: &Option<PartEvaluation>| part.as_ref().map(prefixed).unwrap_or_default();
    Ok(Comparison::On {
        challenger: by_name(&ours),
        champion: by_name(&its),
        recorded: ours.zip(its).map(|(challenger_evaluation, champion_evaluation)| {
            Box::new(Compared {
                format_version: COMPARISON_FORMAT,
                champion: version.label(),
                champion_digest: champion.model.digest().clone(),
                from: fair_from,
                rows: rows.len() as u64,
                challenger_evaluation,
                champion_evaluation,
            })
        }),
    })
}

/// When the last label that shaped a model became known: validation labels choose its rounds and its threshold.
pub fn last_label_time(split: &SplitReport) -> Option<Instant> {
    [split.train.last_label_time, split.validation.last_label_time].into_iter().flatten().max()
}

/// `None` where the rows do not hold both labels: then nothing can be said, and a gate that asks fails.
fn measure(model: &Model, features: &RecordBatch, set: &TrainingSet, rows: &[usize]) -> Result<Option<PartEvaluation>> {
    let mut scores = Vec::with_capacity(rows.len());
    let mut labels = Vec::with_capacity(rows.len());
    let mut values = vec![0.0; features.num_columns()];
    for &row in rows {
        for (index, column) in features.columns().iter().enumerate() {
            values[index] = model.encode_value(index, &Value::from_array(column, row))?;
        }
        scores.push(model.score(&values));
        labels.push(label(set, row).context("a test row has a label")?);
    }
    let Ok(scored) = Scored::new(&scores, &labels) else { return Ok(None) };
    Ok(Some(PartEvaluation::of(&scored, model.threshold())))
}

fn prefixed(part: &PartEvaluation) -> BTreeMap<String, f64> {
    let plain = named(&part.measures).map(|(name, value)| (name.to_owned(), value));
    let prefixed = named(&part.measures).map(|(name, value)| (format!("test.{name}"), value));
    plain.chain(prefixed).collect()
}

fn label(set: &TrainingSet, row: usize) -> Option<bool> {
    match Value::from_array(&set.data.label, row) {
        Value::Bool(label) => Some(label),
        Value::Int(label) => Some(label == 1),
        Value::Float(label) => Some(label == 1.0),
        _ => None,
    }
}
