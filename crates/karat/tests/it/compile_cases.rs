//! Every file of `tests/cases` is the small project with a mistake that only compiling finds (SQL, expressions, types), and
//! all messages about it:
//!
//! ```text
//! #expect FILE:LINE:COLUMN: message (help)      one line a problem, in the order reported
//! #edit FILE | text in it | what replaces it    `\n` is a line's end
//! ```
//!
//! `KARAT_BLESS=1` writes what is reported into the cases, to be read before it is committed.

use std::path::{Path, PathBuf};

use karat_jobs::Catalog;
use karat_project::{Problems, Project};

use crate::small;

#[test]
fn what_does_not_compile_is_told_with_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 30, "only {} cases", paths.len());
    let failures: Vec<String> = paths.iter().filter_map(|path| check(path)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check(path: &Path) -> Option<String> {
    let case = std::fs::read_to_string(path).unwrap();
    let project = small::project();
    for edit in case.lines().filter_map(|line| line.strip_prefix("#edit ")) {
        let parts: Vec<String> = edit.split(" | ").map(|part| part.replace("\\n", "\n")).collect();
        let [file, old, new] = parts.as_slice() else { panic!("not an edit: {edit}") };
        let text = std::fs::read_to_string(project.path().join(file)).unwrap();
        assert_eq!(text.matches(old.as_str()).count(), 1, "`{old}` should stand once in {file}");
        small::put(project.path(), file, &text.replace(old.as_str(), new));
    }
    let found = reported(project.path());
    let expected: Vec<&str> = case.lines().filter_map(|line| line.strip_prefix("#expect ")).collect();
    if found.lines().eq(expected.iter().copied()) {
        return None;
    }
    if std::env::var_os("KARAT_BLESS").is_some() {
        let rest: Vec<&str> = case.lines().filter(|line| !line.starts_with("#expect ")).collect();
        let expectations: String = found.lines().map(|line| format!("#expect {line}\n")).collect();
        std::fs::write(path, format!("{expectations}{}\n", rest.join("\n"))).unwrap();
        return None;
    }
    Some(format!("{}\n  expected:\n    {}\n  found:\n    {found}", path.display(), expected.join("\n    ")))
}

/// A message of several lines would be a line a problem no more: none is.
fn reported(folder: &Path) -> String {
    let problems: Problems = match Project::load(folder, None) {
        Err(problems) => problems,
        Ok(project) => match Catalog::compile(&project) {
            Ok(_) => return String::new(),
            Err(error) => error.downcast().expect("a project that does not compile has problems"),
        },
    };
    let lines = problems.lines();
    assert_eq!(lines.lines().count(), problems.count(), "{lines}");
    lines
}
