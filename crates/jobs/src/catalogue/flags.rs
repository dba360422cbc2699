//! What is odd about a view and its features, each with what to do about it.

use karat_core::statistics::{FeatureStatistics, FigureOf};
use karat_core::{Instant, Name, Zone};
use karat_project::spec::FeatureView;
use karat_report::catalogue::{Flag, Use, ViewEntry};

use super::uses::{self, Taken};

/// `files` is what the models' files take, `zone` that of the source, in which months step.
pub(super) fn raise(entry: &mut ViewEntry, spec: &FeatureView, files: &[Taken], zone: &Zone, now: Instant) {
    let flags: Vec<Flag> = [state(entry), stale(entry, zone, now), redefined(entry)].into_iter().flatten().collect();
    entry.flags = flags;
    let view = entry.view.clone();
    for (name, feature) in &mut entry.features {
        let read: Vec<&String> =
            spec.features.iter().filter(|(other, _)| *other != name).map(|(other, _)| other).collect();
        if feature.used_by.is_empty() && feature.services.is_empty() && !is_read(spec, name, &read) {
            feature.flags.push(untaken(spec, &uses::of_feature(files, &view, name), name));
        }
        let odd = feature.statistics.as_ref().and_then(nothing_in_it);
        feature.flags.extend(odd.map(|(flag, what)| {
            let message =
                format!("it is {what} for every key: `karat features why {view} KEY {name}` says what it is made of");
            Flag { flag, message }
        }));
    }
}

/// Of a feature that no version takes, and nothing else of the project but these files of models.
fn untaken(spec: &FeatureView, files: &[Use], name: &str) -> Flag {
    let models: Vec<&str> = files.iter().map(|file| file.model.as_str()).collect();
    let (flag, message) = match models.as_slice() {
        [] if spec.features[name].is_list() => (
            "unused",
            "no feature service has it, and no model takes a list: add it to a service, or take it out of the view"
                .to_owned(),
        ),
        [] => (
            "unused",
            "no model takes it, neither its newest version nor one with an alias nor its file, and no feature service \
             has it: add it to a model's `features`, or take it out of the view"
                .to_owned(),
        ),
        [first, ..] => (
            "not_trained",
            format!(
                "the file of {} takes it, and no version of it yet: `karat train {first}` takes it up",
                models.join(", ")
            ),
        ),
    };
    Flag { flag, message }
}

/// What every key's value is, where no key has any.
fn nothing_in_it(taken: &FeatureStatistics) -> Option<(&'static str, &'static str)> {
    let summary = &taken.summary;
    match taken.of {
        _ if summary.rows == 0 => None,
        FigureOf::Values => (summary.nulls == summary.rows).then_some(("always_null", "null")),
        FigureOf::Lengths => (summary.max == 0).then_some(("always_empty", "an empty list")),
    }
}

/// Whether another feature of the view is computed from it.
fn is_read(spec: &FeatureView, name: &str, others: &[&String]) -> bool {
    use karat_project::spec::FeatureKind;
    others.iter().any(|other| match &spec.features[*other].kind {
        FeatureKind::Expression { sql } => {
            karat_features::Expression::names(sql).is_ok_and(|names| names.iter().any(|read| read == name))
        }
        FeatureKind::Aggregate { .. } => false,
    })
}

fn state(entry: &ViewEntry) -> Option<Flag> {
    let view = &entry.view;
    let (flag, message) = match (&entry.state, entry.newest_commit) {
        (_, None) => {
            ("not_ingested", format!("source {} has no history yet: run `karat sources ingest {0}`", entry.source))
        }
        (None, Some(_)) => {
            ("not_materialized", format!("it has no online state: run `karat features materialize {view}`"))
        }
        (Some(state), Some(newest)) if state.commit < newest => (
            "behind",
            format!(
                "its online state has {} up to commit {}, and {newest} is the newest: run `karat features materialize {view}`",
                entry.source, state.commit
            ),
        ),
        _ => return None,
    };
    Some(Flag { flag, message })
}

fn stale(entry: &ViewEntry, zone: &Zone, now: Instant) -> Option<Flag> {
    let (stale_after, newest) = (entry.stale_after?, entry.freshness.newest_event?);
    if newest >= stale_after.start(now, zone) {
        return None;
    }
    let message = format!(
        "its newest event is of {newest}, longer ago than `stale_after: {stale_after}`: have newer rows delivered to the \
         files of source {}, then run `karat sources ingest {0}` and `karat features materialize {}`",
        entry.source, entry.view
    );
    Some(Flag { flag: "stale", message })
}

/// Of models whose newest version that takes the view pins another definition: an older one under an alias is as it
/// should be.
fn redefined(entry: &ViewEntry) -> Option<Flag> {
    let mut models: Vec<&Name> = Vec::new();
    let mut old = Vec::new();
    for used in &entry.used_by {
        if models.contains(&&used.model) {
            continue;
        }
        models.push(&used.model);
        if !used.current {
            old.push((used.label(), used.model.as_str()));
        }
    }
    let (_, model) = old.first()?;
    let (was, is) = if old.len() == 1 { ("was", "is") } else { ("were", "are") };
    let labels: Vec<&str> = old.iter().map(|(label, _)| label.as_str()).collect();
    let message = format!(
        "{} {was} trained with another definition of it, and {is} served with that: run `karat train {model}` to take up \
         today's",
        labels.join(", ")
    );
    Some(Flag { flag: "redefined", message })
}
