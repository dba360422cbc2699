//! `karat replay`: a logged decision computed again, with both verdicts.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::replay::{self, Replayed, Verdict};

use super::{Context, exit};
use crate::output::{count, failed, indent, passed, quoted, table};

pub async fn run(context: &Context, prediction: &str) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    let replayed = replay::run(&workspace, prediction).await?;
    context.output.print(&replayed, human)?;
    Ok(exit(replayed.holds()))
}

fn human(replayed: &Replayed) -> String {
    let record = &replayed.prediction;
    let key = record.key.as_ref().map(|key| format!(" on {}", quoted(key))).unwrap_or_default();
    let mut lines = vec![
        format!("prediction {}, answered {}", record.prediction_id, record.at),
        indent(&format!("endpoint {}{key}, as of {}", record.endpoint, record.as_of)),
        indent(&format!(
            "{}/{} ({}) of release {}: score {}, {}",
            record.model,
            record.version,
            record.model_digest.short(),
            record.release,
            record.score,
            record.label
        )),
    ];
    if let Some(approval) = replayed.approvals.last() {
        lines.push(indent(&format!(
            "{} by {}, {}: {}",
            past(approval.decision),
            approval.actor,
            approval.at,
            approval.why
        )));
    }
    lines.push(because(replayed));
    lines.push(verdicts(replayed));
    lines.join("\n")
}

/// The reasons: as the answer gave them, or made now from what it was decided on.
fn because(replayed: &Replayed) -> String {
    let given = match (replayed.reasons_given, replayed.reasons.is_empty()) {
        (true, true) => "because (the answer gave no reasons: nothing raised the score)",
        (true, false) => "because",
        (false, _) => "because (the answer gave no reasons; these are made now, from the logged features)",
    };
    let reasons = replayed.reasons.iter().map(|reason| {
        let code = reason.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
        format!("\n{}", indent(&format!("{code}{} ({:+.3})", reason.text, reason.contribution)))
    });
    format!("{given}{}", reasons.collect::<String>())
}

fn past(decision: karat_registry::DecisionKind) -> &'static str {
    match decision {
        karat_registry::DecisionKind::Approve => "approved",
        karat_registry::DecisionKind::Reject => "rejected",
    }
}

/// Both verdicts, and what differs.
pub fn verdicts(replayed: &Replayed) -> String {
    let of = |name: &str, means: &str, verdict: &Verdict| match verdict {
        Verdict::Same => format!("{name}: {}, {means}", passed()),
        Verdict::NotApplicable { why } => format!("{name}: nothing to compare: {why}"),
        Verdict::Different { differences } => {
            let rows = differences.iter().map(|difference| {
                [difference.what.clone(), quoted(&difference.logged), quoted(&difference.recomputed)]
            });
            format!(
                "{name}: {}, {}\n{}",
                failed(),
                count(differences.len(), "difference", "differences"),
                indent(&table(["what", "logged", "computed again"], &[], rows))
            )
        }
    };
    let arithmetic = of(
        "arithmetic",
        "the logged features give the logged score bit for bit, and its reasons",
        &replayed.arithmetic,
    );
    let history =
        of("history", "the features computed again as of then are the logged ones bit for bit", &replayed.history);
    format!("{arithmetic}\n{history}")
}
