//! `karat test`: a line a test, and of what failed the place, what was expected and what came.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use karat_jobs::test::{self, Failure, TestOutcome, Tested};
use karat_jobs::{NotFound, Silent};

use super::{Context, around, exit};
use crate::output::{count, duration, failed, passed};

pub async fn run(context: &Context, filter: &str) -> Result<ExitCode> {
    let project = context.load()?;
    karat_jobs::Catalog::compile(&project)?;
    let tested = test::run(&project, filter, &|| around(Arc::new(Silent))).await?;
    if tested.tests.is_empty() && tested.left_out > 0 {
        return Err(NotFound(format!(
            "no test has `{filter}` in its name or file; {}",
            count(tested.left_out, "other test is there", "other tests are there")
        ))
        .into());
    }
    context.output.print(&tested, human)?;
    Ok(exit(tested.failed == 0))
}

fn human(tested: &Tested) -> String {
    if tested.tests.is_empty() {
        return "no tests yet: they live in tests/*.yaml (`karat schema test` says what they are made of)".to_owned();
    }
    let mut lines = Vec::new();
    let mut file = "";
    for outcome in &tested.tests {
        if outcome.place.file != file {
            file = &outcome.place.file;
            lines.push(file.to_owned());
        }
        lines.push(told(outcome));
        lines.extend(outcome.failures.iter().map(explained));
    }
    let tests = count(tested.tests.len(), "test", "tests");
    let left_out = match tested.left_out {
        0 => String::new(),
        number => format!(", {number} left out"),
    };
    lines.push(format!("\n{tests}: {} passed, {} failed{left_out}", tested.passed, tested.failed));
    lines.join("\n")
}

fn told(outcome: &TestOutcome) -> String {
    let sign = if outcome.passed { passed() } else { failed() };
    let looked_at = count(outcome.expectations, "expectation", "expectations");
    format!("  {sign} {} ({looked_at}, {})", outcome.name, duration(outcome.seconds))
}

fn explained(failure: &Failure) -> String {
    let Failure { place, what, expected, got } = failure;
    format!("      {place}: {what}\n        expected  {expected}\n        got       {got}")
}
