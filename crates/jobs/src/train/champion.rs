//! Champion against challenger, on rows that neither has learned from.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use karat_core::{Instant, Value};
use karat_model::Model;
use karat_project::spec;
use karat_registry::gates::Champion;
use karat_training::Trained;
use karat_training::measures::{Measures, Scored};
use karat_training::split::{Part, SplitReport, assign};

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
    },
}

impl Comparison {
    pub fn champion(&self) -> Champion<'_> {
        match self {
            Comparison::NoChampion => Champion::Absent,
            Comparison::IsChampion => Champion::Itself,
            Comparison::On { champion, .. } => Champion::Measured(champion),
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
    Ok(Comparison::On {
        challenger: measure(&trained.model, &set.data.features, set, &rows)?,
        champion: measure(&champion.model, its_features, set, &rows)?,
    })
}

/// When the last label that shaped a model became known: validation labels choose its rounds and its threshold.
pub fn last_label_time(split: &SplitReport) -> Option<Instant> {
    [split.train.last_label_time, split.validation.last_label_time].into_iter().flatten().max()
}

/// Empty where the rows do not hold both labels: then nothing can be said, and a gate that asks fails.
fn measure(model: &Model, features: &RecordBatch, set: &TrainingSet, rows: &[usize]) -> Result<BTreeMap<String, f64>> {
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
    let Ok(scored) = Scored::new(&scores, &labels) else { return Ok(BTreeMap::new()) };
    let measures = Measures::of(&scored, model.threshold());
    let plain = named(&measures).map(|(name, value)| (name.to_owned(), value));
    let prefixed = named(&measures).map(|(name, value)| (format!("test.{name}"), value));
    Ok(plain.chain(prefixed).collect())
}

fn label(set: &TrainingSet, row: usize) -> Option<bool> {
    match Value::from_array(&set.data.label, row) {
        Value::Bool(label) => Some(label),
        Value::Int(label) => Some(label == 1),
        Value::Float(label) => Some(label == 1.0),
        _ => None,
    }
}
