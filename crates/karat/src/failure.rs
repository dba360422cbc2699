use std::process::ExitCode;

use karat_jobs::kind_of;
use karat_project::Problems;

use crate::output::note;

/// Prints an error and gives the exit code of its kind.
pub fn report(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<Problems>() {
        Some(problems) => note(format!("{:?}", miette::Report::new(problems.clone())).trim_end()),
        None => note(&format!("error: {error:#}")),
    }
    ExitCode::from(kind_of(error).exit_code())
}
