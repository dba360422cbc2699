//! `karat init`: a project folder from a template.

use std::process::ExitCode;

use anyhow::Result;
use karat_project::Project;
use serde::Serialize;

use super::Context;
use crate::args::{InitArgs, Template};
use crate::templates;

#[derive(Debug, Serialize)]
struct Made {
    project: String,
    template: &'static str,
    files: Vec<&'static str>,
}

pub fn run(context: &Context, args: &InitArgs) -> Result<ExitCode> {
    let files = templates::write(args.template, &args.dir)?;
    let template = match args.template {
        Template::CreditRisk => "credit-risk",
        Template::Blank => "blank",
    };
    let made = Made { project: args.dir.display().to_string(), template, files };
    context.output.print(&made, |made| human(made, args))?;
    Ok(ExitCode::SUCCESS)
}

fn human(made: &Made, args: &InitArgs) -> String {
    let next = match args.template {
        Template::CreditRisk => "karat demo credit-risk",
        Template::Blank => "karat check",
    };
    let above = std::path::absolute(&args.dir).ok().and_then(|dir| Project::find(dir.parent()?));
    let nested =
        above.map(|above| format!("\nnote: it lies inside the project {}", above.display())).unwrap_or_default();
    let next = match made.project.as_str() {
        "." => format!("next: {next}"),
        dir => format!("next: cd {dir} && {next}"),
    };
    format!("made {} from template {}: {} files{nested}\n{next}", made.project, made.template, made.files.len())
}
