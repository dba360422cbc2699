//! `karat init`: a project folder, from a template or from a file of its own.

use std::process::ExitCode;

use anyhow::Result;
use karat_project::Project;
use serde::Serialize;

use super::{Context, init_from};
use crate::args::{InitArgs, Template};
use crate::templates;

#[derive(Debug, Serialize)]
struct Made {
    project: String,
    template: &'static str,
    files: Vec<&'static str>,
}

pub fn run(context: &Context, args: &InitArgs) -> Result<ExitCode> {
    if let Some(from) = &args.own.from {
        init_from::run(context, &args.dir, from, &args.own)?;
        return Ok(ExitCode::SUCCESS);
    }
    let template = args.template.unwrap_or(Template::Blank);
    let files = templates::write(template, &args.dir)?;
    let name = match template {
        Template::CreditRisk => "credit-risk",
        Template::Blank => "blank",
    };
    let made = Made { project: args.dir.display().to_string(), template: name, files };
    context.output.print(&made, |made| human(made, template, args))?;
    Ok(ExitCode::SUCCESS)
}

fn human(made: &Made, template: Template, args: &InitArgs) -> String {
    let next = match template {
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
