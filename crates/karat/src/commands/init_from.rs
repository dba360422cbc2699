//! `karat init DIR --from FILE`: a project planned from a stranger's file. What the file does not tell is asked.

use std::path::Path;

use anyhow::{Result, bail};
use karat_jobs::Usage;
use karat_jobs::init::{self, Note, Plan, Unclear, Wishes};
use karat_query::{DateOrder, Survey};
use serde::Serialize;

use crate::args::{self, OwnFileArgs};
use crate::commands::Context;
use crate::output::{self, indent, table};
use crate::{prompt, templates};

#[derive(Debug, Serialize)]
struct Made {
    project: String,
    files: Vec<String>,
    notes: Vec<Note>,
    warnings: Vec<String>,
}

pub fn run(context: &Context, dir: &Path, from: &Path, args: &OwnFileArgs) -> Result<()> {
    let mut wishes = wishes(dir, from, args);
    if !from.is_file() {
        bail!(Usage(format!("--from {}: there is no such file", from.display())));
    }
    let survey = init::survey(&wishes)?;
    let plan = ask_and_plan(context, survey, &mut wishes, dir)?;
    let files = init::write(&plan, dir)?;
    let made = Made { project: dir.display().to_string(), files, notes: plan.notes, warnings: plan.warnings };
    context.output.print(&made, |made| human(made, from))
}

fn wishes(dir: &Path, from: &Path, args: &OwnFileArgs) -> Wishes {
    Wishes {
        from: from.to_owned(),
        name: templates::name_of(dir).map_or_else(|| "my-project".to_owned(), |name| name.to_string()),
        target: args.target.clone(),
        time: args.time.clone(),
        key: args.key.clone(),
        positive: args.positive.clone(),
        label_after: args.label_after,
        encoding: args.encoding.clone(),
        dates: args.dates.map(|order| match order {
            args::DateOrder::DayFirst => DateOrder::DayFirst,
            args::DateOrder::MonthFirst => DateOrder::MonthFirst,
        }),
    }
}

/// Plans; what is unclear is asked where somebody is there to answer.
fn ask_and_plan(context: &Context, mut survey: Survey, wishes: &mut Wishes, dir: &Path) -> Result<Plan> {
    loop {
        let error = match init::plan(&survey, wishes, dir) {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        let Some(unclear) = error.downcast_ref::<Unclear>() else { return Err(error) };
        if !prompt::is_attended() || context.output.is_for_programs() {
            return Err(error);
        }
        let answer = ask(unclear)?;
        match unclear.flag {
            "--target" => wishes.target = Some(answer),
            "--time" => wishes.time = Some(answer),
            "--key" => wishes.key = Some(answer),
            "--positive" => wishes.positive = Some(answer),
            "--dates" => {
                let is_day_first = answer.starts_with('d');
                wishes.dates = Some(if is_day_first { DateOrder::DayFirst } else { DateOrder::MonthFirst });
                survey = init::survey(wishes)?;
            }
            _ => return Err(error),
        }
    }
}

/// An answer by its word or its number.
fn ask(unclear: &Unclear) -> Result<String> {
    output::line(&format!("{}?", unclear.question));
    for (place, choice) in unclear.choices.iter().enumerate() {
        output::line(&format!("  {}  {choice}", place + 1));
    }
    let answer = prompt::ask(unclear.flag)?;
    if answer.is_empty() {
        bail!(unclear.clone());
    }
    let numbered = answer.parse::<usize>().ok().and_then(|number| unclear.choices.get(number.checked_sub(1)?));
    let is_a_choice = unclear.choices.contains(&answer);
    Ok(numbered.filter(|_| !is_a_choice).cloned().unwrap_or(answer))
}

fn human(made: &Made, from: &Path) -> String {
    let notes = made.notes.iter().map(|note| [note.about.to_owned(), note.text.clone()]);
    let mut text = format!("made {} from {}: {} files\n", made.project, from.display(), made.files.len());
    text.push_str(&indent(&table(["", ""], &[], notes)));
    for warning in &made.warnings {
        text.push_str(&format!("\nlook at {warning}"));
    }
    let enter = if made.project == "." { String::new() } else { format!("cd {} && ", made.project) };
    text.push_str(&format!("\nnext: {enter}karat demo"));
    text
}
