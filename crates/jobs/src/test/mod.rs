//! `karat test`: each test of the project in stores of its own, which are thrown away. Nothing of the project's own state
//! is written; a decision of the registered champion reads it where it is.

mod compare;
mod decision;
mod expect;
mod world;

use std::time::Instant as Stopwatch;

use anyhow::Result;
use karat_project::{LocatedTest, Place, Project};
use serde::Serialize;

use crate::Surroundings;
use world::Misgiven;

/// What the tests came to.
#[derive(Debug, Serialize)]
pub struct Tested {
    pub tests: Vec<TestOutcome>,
    pub passed: usize,
    pub failed: usize,
    /// Tests of the project that the filter left out.
    pub left_out: usize,
}

#[derive(Debug, Serialize)]
pub struct TestOutcome {
    pub name: String,
    #[serde(flatten)]
    pub place: Place,
    pub passed: bool,
    /// Expectations looked at.
    pub expectations: usize,
    pub failures: Vec<Failure>,
    pub seconds: f64,
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// Of the expectation.
    #[serde(flatten)]
    pub place: Place,
    /// `payment_history.nb_late of 1, as of 2021-10-01T00:00:00Z`
    pub what: String,
    pub expected: String,
    pub got: String,
}

/// Makes what a throw-away project is opened with.
pub type Around<'a> = &'a dyn Fn() -> Surroundings;

/// Runs the tests whose name or file contains `filter`.
pub async fn run(project: &Project, filter: &str, around: Around<'_>) -> Result<Tested> {
    let tests = project.tests()?;
    let wanted = |test: &&LocatedTest| {
        let place = test.place("name");
        test.spec.name.contains(filter) || place.file.contains(filter)
    };
    let chosen: Vec<&LocatedTest> = tests.iter().filter(wanted).collect();
    let mut outcomes = Vec::with_capacity(chosen.len());
    for test in &chosen {
        outcomes.push(Box::pin(one(project, test, around)).await);
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    let (passed, left_out) = (outcomes.len() - failed, tests.len() - chosen.len());
    Ok(Tested { tests: outcomes, passed, failed, left_out })
}

async fn one(project: &Project, test: &LocatedTest, around: Around<'_>) -> TestOutcome {
    let begun = Stopwatch::now();
    let mut failures = Vec::new();
    if let Err(error) = Box::pin(expect::check(project, test, around, &mut failures)).await {
        // What stops a test is a failure of the whole, unless it says of what.
        failures.push(Failure {
            place: test.place(error.downcast_ref().map_or("name", |Misgiven { key, .. }| key)),
            what: "the test cannot be run".to_owned(),
            expected: "a run to its end".to_owned(),
            got: format!("{error:#}"),
        });
    }
    TestOutcome {
        name: test.spec.name.clone(),
        place: test.place("name"),
        passed: failures.is_empty(),
        expectations: test.spec.expect.len(),
        failures,
        seconds: begun.elapsed().as_secs_f64(),
    }
}
