//! What cannot be trained on is refused before LightGBM starts, with what to change.

use arrow::array::Array;
use karat_core::DataType;
use karat_model::{Signature, Transform};
use karat_project::spec::{self, LightGbm};

use crate::encode::Encoded;
use crate::split::{Part, SplitReport};
use crate::{TrainingData, TrainingError};

/// From this many categories on, a text feature overfits at LightGBM's defaults.
const MANY_CATEGORIES: usize = 100;

pub(super) fn check_spec(data: &TrainingData, spec: &spec::Model, estimator: &LightGbm) -> Result<(), TrainingError> {
    if !matches!(estimator.metric.as_str(), "auc" | "binary_logloss") {
        return Err(TrainingError::UnknownMetric(estimator.metric.clone()));
    }
    if estimator.rounds == 0 {
        return Err(TrainingError::NoRounds);
    }
    let schema = data.features.schema();
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    for name in spec.monotone.keys() {
        let Ok(field) = schema.field_with_name(name) else {
            let suggestion = karat_core::nearest(name, names()).map(str::to_owned);
            return Err(TrainingError::UnknownMonotone { name: name.clone(), suggestion });
        };
        if DataType::of_arrow(field.data_type()) == Some(DataType::Text) {
            return Err(TrainingError::MonotoneText(name.clone()));
        }
    }
    Ok(())
}

/// LightGBM makes no split of fewer than twice `min_data_in_leaf` rows; measures need both labels.
pub(super) fn check_parts(report: &SplitReport, estimator: &LightGbm) -> Result<(), TrainingError> {
    let least = 2 * (estimator.min_data_in_leaf as usize).max(1);
    for (part, needed) in [(Part::Train, least), (Part::Validation, 2), (Part::Test, 2)] {
        let counts = report.part(part);
        let rows = counts.rows as usize;
        if rows < needed {
            let hint = match counts.purged {
                0 => String::new(),
                purged => {
                    format!(" ({purged} rows were left out: their labels were known only after the next part began)")
                }
            };
            return Err(TrainingError::TooFewRows { part, rows, needed, hint });
        }
        if counts.positives == 0 || counts.positives == counts.rows {
            return Err(TrainingError::OneLabel { part, rows, label: counts.positives > 0 });
        }
    }
    Ok(())
}

/// Rows that stand on both sides of the split.
pub(super) fn identical_rows(report: &SplitReport) -> Option<String> {
    let told = |part: Part| {
        let counts = report.part(part);
        (counts.identical > 0).then(|| {
            let share = 100.0 * counts.identical as f64 / counts.rows as f64;
            format!("{} of {} {part} rows ({share:.1} %)", counts.identical, counts.rows)
        })
    };
    let told: Vec<String> = [Part::Validation, Part::Test].into_iter().filter_map(told).collect();
    (!told.is_empty()).then(|| {
        format!(
            "{} are the same as a training row in every feature and in the label: what the model knows by heart looks \
             like foresight there",
            told.join(" and ")
        )
    })
}

/// What is odd about the training rows without being wrong.
pub(super) fn warnings(
    data: &TrainingData,
    signature: &Signature,
    encoded: &Encoded,
    training_rows: &[usize],
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, input) in signature.inputs.iter().enumerate() {
        if encoded.is_constant(index, training_rows) {
            let column = data.features.column(index);
            let null = training_rows.first().is_some_and(|row| column.is_null(*row));
            let what = if null { "null" } else { "the same" };
            warnings.push(format!("feature `{}` is {what} in every training row: it cannot help", input.name));
        }
        if let Transform::Categories(texts) = &input.transform
            && texts.len() >= MANY_CATEGORIES
        {
            warnings.push(format!(
                "feature `{}` has {} categories: raise cat_smooth, cat_l2 and min_data_per_group, or group them in the view",
                input.name,
                texts.len()
            ));
        }
    }
    warnings
}
