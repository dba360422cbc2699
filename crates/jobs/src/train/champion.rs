//! Champion against challenger, on rows that neither has learned from.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use karat_core::{Digest, Instant, RunId, Value};
use karat_model::Model;
use karat_project::spec::{self, SplitBy};
use karat_registry::ModelVersion;
use karat_registry::gates::Champion;
use karat_serving::Pinned;
use karat_training::measures::Scored;
use karat_training::split::{Part, SplitReport, assign};
use karat_training::{PartEvaluation, Trained, TrainingData};
use serde::{Deserialize, Serialize};

use super::metrics::compared;
use super::record::SPEC_FILE;
use crate::training_set::{Pins, TrainingSet, assemble_for, spine_inputs};
use crate::{Workspace, artifact};

pub enum Comparison {
    NoChampion,
    /// Or scores as it does, with other reasons.
    IsChampion,
    /// Measures of both on the test rows that neither has learned from.
    On {
        challenger: BTreeMap<String, f64>,
        champion: BTreeMap<String, f64>,
        /// Both in full, as the run keeps them.
        recorded: Box<Compared>,
    },
    /// No rows are fair to both, or none can be told.
    Impossible {
        why: String,
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
    /// Test rows from this as_of on, where a split by time says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Instant>,
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
            Comparison::Impossible { why } => Champion::Incomparable(why),
        }
    }

    /// What the run keeps of it.
    pub fn recorded(&self) -> Option<&Compared> {
        match self {
            Comparison::On { recorded, .. } => Some(recorded),
            Comparison::NoChampion | Comparison::IsChampion | Comparison::Impossible { .. } => None,
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
    if version.digest.as_ref() == Some(trained.model.digest()) && set.pinned.has_values_of(&version.definitions) {
        return Ok(Comparison::IsChampion);
    }
    let champion = artifact::load(workspace, &version).await?;
    let Some(spec) = spec_of(workspace, &champion.lineage.run_id).await? else {
        let why = format!("the run of {} is not here: nothing says which rows it has learned from", version.label());
        return Ok(Comparison::Impossible { why });
    };
    if let Some(why) = missing(workspace, model, &version, &champion.pinned, &spec)? {
        return Ok(Comparison::Impossible { why });
    }
    // The champion sees the features it was trained with, which need not be today's.
    let its_set;
    let its_data = if champion.pinned == set.pinned && spec.split.column == model.split.column {
        &set.data
    } else {
        let pins = Pins { pinned: champion.pinned, label: set.label_definition.clone() };
        its_set = assemble_for(workspace, model, pins, &spec.split, Some(&set.commits)).await?;
        say_what_stands_still(workspace, &version.label(), &its_set);
        &its_set.data
    };
    let ours = Unlearned::of(&set.data, &model.split, model.seed, last_label_time(&trained.split))?;
    let its = Unlearned::of(its_data, &spec.split, spec.seed, champion.lineage.last_label_time)?;
    let assigned = assign(&set.data, &model.split, model.seed)?;
    let rows: Vec<usize> = assigned
        .rows_of(Part::Test)
        .into_iter()
        .filter(|row| ours.holds(&set.data, *row) && its.holds(its_data, *row) && !its_data.refused.contains(row))
        .collect();
    let measured = measure(&trained.model, &set.data.features, set, &rows)?.zip(measure(
        &champion.model,
        &its_data.features,
        set,
        &rows,
    )?);
    let Some((challenger_evaluation, champion_evaluation)) = measured else {
        let why = "no row that neither has learned from holds both labels".to_owned();
        return Ok(Comparison::Impossible { why });
    };
    Ok(Comparison::On {
        challenger: compared(&challenger_evaluation),
        champion: compared(&champion_evaluation),
        recorded: Box::new(Compared {
            format_version: COMPARISON_FORMAT,
            champion: version.label(),
            champion_digest: champion.model.digest().clone(),
            from: ours.from().into_iter().chain(its.from()).max(),
            rows: rows.len() as u64,
            challenger_evaluation,
            champion_evaluation,
        }),
    })
}

/// As the version's run was told to train; `None` where its files are not here.
async fn spec_of(workspace: &Workspace, run: &RunId) -> Result<Option<spec::Model>> {
    let path = format!("runs/{run}/{SPEC_FILE}");
    if !workspace.artifacts.exists(&path).await? {
        return Ok(None);
    }
    let bytes = workspace.artifacts.get(&path).await?;
    Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("{path} cannot be read"))?))
}

/// What the spine of today lacks to show the champion the rows, or to tell which of them it has learned from.
fn missing(
    workspace: &Workspace,
    model: &spec::Model,
    version: &ModelVersion,
    pinned: &Pinned,
    its: &spec::Model,
) -> Result<Option<String>> {
    let (label, source) = (version.label(), &model.spine.source);
    if its.split.by == SplitBy::Random && its.spine.as_of != model.spine.as_of {
        let why = format!("{label} dealt its rows out by another as_of: nothing says which it has learned from");
        return Ok(Some(why));
    }
    let catalog = workspace.catalog()?;
    let schema = catalog.sources.get(source).map(|source| source.plan.schema());
    let lacking = spine_inputs(pinned, &its.split).find_map(|(name, needed)| {
        let found = schema.and_then(|schema| schema.column(name)).map(|column| column.data_type);
        match (found, needed) {
            (None, _) => Some(format!("{label} needs `{name}`, which source {source} no longer has")),
            (Some(found), Some(needed)) if found != needed => {
                Some(format!("{label} needs `{name}` as {needed}, and source {source} has it as {found}"))
            }
            _ => None,
        }
    });
    Ok(lacking)
}

/// The rows that a model has not learned from.
enum Unlearned {
    /// Those from its last training label on.
    From(Instant),
    /// Those of its own test part, row by row: a hash deals them out, whatever their time.
    Test(Vec<bool>),
}

impl Unlearned {
    fn of(data: &TrainingData, split: &spec::Split, seed: u32, last_label_time: Option<Instant>) -> Result<Unlearned> {
        if let (SplitBy::Time, Some(last)) = (split.by, last_label_time) {
            return Ok(Unlearned::From(last));
        }
        let mut test = vec![false; data.as_of.len()];
        for row in assign(data, split, seed)?.rows_of(Part::Test) {
            test[row] = true;
        }
        Ok(Unlearned::Test(test))
    }

    fn holds(&self, data: &TrainingData, row: usize) -> bool {
        match self {
            Unlearned::From(from) => Instant::from_micros(data.as_of.value(row)) >= *from,
            Unlearned::Test(test) => test[row],
        }
    }

    fn from(&self) -> Option<Instant> {
        match self {
            Unlearned::From(from) => Some(*from),
            Unlearned::Test(_) => None,
        }
    }
}

fn say_what_stands_still(workspace: &Workspace, champion: &str, its_set: &TrainingSet) {
    for (source, commit) in &its_set.behind {
        workspace.observer.say(&format!(
            "warning: {champion} is compared on features that stand still at commit {commit} of {source}: the definition \
             of its rows changed since"
        ));
    }
}

/// When the last label that shaped a model became known: validation labels choose its rounds and its threshold.
pub fn last_label_time(split: &SplitReport) -> Option<Instant> {
    [split.train.last_label_time, split.validation.last_label_time].into_iter().flatten().max()
}

/// `None` where the rows do not hold both labels.
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

fn label(set: &TrainingSet, row: usize) -> Option<bool> {
    match Value::from_array(&set.data.label, row) {
        Value::Bool(label) => Some(label),
        Value::Int(label) => Some(label == 1),
        Value::Float(label) => Some(label == 1.0),
        _ => None,
    }
}
