use std::collections::BTreeMap;

use karat_training::measures::Measures;
use karat_training::{PartEvaluation, Trained};

/// Measures as runs and gates name them: the test part's under their own names and after `test.`, the other parts'
/// after theirs. Measures that are no number (no flagged row has a precision) are left out.
pub fn of(trained: &Trained) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let evaluation = &trained.evaluation;
    add(&mut metrics, "", Some(&evaluation.test));
    add(&mut metrics, "test.", Some(&evaluation.test));
    add(&mut metrics, "train.", Some(&evaluation.train));
    add(&mut metrics, "validation.", Some(&evaluation.validation));
    add(&mut metrics, "unseen.", evaluation.test_unseen.as_ref());
    metrics
}

fn add(metrics: &mut BTreeMap<String, f64>, prefix: &str, part: Option<&PartEvaluation>) {
    let Some(part) = part else { return };
    metrics.extend(named(&part.measures).map(|(name, value)| (format!("{prefix}{name}"), value)));
}

pub fn named(measures: &Measures) -> impl Iterator<Item = (&'static str, f64)> + '_ {
    let named = Measures::NAMES.into_iter().filter_map(|name| Some((name, measures.get(name)?)));
    named.filter(|(_, value)| value.is_finite())
}
