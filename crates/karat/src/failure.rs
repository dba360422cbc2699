use std::process::ExitCode;

use karat_jobs::kind_of;
use karat_project::Problems;
use miette::Report;

use crate::output::{count, note};

/// Prints an error and gives the exit code of its kind. Mistakes in a project's files are shown one by one, with their lines.
pub fn report(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<Problems>() {
        Some(problems) => {
            for problem in problems {
                note(&format!("{:?}", Report::new(problem.clone())));
            }
            note(&format!("error: {} in this project", count(problems.count(), "mistake", "mistakes")));
        }
        None => note(&format!("error: {error:#}")),
    }
    ExitCode::from(kind_of(error).exit_code())
}
