use std::collections::BTreeMap;

use karat_core::nearest;
use karat_project::spec;
use karat_registry::gates::{Gate, Required};
use karat_training::measures::Measures;
use karat_training::{PartEvaluation, Trained};

/// The parts a training is measured on, as they stand before a measure's name; the test part also goes without.
const TEST: [&str; 2] = ["", "test."];
const OTHERS: [&str; 2] = ["train.", "validation."];
/// Test rows of profiles that no training row has, where the model names a profile.
const UNSEEN: &str = "unseen.";

/// Measures as runs and gates name them: the test part's under their own names and after `test.`, the other parts'
/// after theirs. Measures that are no number (no flagged row has a precision) are left out.
pub fn of(trained: &Trained) -> BTreeMap<String, f64> {
    let evaluation = &trained.evaluation;
    let mut metrics = compared(&evaluation.test);
    let [train, validation] = OTHERS;
    add(&mut metrics, train, Some(&evaluation.train));
    add(&mut metrics, validation, Some(&evaluation.validation));
    add(&mut metrics, UNSEEN, evaluation.test_unseen.as_ref());
    metrics
}

/// As [`of`], of test rows alone: what champion and challenger are compared by.
pub fn compared(test: &PartEvaluation) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    TEST.iter().for_each(|prefix| add(&mut metrics, prefix, Some(test)));
    metrics
}

fn add(metrics: &mut BTreeMap<String, f64>, prefix: &str, part: Option<&PartEvaluation>) {
    let Some(part) = part else { return };
    let named = Measures::NAMES.into_iter().filter_map(|name| Some((name, part.measures.get(name)?)));
    let finite = named.filter(|(_, value)| value.is_finite());
    metrics.extend(finite.map(|(name, value)| (format!("{prefix}{name}"), value)));
}

/// Why no training of the model can ever measure the gate; `None` where one can.
pub fn unmeasurable(gate: &Gate, model: &spec::Model) -> Option<String> {
    let problem = match &gate.required {
        Required::Number(_) => unknown(&gate.metric, "", model),
        Required::OfChampion { metric, .. } => {
            uncompared(&gate.metric, "", model).or_else(|| uncompared(metric, "champion.", model))
        }
    };
    problem.map(|problem| format!("gate `{gate}`: {problem}"))
}

/// `whose` stands before the name where the gate has it.
fn unknown(metric: &str, whose: &str, model: &spec::Model) -> Option<String> {
    if model.profile.is_empty() && metric.strip_prefix(UNSEEN).is_some_and(is_measure) {
        return Some(format!("`{metric}` is measured over profiles, and the model names no `profile:`"));
    }
    let prefixes = TEST.into_iter().chain(OTHERS).chain((!model.profile.is_empty()).then_some(UNSEEN));
    let names: Vec<String> =
        prefixes.flat_map(|prefix| Measures::NAMES.map(|name| format!("{prefix}{name}"))).collect();
    if names.iter().any(|name| name == metric) {
        return None;
    }
    let hint = match nearest(metric, names.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean `{whose}{near}`?"),
        None => format!("; there are {}", Measures::NAMES.join(", ")),
    };
    Some(format!("nothing measures `{whose}{metric}`{hint}"))
}

/// What is measured, but not of both on rows that neither has learned from.
fn uncompared(metric: &str, whose: &str, model: &spec::Model) -> Option<String> {
    let part = OTHERS.iter().chain([&UNSEEN]).find_map(|prefix| metric.strip_prefix(prefix));
    match part.filter(|name| is_measure(name)) {
        Some(name) => Some(format!(
            "champion and challenger are compared on test rows: write `{whose}{name}`, not `{whose}{metric}`"
        )),
        None => unknown(metric, whose, model),
    }
}

fn is_measure(name: &str) -> bool {
    Measures::NAMES.contains(&name)
}
