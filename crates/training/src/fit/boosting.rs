use karat_model::Signature;
use karat_project::spec::LightGbm;
use serde::{Deserialize, Serialize};

use super::{Importance, Progress, Rows};
use crate::encode::Encoded;
use crate::lightgbm::{Booster, Dataset, ImportanceKind, Matrix, Parameters, feature_names};
use crate::measures::{auc_of, log_loss_of};
use crate::{LightGbmError, TrainingError};

/// One round of boosting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// From 1.
    pub round: u32,
    /// The watched metric on the validation part.
    pub validation: f64,
}

pub(super) struct Task<'a> {
    pub encoded: &'a Encoded,
    pub labels: &'a [bool],
    pub rows: &'a Rows,
    pub signature: &'a Signature,
}

pub(super) struct Boosted {
    pub text: String,
    pub curve: Vec<Round>,
    pub rounds: u32,
    pub best_iteration: u32,
    pub importance: Vec<Importance>,
}

/// Grows trees until the validation part has not improved for `early_stopping` rounds. The best round is the first that
/// reached the best value. The metric is computed here, in a fixed order: LightGBM's own sums depend on its threads.
pub(super) fn boost(
    task: &Task<'_>,
    estimator: &LightGbm,
    parameters: &Parameters,
    threads: usize,
    progress: &dyn Fn(Progress<'_>),
) -> Result<Boosted, TrainingError> {
    let (mut booster, validation) = prepare(task, &parameters.clone().with("num_threads", threads))?;
    let labels: Vec<bool> = task.rows.validation.iter().map(|row| task.labels[*row]).collect();
    let higher_is_better = estimator.metric == "auc";
    let mut curve: Vec<Round> = Vec::new();
    let mut best: Option<Round> = None;
    for number in 1..=estimator.rounds {
        if !booster.grow()? {
            break;
        }
        let scores = booster.scores_of(validation)?;
        let value =
            if higher_is_better { auc_of(&scores, &labels).unwrap_or(0.5) } else { log_loss_of(&scores, &labels) };
        let round = Round { round: number, validation: value };
        curve.push(round);
        progress(Progress::Round { round, of: estimator.rounds });
        let improves = |best: Round| if higher_is_better { value > best.validation } else { value < best.validation };
        if best.is_none_or(improves) {
            best = Some(round);
        }
        let since = number - best.map_or(0, |best| best.round);
        if estimator.early_stopping > 0 && since >= estimator.early_stopping {
            break;
        }
    }
    let rounds = curve.len() as u32;
    let best_iteration = if estimator.early_stopping > 0 { best.map_or(0, |best| best.round) } else { rounds };
    Ok(Boosted {
        // Without a round there is still the one constant tree of the base rate: 0 stands for all there is.
        text: booster.text(best_iteration)?,
        importance: importance(&booster, task.signature, best_iteration)?,
        curve,
        rounds,
        best_iteration,
    })
}

fn prepare(task: &Task<'_>, parameters: &Parameters) -> Result<(Booster, usize), LightGbmError> {
    let columns = task.encoded.features();
    let labels_of =
        |rows: &[usize]| -> Vec<f32> { rows.iter().map(|row| f32::from(u8::from(task.labels[*row]))).collect() };
    let names = feature_names(task.signature.inputs.iter().map(|input| input.name.as_str()));
    let (train_rows, validation_rows) = (&task.rows.train, &task.rows.validation);

    let values = task.encoded.column_major(train_rows);
    let matrix = Matrix { values: &values, rows: train_rows.len(), columns };
    let mut train = Dataset::new(matrix, &labels_of(train_rows), parameters)?;
    train.set_feature_names(&names)?;
    drop(values);

    let values = task.encoded.column_major(validation_rows);
    let matrix = Matrix { values: &values, rows: validation_rows.len(), columns };
    let validation = train.like(matrix, &labels_of(validation_rows), parameters)?;

    let mut booster = Booster::new(train, parameters)?;
    let index = booster.add_validation(validation)?;
    Ok((booster, index))
}

fn importance(booster: &Booster, signature: &Signature, rounds: u32) -> Result<Vec<Importance>, LightGbmError> {
    let splits = booster.importance(rounds, ImportanceKind::Splits)?;
    let gains = booster.importance(rounds, ImportanceKind::Gain)?;
    let inputs = signature.inputs.iter().zip(splits).zip(gains);
    Ok(inputs
        .map(|((input, splits), gain)| Importance { feature: input.name.clone(), splits: splits as u64, gain })
        .collect())
}
