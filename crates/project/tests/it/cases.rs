//! Every file of `tests/cases` is a project with mistakes and all messages about them, every one of `tests/valid` a
//! project without. They begin with `tests/lending`, or with an empty folder after `#empty`:
//!
//! ```text
//! #expect FILE:LINE:COLUMN: message (help)      one line a problem, in the order reported
//! #edit FILE | text in it | what replaces it    `\n` is a line's end, `\t` a tab
//! #remove FILE
//! #folder PATH                                  a folder, whatever else is called like one
//! #link PATH | where it leads
//! #file FILE                                    the lines up to the next directive are its text
//! ```
//!
//! `KARAT_BLESS=1` writes what is reported into the cases, to be read before it is committed.

use std::fs;
use std::path::Path;

use karat_project::Project;

use crate::support::{Folder, tests_folder};

#[test]
fn mistakes_are_all_reported() {
    check_folder("cases", 90);
}

#[test]
fn valid_projects_load() {
    check_folder("valid", 3);
}

fn check_folder(folder: &str, at_least: usize) {
    let mut paths: Vec<_> =
        fs::read_dir(tests_folder().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= at_least, "only {} cases in {folder}", paths.len());
    let failures: Vec<String> = paths.iter().filter_map(|path| check_case(path)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check_case(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).unwrap();
    let folder = build(&text);
    let found = match Project::load(folder.path(), None) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            // Rendering must work for whatever is reported.
            let mut rendered = String::new();
            let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none());
            handler.render_report(&mut rendered, &problems).unwrap();
            assert!(problems.iter().all(|problem| rendered.contains(problem.message.split(' ').next().unwrap())));
            let root = folder.path().display().to_string();
            problems.lines().lines().map(|line| line.replace(&root, "FOLDER")).collect()
        }
    };
    let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#expect ")).collect();
    if found == expected {
        return None;
    }
    if std::env::var_os("KARAT_BLESS").is_some() {
        let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("#expect ")).collect();
        let expectations: String = found.iter().map(|line| format!("#expect {line}\n")).collect();
        fs::write(path, format!("{expectations}{}\n", rest.join("\n"))).unwrap();
        return None;
    }
    Some(format!(
        "{}\n  expected:\n    {}\n  found:\n    {}",
        path.display(),
        expected.join("\n    "),
        found.join("\n    ")
    ))
}

fn build(case: &str) -> Folder {
    let folder = if case.lines().any(|line| line == "#empty") { Folder::empty() } else { Folder::lending() };
    let unescape = |text: &str| text.replace("\\n", "\n").replace("\\t", "\t");
    let mut open: Option<(String, String)> = None;
    for line in case.lines().chain(["#end"]) {
        let directive = ["#expect ", "#edit ", "#remove ", "#folder ", "#link ", "#file ", "#empty", "#end"]
            .iter()
            .any(|d| line.starts_with(d));
        if directive && let Some((path, text)) = open.take() {
            folder.write(&path, text);
        }
        if let Some(path) = line.strip_prefix("#file ") {
            open = Some((path.to_owned(), String::new()));
        } else if let Some(path) = line.strip_prefix("#remove ") {
            folder.remove(path);
        } else if let Some(path) = line.strip_prefix("#folder ") {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        } else if let Some((path, target)) = line.strip_prefix("#link ").and_then(|link| link.split_once(" | ")) {
            std::os::unix::fs::symlink(target, folder.path().join(path)).unwrap();
        } else if let Some(edit) = line.strip_prefix("#edit ") {
            let parts: Vec<&str> = edit.split(" | ").collect();
            let [path, old, new] = parts.as_slice() else { panic!("not an edit: {line}") };
            folder.edit(path, &unescape(old), &unescape(new));
        } else if let (false, Some((_, text))) = (directive, &mut open) {
            text.push_str(&unescape(line));
            text.push('\n');
        }
    }
    folder
}
