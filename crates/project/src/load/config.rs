use std::path::Path;

use super::{CONFIG_FILE, folder};
use crate::draft::Draft;
use crate::files::Span;
use crate::problem::Problem;
use crate::read::{Reader, config};
use crate::suggest::{did_you_mean, ticked};
use crate::yaml::{Node, Parsed, Shape, parse};

const ENVIRONMENTS: &str = "environments";

pub(super) fn load(draft: &mut Draft, root: &Path, environment: Option<&str>) {
    let path = root.join(CONFIG_FILE);
    if path.is_dir() {
        draft.problems.push(Problem::new(format!("{CONFIG_FILE} in {} is a folder, not a file", root.display())));
        return;
    }
    if !path.is_file() {
        let problem = Problem::new(format!("there is no {CONFIG_FILE} in {}", root.display()));
        draft.problems.push(problem.with_help("`karat init DIR` makes a project"));
        return;
    }
    let Some(mut node) = only_document(draft, root, &path) else { return };
    if let Some(environment) = environment {
        overlay(draft, root, environment, &mut node);
    }
    let unset = fill_in(draft, &mut node);
    let mut problems = std::mem::take(&mut draft.problems);
    draft.config = config(&mut Reader::new(&draft.files, &mut problems), &node);
    // What a store's URI lacks says nothing about how it is written.
    problems.retain(|problem| !unset.iter().any(|other| other.place == problem.place));
    problems.extend(unset);
    draft.problems = problems;
    draft.config_node = Some(node);
}

/// Variables are for where the project runs: its name and description are recorded, and stay as they are written.
fn fill_in(draft: &Draft, node: &mut Node) -> Vec<Problem> {
    let mut unset = Vec::new();
    if let Shape::Map(entries) = &mut node.shape {
        for entry in entries.iter_mut().filter(|entry| matches!(entry.key.as_str(), "stores" | "server")) {
            entry.value.fill_in(&mut |span, error| unset.push(draft.files.problem(span, error.to_string())));
        }
    }
    unset
}

fn overlay(draft: &mut Draft, root: &Path, environment: &str, node: &mut Node) {
    let names: Vec<String> = folder::files(draft, root, ENVIRONMENTS)
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    if !names.iter().any(|name| name == environment) {
        let help = did_you_mean(environment, names.iter().map(String::as_str), || match names.as_slice() {
            [] => format!("environments live in `{ENVIRONMENTS}/NAME.yaml`"),
            _ => format!("there is {}", ticked(&names)),
        });
        draft.problems.push(Problem::new(format!("no environment is called `{environment}`")).with_help(help));
        return;
    }
    let yaml = root.join(ENVIRONMENTS).join(format!("{environment}.yaml"));
    let path = if yaml.is_file() { yaml } else { yaml.with_extension("yml") };
    if let Some(over) = only_document(draft, root, &path)
        && matches!(over.shape, Shape::Map(_))
    {
        node.overlay(over);
    }
}

fn only_document(draft: &mut Draft, root: &Path, path: &Path) -> Option<Node> {
    let (file, text) = folder::read(draft, root, path)?;
    let Parsed { documents, mistakes } = parse(&text, file);
    let broken = !mistakes.is_empty();
    for mistake in mistakes {
        draft.problems.push(Problem { help: mistake.help, ..draft.files.problem(mistake.span, mistake.message) });
    }
    let mut documents = documents.into_iter();
    match (documents.next(), documents.next()) {
        (Some(node), None) if !node.is_null() => Some(node),
        (Some(_), Some(second)) => {
            let message = format!("{} is one document: this begins another", draft.files.name(file));
            draft.problems.push(draft.files.problem(second.span, message));
            None
        }
        _ if broken => None,
        _ => {
            let problem = draft.files.problem(Span::new(file, 0, 0), "the file is empty");
            draft.problems.push(problem.with_help("a project has at least a `name`"));
            None
        }
    }
}
