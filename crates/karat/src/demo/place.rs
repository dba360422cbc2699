//! Where the demo's project is, or is made.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use karat_jobs::Usage;
use karat_project::Project;

use super::story::Story;
use crate::args::{DemoArgs, Template};
use crate::commands::Context;
use crate::templates;

/// The names that make a project a copy of the example; everything else in it may be changed.
const MODEL: &str = "credit_default";
const ENDPOINT: &str = "credit-risk";
const SOURCES: [&str; 3] = ["applications", "credit", "loans"];

pub struct Found {
    pub root: PathBuf,
    pub told: Told,
    pub model: String,
    pub endpoint: String,
    /// What a `karat` command needs to find it from here: nothing, or `--project DIR`.
    pub flag: String,
}

/// Whose story it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The shipped example's, with what is known of its data.
    Example,
    /// Any project's.
    Own,
}

/// The project at hand, unless the example is asked for by its name; outside of any, the example.
pub fn find(context: &Context, args: &DemoArgs, story: &mut Story) -> Result<Found> {
    let here = std::env::current_dir()?;
    let named = args.dir.as_deref().or_else(|| context.named_project()).map(Path::to_owned);
    let root = named.or_else(|| Project::find(&here)).filter(|root| root.join("karat.yaml").exists());
    let own = match (args.story, root) {
        (None, Some(root)) => {
            Some((context.within(&root).load()?, root)).filter(|(project, _)| !holds_the_story(project))
        }
        _ => None,
    };
    match own {
        Some((project, root)) => own_project(&project, root, &here, story),
        None => find_or_make(context, args, story),
    }
}

fn own_project(project: &Project, root: PathBuf, here: &Path, story: &mut Story) -> Result<Found> {
    let Some(endpoint) = project.endpoints().values().next() else {
        bail!(Usage(format!(
            "{} has no endpoint yet, and the story ends with a served decision: write one into endpoints/",
            root.display()
        )));
    };
    story.say(&format!("found in {}: {}", root.display(), project.config().name));
    if let Some(description) = &project.config().description {
        story.say(description.trim());
    }
    story.keep("project", root.display().to_string());
    let flag = if is_found_from(here, &root) { String::new() } else { format!(" --project {}", shell_word(&root)) };
    let (model, endpoint) = (endpoint.model.to_string(), endpoint.name.to_string());
    Ok(Found { root, flag, told: Told::Own, model, endpoint })
}

fn find_or_make(context: &Context, args: &DemoArgs, story: &mut Story) -> Result<Found> {
    let here = std::env::current_dir()?;
    let named = args.dir.as_deref().or_else(|| context.named_project());
    let root = match (named, Project::find(&here)) {
        (Some(dir), _) => dir.to_owned(),
        (None, Some(nearest)) if is_the_example(&nearest) => nearest,
        (None, _) => PathBuf::from("credit-risk"),
    };
    if root.join("karat.yaml").exists() {
        // A broken project is told with its mistakes, not as another project.
        let project = context.within(&root).load()?;
        if !holds_the_story(&project) {
            bail!(Usage(format!(
                "{} holds another project: tell the story in a folder of its own with --dir DIR",
                root.display()
            )));
        }
        story.say(&format!("found in {}", root.display()));
    } else {
        let files = templates::write(Template::CreditRisk, &root)?;
        story.say(&format!("made in {}: {} files, the data included", root.display(), files.len()));
    }
    story.say("data: \"Credit Card Approval Prediction\", Kaggle, as listed there CC0; only loan_amount is synthetic");
    story.keep("project", root.display().to_string());
    let flag = if is_found_from(&here, &root) { String::new() } else { format!(" --project {}", shell_word(&root)) };
    Ok(Found { root, flag, told: Told::Example, model: MODEL.to_owned(), endpoint: ENDPOINT.to_owned() })
}

fn is_the_example(root: &Path) -> bool {
    Project::load(root, None).is_ok_and(|project| holds_the_story(&project))
}

fn holds_the_story(project: &Project) -> bool {
    SOURCES.iter().all(|name| project.sources().contains_key(*name))
        && project.models().contains_key(MODEL)
        && project.endpoints().contains_key(ENDPOINT)
}

fn is_found_from(here: &Path, root: &Path) -> bool {
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    std::env::var_os("KARAT_PROJECT").is_none()
        && Project::find(here).is_some_and(|found| canonical(&found) == canonical(root))
}

/// A path as a shell takes it for one word.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(shell_word(Path::new("a/b-1.c")), "a/b-1.c");
        assert_eq!(shell_word(Path::new("my own's")), r"'my own'\''s'");
    }

    #[test]
    fn only_a_copy_of_the_example_is_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_the_example(dir.path()));
        templates::write(Template::CreditRisk, dir.path()).unwrap();
        assert!(is_the_example(dir.path()));
        let blank = tempfile::tempdir().unwrap();
        templates::write(Template::Blank, blank.path()).unwrap();
        assert!(!is_the_example(blank.path()));
    }
}
