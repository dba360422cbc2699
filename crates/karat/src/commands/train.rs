//! `karat train`: what was learned, from what, and what it is worth.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_jobs::train::{self, DataSummary, Trial};
use karat_registry::ModelVersion;
use karat_registry::gates::{GateResult, all_passed};
use karat_training::PartEvaluation;
use karat_training::measures::Measures;
use karat_training::split::PartReport;

use super::Context;
use crate::output::{count, duration, failed, heading, indent, measure, passed, percent, table, thousands};

pub async fn run(context: &Context, model: &str, tag: Option<&str>) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    let trial = train::run(&workspace, model, tag).await?;
    print(context, &workspace, &trial).await
}

/// What came of a training, or of measuring trees from elsewhere.
pub async fn print(context: &Context, workspace: &Workspace, trial: &Trial) -> Result<ExitCode> {
    let version = workspace.registry.version(&trial.model, trial.version).await?;
    context.output.print(trial, |trial| human(trial, &version))?;
    Ok(ExitCode::SUCCESS)
}

fn human(trial: &Trial, version: &ModelVersion) -> String {
    let evaluation = &trial.evaluation;
    let mut parts = vec![
        format!("{}\n{}", heading("data"), indent(&split(&trial.data))),
        format!("{}\n{}", heading(&format!("measures at threshold {:.6}", trial.threshold)), indent(&measures(trial))),
        format!("{}\n{}", heading("test rows by score, the highest first"), indent(&deciles(&evaluation.test))),
        format!(
            "{}\n{}",
            heading("calibration of the test part, the lowest scores first"),
            indent(&calibration(&evaluation.test))
        ),
    ];
    if !trial.gates.is_empty() {
        parts.push(format!("{}\n{}", heading("gates"), indent(&gates(&trial.gates))));
    }
    parts.extend(trial.warnings.iter().map(|warning| format!("warning: {warning}")));
    let label = version.label();
    let what = if trial.new_version { format!("new version {label}") } else { format!("the same as version {label}") };
    parts.push(format!(
        "{what}, digest {}\nrun {} took {} ({}, best of {} rounds: {})",
        trial.digest,
        trial.run_id,
        duration(trial.seconds),
        count(trial.threads, "thread", "threads"),
        trial.rounds,
        trial.best_iteration
    ));
    let passed = all_passed(&trial.gates);
    parts.push(match version.aliases.as_slice() {
        [] if passed => format!("next: karat models approve {label} --as champion --why \"...\""),
        [] => format!("{label} did not pass its gates and cannot be approved"),
        held => format!("{label} is {} already", held.join(", ")),
    });
    parts.join("\n\n")
}

/// What was learned from, part by part.
pub fn split(data: &DataSummary) -> String {
    let split = &data.split;
    let part = |name: &str, part: &PartReport| {
        // Rows without a time have none to show.
        let shown = |at: &karat_core::Instant| *at != karat_core::Instant::ALWAYS;
        let day =
            |instant: Option<karat_core::Instant>| instant.filter(shown).map(|at| at.to_string()).unwrap_or_default();
        [
            name.to_owned(),
            thousands(part.rows),
            thousands(part.positives),
            percent(part.positives as f64 / (part.rows as f64).max(1.0)),
            day(part.first_as_of),
            day(part.last_as_of),
            if part.purged > 0 {
                format!("{} left out: label known too late", thousands(part.purged))
            } else {
                String::new()
            },
        ]
    };
    let rows = [part("train", &split.train), part("validation", &split.validation), part("test", &split.test)];
    let mut text = format!(
        "{} rows of {}, digest {}\n{}",
        thousands(data.rows),
        count(data.entities as usize, "key", "keys"),
        data.digest.short(),
        table(["part", "rows", "positives", "share", "first as of", "last as of", ""], &[1, 2, 3], rows)
    );
    let refused: u64 = [&split.train, &split.validation, &split.test].iter().map(|part| part.refused).sum();
    if refused > 0 {
        let rows = thousands(refused);
        text.push_str(&format!("\n{rows} rows are in no part: a check of their features refuses to decide on them"));
    }
    let in_none = [
        (split.unlabelled, "have no label"),
        (split.open, "are open: what defines their label may still come"),
        (split.not_kept, "are left out: the spine keeps others of their key"),
    ];
    for (rows, why) in in_none.into_iter().filter(|(rows, _)| *rows > 0) {
        text.push_str(&format!("\n{} rows {why}", thousands(rows)));
    }
    text
}

const SHOWN: [(&str, &str); 9] = [
    ("auc", "AUC"),
    ("gini", "Gini"),
    ("ks", "KS"),
    ("log_loss", "log loss"),
    ("brier", "Brier"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("f1", "F1"),
    ("flagged", "flagged"),
];

fn measures(trial: &Trial) -> String {
    let evaluation = &trial.evaluation;
    let of = |part: Option<&Measures>, name: &str| {
        part.and_then(|measures| measures.get(name)).filter(|value| value.is_finite()).map(measure).unwrap_or_default()
    };
    let unseen = evaluation.test_unseen.as_ref().map(|part| &part.measures);
    let parts = [
        Some(&evaluation.test.measures),
        unseen,
        Some(&evaluation.validation.measures),
        Some(&evaluation.train.measures),
    ];
    let rows_of = |part: Option<&Measures>| part.map(|measures| thousands(measures.rows)).unwrap_or_default();
    let named = SHOWN.into_iter().map(|(name, title)| {
        let [test, unseen, validation, train] = parts.map(|part| of(part, name));
        [title.to_owned(), test, unseen, validation, train]
    });
    let [test, new, validation, train] = parts.map(rows_of);
    let rows = std::iter::once(["rows".to_owned(), test, new, validation, train]).chain(named);
    let mut text = table(["", "test", "unseen", "validation", "train"], &[1, 2, 3, 4], rows);
    if unseen.is_some() {
        text.push_str("\nunseen: the test rows whose profile no training row has");
    }
    let confusion = &evaluation.test.measures.confusion;
    text.push_str(&format!(
        "\ntest part: {} flagged rightly, {} wrongly; {} missed, {} passed rightly",
        thousands(confusion.true_positives),
        thousands(confusion.false_positives),
        thousands(confusion.false_negatives),
        thousands(confusion.true_negatives)
    ));
    text
}

fn deciles(part: &PartEvaluation) -> String {
    let rows = part.deciles.iter().map(|decile| {
        [
            decile.decile.to_string(),
            thousands(decile.rows),
            thousands(decile.positives),
            format!("{:.6}", decile.min_score),
            percent(decile.rate),
            format!("{:.2}", decile.lift),
            percent(decile.captured),
        ]
    });
    table(["decile", "rows", "positives", "lowest score", "rate", "lift", "captured"], &[0, 1, 2, 3, 4, 5, 6], rows)
}

fn calibration(part: &PartEvaluation) -> String {
    let rows = part
        .calibration
        .iter()
        .map(|bin| [bin.bin.to_string(), thousands(bin.rows), percent(bin.mean_score), percent(bin.observed)]);
    table(["bin", "rows", "mean score", "came true"], &[0, 1, 2, 3], rows)
}

/// A line a gate.
pub fn gates(gates: &[GateResult]) -> String {
    let rows = gates.iter().map(|gate| {
        let number = |value: Option<f64>| value.map(measure).unwrap_or_default();
        [
            if gate.passed { passed() } else { failed() }.to_owned(),
            gate.gate.clone(),
            gate.measured.map(|value| format!("measured {}", measure(value))).unwrap_or_default(),
            match &gate.note {
                Some(note) => note.clone(),
                None if gate.gate.contains("champion") => format!("required {}", number(gate.required)),
                None => String::new(),
            },
        ]
    });
    table(["", "", "", ""], &[], rows)
}
