//! Check, ingest, features.

use anyhow::{Context, Result};
use karat_jobs::ingest::{self, Ingested, Insisting};
use karat_jobs::{Workspace, query};
use karat_project::spec::Action;
use karat_query::{LeftOutBy, RuleReport};

use super::own;
use super::place::{Found, Told};
use super::story::Story;
use crate::commands::sources::{left_out, rows};
use crate::output::{count, duration, thousands};

pub async fn tell(workspace: &Workspace, found: &Found, story: &mut Story) -> Result<()> {
    story.step("Check: every row against its source's contract");
    let ingested = ingest::run(workspace, &[], Insisting::default()).await?;
    for one in &ingested {
        check(one, story);
    }
    story.end_step();
    story.step("Ingest: what was accepted, into history");
    for one in &ingested {
        let commit = one.commit.map(|commit| commit.to_string()).unwrap_or_default();
        let counts = &one.counts;
        let what = match one.new_commit {
            true => format!(
                "{} new, {} revised, {} removed",
                thousands(counts.new),
                thousands(counts.revised),
                thousands(counts.removed)
            ),
            false => "nothing new".to_owned(),
        };
        let took = duration(one.seconds);
        story.say(&format!("{}: commit {commit}, {what} (read, checked and compared in {took})", one.source));
    }
    match found.told {
        Told::Example => label(workspace, story).await?,
        Told::Own => own::label(workspace, &found.model, story).await?,
    }
    story.end_step();
    features(workspace, story)
}

/// What became of a source's rows, and where the data's known traps were caught.
fn check(one: &Ingested, story: &mut Story) {
    story.say(&format!("{}: {}", one.source, rows(&one.report)));
    story.keep(&format!("{}_accepted", one.source), one.report.accepted);
    story.keep(&format!("{}_quarantined", one.source), one.report.quarantined);
    for rule in one.report.rules.iter().filter(|rule| rule.failed > 0) {
        story.say(&format!("   {}", told(rule)));
        if rule.column.as_deref() == Some(JOB_START) {
            story.keep("job_starts_nulled", rule.failed);
        }
    }
    for (left, line) in one.report.left_out.iter().zip(left_out(&one.report)) {
        let is_credit = left.by == LeftOutBy::Join && (left.side == "credit" || left.side == "c");
        if is_credit {
            let clients = thousands(left.keys);
            story.say(&format!(
                "   {} credit rows of {clients} ids without an application, left out",
                thousands(left.rows)
            ));
            story.keep("credit_rows_left_out", left.rows);
        } else {
            story.say(&format!("   {line}"));
        }
    }
}

const JOB_START: &str = "job_start_date";

fn told(rule: &RuleReport) -> String {
    let why = rule.description.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    let failed = thousands(rule.failed);
    let done = match rule.action {
        Action::Quarantine => "quarantined",
        Action::SetNull => "set to null",
        Action::Warn | Action::Fail => "counted",
    };
    match rule.column.as_deref() {
        Some(JOB_START) => format!("{failed} job starts {done}: {JOB_START} {}{why}", rule.reason),
        Some(column) => format!("{failed} rows {done}: {column} {}{why}", rule.reason),
        None => format!("{failed} rows {done}: {}{why}", rule.reason),
    }
}

/// What there is to learn from, as a query over the loans' current rows.
async fn label(workspace: &Workspace, story: &mut Story) -> Result<()> {
    let sql = "SELECT count(*) AS loans, count(DISTINCT client_id) AS clients, \
               sum(CASE WHEN late THEN 1 ELSE 0 END) AS late FROM loans";
    let answered = query::run(workspace, sql).await?;
    let mut numbers = [0u64; 3];
    for (place, number) in numbers.iter_mut().enumerate() {
        let column = answered.batches.first().context("a count has one row")?.column(place);
        let column = arrow::compute::cast(column, &arrow::datatypes::DataType::UInt64)?;
        let column = arrow::array::AsArray::as_primitive::<arrow::datatypes::UInt64Type>(&column);
        *number = column.value(0);
    }
    let [loans, clients, late] = numbers;
    // Both are whole numbers, so the mean does not depend on any order of adding.
    let mean = late as f64 / loans as f64;
    story.say(&format!("{} loans, {} clients", thousands(loans), thousands(clients)));
    story.say(&format!("status mean {mean}: {} months were paid late", thousands(late)));
    for (name, number) in [("loans", loans), ("clients", clients), ("late", late)] {
        story.keep(name, number);
    }
    story.keep("status_mean", mean);
    Ok(())
}

fn features(workspace: &Workspace, story: &mut Story) -> Result<()> {
    story.step("Features: defined once, as known at any moment");
    let catalog = workspace.catalog()?;
    for (name, planned) in &catalog.views {
        let names: Vec<&str> = planned.view.outputs().iter().map(|output| output.name.as_str()).collect();
        story.say(&format!(
            "{name}: {} of a {} from {} (definition {})",
            count(names.len(), "feature", "features"),
            planned.entities(),
            planned.spec.source,
            planned.digest.short()
        ));
        story.say(&format!("   {}", names.join(", ")));
    }
    story.end_step();
    Ok(())
}
