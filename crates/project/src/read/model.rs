use indexmap::IndexMap;
use karat_core::Name;

use super::reader::{Fields, Reader};
use super::scalar::{bad_name, choice, data_type, name, number, text, texts, whole, window};
use super::spine::spine;
use crate::spec::model::default_seed;
use crate::spec::{
    Approval, Direction, Estimator, FeatureList, Goal, LightGbm, Model, ModelFeatures, Reason, Split, SplitBy,
    SplitPart, Task, Threshold,
};
use crate::suggest::{did_you_mean, shorten, ticked};
use crate::yaml::{Node, Scalar, Shape};

pub(crate) fn model(reader: &mut Reader<'_>, node: &Node) -> Option<Model> {
    let mut fields = Fields::open(reader, node, "a model")?;
    fields.allow("kind");
    let name = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let owner = fields.optional(reader, "owner", text);
    let task = fields.required(reader, "task", |reader, node| choice(reader, node, &[("binary", Task::Binary)]));
    let spine = fields.required(reader, "spine", spine);
    let features =
        fields.required(reader, "features", |reader, node| reader.list(node, "a list of views", model_features));
    let request = fields.optional(reader, "request", |reader, node| by_name(reader, node, "`name: type`", data_type));
    let split = fields.required(reader, "split", split);
    let estimator = fields.required(reader, "estimator", estimator);
    let monotone =
        fields.optional(reader, "monotone", |reader, node| by_name(reader, node, "`feature: increasing`", direction));
    let threshold = fields.optional(reader, "threshold", threshold).unwrap_or_default();
    let labels = fields.optional(reader, "labels", labels);
    let profile = fields.optional(reader, "profile", texts).unwrap_or_default();
    let reasons = fields
        .optional(reader, "reasons", |reader, node| by_name(reader, node, "`feature: {words: …, code: …}`", reason));
    let gates = fields.optional(reader, "gates", texts).unwrap_or_default();
    let approval = fields.optional(reader, "approval", |reader, node| {
        choice(
            reader,
            node,
            &[("required", Approval::Required), ("four_eyes", Approval::FourEyes), ("none", Approval::None)],
        )
    });
    let experiment = fields.optional(reader, "experiment", text);
    let seed = fields.optional(reader, "seed", whole).unwrap_or_else(default_seed);
    fields.close(reader);
    Some(Model {
        name: name?,
        description,
        owner,
        task: task?,
        spine: spine?,
        features: features?,
        request: request.unwrap_or_default(),
        split: split?,
        estimator: estimator?,
        monotone: monotone.unwrap_or_default(),
        threshold,
        labels,
        profile,
        reasons: reasons.unwrap_or_default(),
        gates,
        approval: approval.unwrap_or_default(),
        experiment,
        seed,
    })
}

pub(super) fn model_features(reader: &mut Reader<'_>, node: &Node) -> Option<ModelFeatures> {
    let entries = match &node.shape {
        Shape::Map(entries) => entries,
        Shape::Scalar(Scalar::Text(_)) => return name(reader, node).map(ModelFeatures::All),
        _ => return reader.wrong(node, "a view, or `view: [feature, …]`"),
    };
    let [entry] = entries.as_slice() else {
        return reader.wrong_with_help(node, "one view", "begin a new item (`- view: [feature, …]`) for each view");
    };
    let view = match Name::new(&entry.key) {
        Ok(view) => view,
        Err(_) => return bad_name(reader, entry.key_span, &entry.key),
    };
    let chosen = reader.list(&entry.value, "a list of features", text)?;
    if chosen.is_empty() {
        reader.problem_with_help(
            entry.value.span,
            format!("no feature of `{view}` is listed"),
            format!("write `- {view}` for all of them"),
        );
    }
    Some(ModelFeatures::Some(FeatureList(IndexMap::from([(view, chosen)]))))
}

fn by_name<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    line: &str,
    value: fn(&mut Reader<'_>, &Node) -> Option<T>,
) -> Option<IndexMap<String, T>> {
    let mut map = IndexMap::new();
    for entry in reader.entries(node, &format!("{line} lines"))? {
        map.extend(value(reader, &entry.value).map(|value| (entry.key.clone(), value)));
    }
    Some(map)
}

fn direction(reader: &mut Reader<'_>, node: &Node) -> Option<Direction> {
    choice(reader, node, &[("increasing", Direction::Increasing), ("decreasing", Direction::Decreasing)])
}

fn reason(reader: &mut Reader<'_>, node: &Node) -> Option<Reason> {
    if let Shape::Scalar(Scalar::Text(_)) = &node.shape {
        return reader.wrong_with_help(node, "a mapping", "write `{words: …}`, `{code: …}` or both");
    }
    let mut fields = Fields::open(reader, node, "a reason")?;
    let features = fields.optional(reader, "features", texts).unwrap_or_default();
    let words = fields.optional(reader, "words", said);
    let code = fields.optional(reader, "code", said);
    fields.close(reader);
    Some(Reason { features, words, code })
}

/// A text that says something.
fn said(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    text(reader, node).and_then(|text| match text.trim() {
        "" => reader.wrong_with_help(node, "a text that is not empty", "leave the key out to say nothing"),
        _ => Some(text),
    })
}

fn split(reader: &mut Reader<'_>, node: &Node) -> Option<Split> {
    let mut fields = Fields::open(reader, node, "a split")?;
    let by = fields.required(reader, "by", |reader, node| {
        choice(reader, node, &[("time", SplitBy::Time), ("random", SplitBy::Random), ("group", SplitBy::Group)])
    });
    let column = fields.optional(reader, "column", text);
    let validation = fields.required(reader, "validation", split_part);
    let test = fields.required(reader, "test", split_part);
    fields.close(reader);
    Some(Split { by: by?, column, validation: validation?, test: test? })
}

fn split_part(reader: &mut Reader<'_>, node: &Node) -> Option<SplitPart> {
    match &node.shape {
        Shape::Scalar(Scalar::Int(_) | Scalar::Float(..)) => number(reader, node).map(SplitPart::Share),
        Shape::Scalar(Scalar::Text(text)) if text.trim_end().ends_with('%') => {
            number(reader, node).map(SplitPart::Share)
        }
        _ => window(reader, node).map(SplitPart::Window),
    }
}

fn labels(reader: &mut Reader<'_>, node: &Node) -> Option<[String; 2]> {
    let labels = texts(reader, node)?;
    match <[String; 2]>::try_from(labels) {
        Ok(labels) => Some(labels),
        Err(labels) => {
            let message =
                format!("a model has two labels, for a score under the threshold and from it on, not {}", labels.len());
            reader.problem(node.span, message);
            None
        }
    }
}

/// The only key of a mapping such as `{lightgbm: {…}}`, of those in `words`.
fn one_key<'n, 'w>(reader: &mut Reader<'_>, node: &'n Node, words: &[&'w str]) -> Option<(&'w str, &'n Node)> {
    let expected = format!("a mapping with one of {}", ticked(words));
    let Shape::Map(entries) = &node.shape else {
        let example = words.first().copied().unwrap_or_default();
        return reader.wrong_with_help(node, &expected, format!("write `{{{example}: …}}`"));
    };
    let [entry] = entries.as_slice() else {
        reader.problem(node.span, format!("expected exactly one of {}", ticked(words)));
        return None;
    };
    match words.iter().find(|word| **word == entry.key) {
        Some(word) => Some((word, &entry.value)),
        None => {
            let help = did_you_mean(&entry.key, words.iter().copied(), || format!("there is {}", ticked(words)));
            reader.problem_with_help(entry.key_span, format!("unknown key `{}`", shorten(&entry.key)), help);
            None
        }
    }
}

fn threshold(reader: &mut Reader<'_>, node: &Node) -> Option<Threshold> {
    let words = ["maximize", "value", "recall_at_least", "precision_at_least"];
    let (word, value) = one_key(reader, node, &words)?;
    match word {
        "maximize" => choice(reader, value, &[("ks", Goal::Ks), ("f1", Goal::F1)]).map(Threshold::Maximize),
        "value" => number(reader, value).map(Threshold::Value),
        "recall_at_least" => number(reader, value).map(Threshold::RecallAtLeast),
        _ => number(reader, value).map(Threshold::PrecisionAtLeast),
    }
}

fn estimator(reader: &mut Reader<'_>, node: &Node) -> Option<Estimator> {
    let (_, parameters) = one_key(reader, node, &["lightgbm"])?;
    if parameters.is_null() {
        return Some(Estimator::Lightgbm(LightGbm::default()));
    }
    light_gbm(reader, parameters).map(Estimator::Lightgbm)
}

fn light_gbm(reader: &mut Reader<'_>, node: &Node) -> Option<LightGbm> {
    let mut fields = Fields::open(reader, node, "`lightgbm`")?;
    let default = LightGbm::default();
    let parameters = LightGbm {
        learning_rate: fields.optional(reader, "learning_rate", number).unwrap_or(default.learning_rate),
        num_leaves: fields.optional(reader, "num_leaves", whole).unwrap_or(default.num_leaves),
        rounds: fields.optional(reader, "rounds", whole).unwrap_or(default.rounds),
        early_stopping: fields.optional(reader, "early_stopping", whole).unwrap_or(default.early_stopping),
        metric: fields.optional(reader, "metric", metric).unwrap_or(default.metric),
        min_data_in_leaf: fields.optional(reader, "min_data_in_leaf", whole).unwrap_or(default.min_data_in_leaf),
        max_depth: fields.optional(reader, "max_depth", whole).unwrap_or(default.max_depth),
        feature_fraction: fields.optional(reader, "feature_fraction", number).unwrap_or(default.feature_fraction),
        bagging_fraction: fields.optional(reader, "bagging_fraction", number).unwrap_or(default.bagging_fraction),
        bagging_freq: fields.optional(reader, "bagging_freq", whole).unwrap_or(default.bagging_freq),
        lambda_l1: fields.optional(reader, "lambda_l1", number).unwrap_or(default.lambda_l1),
        lambda_l2: fields.optional(reader, "lambda_l2", number).unwrap_or(default.lambda_l2),
        min_gain_to_split: fields.optional(reader, "min_gain_to_split", number).unwrap_or(default.min_gain_to_split),
        max_bin: fields.optional(reader, "max_bin", whole).unwrap_or(default.max_bin),
        cat_smooth: fields.optional(reader, "cat_smooth", number).unwrap_or(default.cat_smooth),
        cat_l2: fields.optional(reader, "cat_l2", number).unwrap_or(default.cat_l2),
        min_data_per_group: fields.optional(reader, "min_data_per_group", whole).unwrap_or(default.min_data_per_group),
    };
    fields.close(reader);
    Some(parameters)
}

fn metric(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    choice(reader, node, &[("auc", "auc"), ("binary_logloss", "binary_logloss")]).map(str::to_owned)
}
