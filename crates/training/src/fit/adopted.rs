//! Trees that were grown elsewhere, measured as if they had been grown here.

use std::time::Instant;

use arrow::array::RecordBatch;
use karat_core::DataType;
use karat_model::{Model, ModelParts, Monotone, Transform};
use karat_project::spec;

use super::boosting::Boosted;
use super::{FitOptions, Importance, Prepared, Trained, signature};
use crate::encode::Encoded;
use crate::lightgbm::feature_names;
use crate::{TrainingData, TrainingError};

/// Makes a model of LightGBM's text: threshold by the spec's rule on the validation part, every part measured.
///
/// The trees take the model's features under their names and in their order; a text feature must have been a pandas
/// category. Which rows they have learned from nothing here can know.
pub fn adopt(
    data: &TrainingData,
    spec: &spec::Model,
    text: &str,
    options: &FitOptions<'_>,
) -> Result<Trained, TrainingError> {
    let mut prepared = Prepared::new(data, spec, options)?;
    let clock = Instant::now();
    let transforms = transforms(&data.features, text)?;
    let encoded = Encoded::new(&data.features, &transforms);
    let mut signature = signature::signature(data, spec, transforms);
    constraints(spec, &signature.inputs.iter().map(|input| input.monotone).collect::<Vec<_>>(), text)?;
    let given = list(text, "feature_names=");
    let wanted = feature_names(signature.inputs.iter().map(|input| input.name.as_str()));
    if given != wanted {
        let first = wanted.iter().zip(&given).position(|(wanted, given)| wanted != given);
        let place = match first {
            Some(at) => format!("input {} is `{}`, the model's is `{}`", at + 1, given[at], wanted[at]),
            None => format!("they take {} inputs, the model has {}", given.len(), wanted.len()),
        };
        return Err(TrainingError::Foreign(format!(
            "{place}; train on the columns of `karat features training-set {}` as they stand",
            spec.name
        )));
    }
    // What is wrong with the trees is the giver's to hear, not a fault of ours.
    let parts = ModelParts {
        signature: signature.clone(),
        labels: signature::labels(spec),
        threshold: 0.5,
        trees: text.to_owned(),
    };
    if let Err(error) = Model::new(parts) {
        return Err(TrainingError::Foreign(error.to_string()));
    }
    for input in signature.inputs.iter_mut().filter(|_| spec.monotone.is_empty()) {
        input.monotone = Monotone::None;
    }
    prepared.durations.encode = clock.elapsed();
    prepared.warnings.push(
        "the trees were grown elsewhere: which rows they have learned from is not known, and measures on rows they have \
         learned from flatter them"
            .to_owned(),
    );
    let rounds = text.lines().filter(|line| line.starts_with("Tree=")).count() as u32;
    let boosted = Boosted {
        text: text.to_owned(),
        curve: Vec::new(),
        rounds,
        best_iteration: rounds,
        importance: importance(&signature.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), text),
    };
    prepared.measure(&encoded, signature, boosted, parameters(text))
}

/// Numbers as they are; text by the list of its categories, which LightGBM's Python package writes after the trees.
fn transforms(features: &RecordBatch, text: &str) -> Result<Vec<Transform>, TrainingError> {
    let wrong = |message: String| Err(TrainingError::Foreign(message));
    let line = text.lines().find_map(|line| line.strip_prefix("pandas_categorical:")).unwrap_or("null");
    let Ok(lists) = serde_json::from_str::<Option<Vec<Vec<serde_json::Value>>>>(line) else {
        return wrong("its list of pandas categories cannot be read".to_owned());
    };
    let mut lists = lists.unwrap_or_default().into_iter();
    let mut transforms = Vec::with_capacity(features.num_columns());
    for field in features.schema().fields() {
        transforms.push(match DataType::of_arrow(field.data_type()) {
            Some(DataType::Bool) => Transform::Boolean,
            Some(DataType::Text) => {
                let Some(list) = lists.next() else {
                    return wrong(format!(
                        "`{}` is text, and the trees know no categories of it: make it a pandas category before training",
                        field.name()
                    ));
                };
                let texts: Option<Vec<String>> = list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                match texts {
                    Some(texts) if texts.is_sorted() => Transform::Categories(texts),
                    Some(_) => return wrong(format!("the categories of `{}` are not in order", field.name())),
                    None => return wrong(format!("the categories of `{}` are not all text", field.name())),
                }
            }
            _ => Transform::Numeric,
        });
    }
    match lists.next() {
        Some(_) => wrong("they have more categorical inputs than the model has text features".to_owned()),
        None => Ok(transforms),
    }
}

/// What the model's file asks of the trees, they say of themselves.
fn constraints(spec: &spec::Model, asked: &[Monotone], text: &str) -> Result<(), TrainingError> {
    let given = list(text, "monotone_constraints=");
    let word = |monotone: &Monotone| match monotone {
        Monotone::None => "0",
        Monotone::Increasing => "1",
        Monotone::Decreasing => "-1",
    };
    match spec.monotone.is_empty() || given.iter().map(String::as_str).eq(asked.iter().map(word)) {
        true => Ok(()),
        false => Err(TrainingError::Foreign(
            "the model's file asks for `monotone` inputs, and the trees were not grown with these constraints"
                .to_owned(),
        )),
    }
}

/// The words of a line of the header; none where there is no such line.
fn list(text: &str, key: &str) -> Vec<String> {
    let line = text.lines().take_while(|line| !line.starts_with("Tree=")).find_map(|line| line.strip_prefix(key));
    line.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// How many splits use each input, and their gains.
fn importance(names: &[&str], text: &str) -> Vec<Importance> {
    let mut all: Vec<Importance> =
        names.iter().map(|name| Importance { feature: (*name).to_owned(), splits: 0, gain: 0.0 }).collect();
    let mut features: Vec<usize> = Vec::new();
    for line in text.lines() {
        if let Some(list) = line.strip_prefix("split_feature=") {
            features = list.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        } else if let Some(list) = line.strip_prefix("split_gain=") {
            let gains = list.split_whitespace().map(|word| word.parse::<f64>().unwrap_or_default());
            for (feature, gain) in features.drain(..).zip(gains) {
                if let Some(of) = all.get_mut(feature) {
                    of.splits += 1;
                    of.gain += gain;
                }
            }
        }
    }
    all
}

/// `[learning_rate: 0.1]`, as LightGBM echoes them after the trees.
fn parameters(text: &str) -> Vec<(String, String)> {
    let echoed = text.lines().skip_while(|line| *line != "parameters:").take_while(|line| *line != "end of parameters");
    let pair = |line: &str| {
        let (name, value) = line.strip_prefix('[')?.strip_suffix(']')?.split_once(": ")?;
        Some((name.to_owned(), value.to_owned()))
    };
    echoed.filter_map(pair).collect()
}
