//! `karat check`: every mistake in the folder, with its place.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Catalog;
use karat_project::{Kind, Problem, Problems, Project};

use super::Context;
use crate::output::count;

pub fn run(context: &Context) -> Result<ExitCode> {
    let checked = context.load().and_then(|project| {
        Catalog::compile(&project)?;
        Ok(project)
    });
    match checked {
        Ok(project) => context.output.print::<[Problem]>(&[], |_| valid(&project))?,
        // The one document of a check that found something is what it found.
        Err(error) if context.output.is_for_programs() => match error.downcast::<Problems>() {
            Ok(problems) => {
                context.output.print(&problems, Problems::lines)?;
                return Ok(ExitCode::from(problems.kind().exit_code()));
            }
            Err(other) => return Err(other),
        },
        Err(error) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

fn valid(project: &Project) -> String {
    let resources = project.resources();
    let mut kinds = Vec::new();
    for kind in Kind::ALL {
        let number = resources.iter().filter(|resource| resource.kind == kind).count();
        if number > 0 {
            let plural = match kind {
                Kind::Entity => "entities".to_owned(),
                other => format!("{}s", other.words()),
            };
            kinds.push(count(number, kind.words(), &plural));
        }
    }
    let held = if kinds.is_empty() { "no resources yet".to_owned() } else { kinds.join(", ") };
    format!("{}: {held}; no mistakes", project.config().name)
}
