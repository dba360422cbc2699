//! A project's folder with one file of a stranger's, and what a release says of one.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use karat_project::{Problems, Project, SCHEMA_KINDS};

use super::choice;
use crate::{copy_folder, repository, temp_dir};

pub(super) const WORDS: &[&str] = &[
    "kind: Source",
    "kind: FeatureView",
    "name:",
    "path:",
    "sql:",
    "columns:",
    "keys:",
    "prepare:",
    "contract:",
    "check:",
    "csv:",
    "features:",
    "entity:",
    "window:",
    "last:",
    "where:",
    "expression:",
    "share:",
    "split:",
    "spine:",
    "estimator:",
    "threshold:",
    "gates:",
    "labels:",
    "request:",
    "monotone:",
    "reasons:",
    "{",
    "}",
    "[",
    "]",
    "- ",
    ": ",
    ", ",
    "---\n",
    "&a ",
    "*a",
    "!!int ",
    "|\n",
    ">-\n",
    "? ",
    "\"",
    "'",
    "\\u0000",
    "~",
    "null",
    "true",
    "0.5",
    "6 months",
    "-1",
    "${HOME}",
    "client_id",
    "payments",
    "applications",
    "payment_history",
    "credit_default",
    "\u{feff}",
    "\n  ",
    "\n\t",
    "#",
];

/// The files a first byte chooses among, whatever the folder has besides.
const FILES: [&str; 8] = [
    "karat.yaml",
    "sources/applications.yaml",
    "sources/payments.yaml",
    "sources/loans.yaml",
    "entities/client.yaml",
    "features/payment_history.yaml",
    "models/credit_default.yaml",
    "endpoints/credit-risk.yaml",
];

fn lending() -> PathBuf {
    repository().join("crates/project/tests/lending")
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let read = |(place, file): (usize, &&str)| {
        let text = std::fs::read(lending().join(file)).expect("the project of the project crate's tests");
        [vec![place as u8], text].concat()
    };
    FILES.iter().enumerate().map(read).collect()
}

thread_local! {
    /// A copy of that project, each file as it was.
    static FOLDER: RefCell<tempfile::TempDir> = RefCell::new({
        let folder = temp_dir();
        copy_folder(&lending(), folder.path()).expect("a temporary folder takes a copy");
        folder
    });
}

pub(super) fn files(data: &[u8]) {
    let (place, text) = choice(data);
    let name = FILES[usize::from(place) % FILES.len()];
    FOLDER.with_borrow(|folder| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a temporary file is writable");
        let loaded = Project::load(folder.path(), None);
        std::fs::copy(lending().join(name), &file).expect("a temporary file is writable");
        match loaded {
            Ok(project) => comes_back(&project),
            Err(problems) => can_be_shown(&problems, folder.path(), name, text),
        }
    });
}

/// What a release records of a project is the project.
fn comes_back(project: &Project) {
    let manifest = project.manifest();
    let again = Project::from_manifest(&manifest).unwrap_or_else(|error| panic!("{error}\n{manifest}"));
    assert_eq!(again.manifest(), manifest);
    assert_eq!(again.digest(), project.digest());
}

fn can_be_shown(problems: &Problems, root: &Path, spoiled: &str, text: &[u8]) {
    assert!(problems.count() > 0);
    for problem in problems {
        assert!(!problem.message.is_empty());
        let Some(place) = &problem.place else { continue };
        let written = match place.file == spoiled {
            true => String::from_utf8_lossy(text).into_owned(),
            false => std::fs::read_to_string(root.join(&place.file)).expect("a problem is about a file of the project"),
        };
        let line = written.split('\n').nth(place.line - 1).unwrap_or_else(|| panic!("{place} is beyond the file"));
        assert!(place.column <= line.chars().count() + 1, "{place} is beyond its line: {line:?}");
    }
    let mut rendered = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none());
    handler.render_report(&mut rendered, problems).expect("problems render");
    serde_json::to_string(problems).expect("problems serialise");
}

pub(super) fn release_seeds() -> Vec<Vec<u8>> {
    let project = Project::load(&lending(), None).unwrap_or_else(|problems| panic!("{}", problems.lines()));
    vec![serde_json::to_vec(&project.manifest()).expect("a manifest is JSON")]
}

/// What stands in the metadata database under a release.
pub(super) fn release(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        // Kinds, as `karat schema` is given them.
        SCHEMA_KINDS.iter().for_each(|kind| assert!(karat_project::schema_of(kind).is_some()));
        karat_project::schema_of(text);
    }
    let Ok(json) = serde_json::from_slice(data) else { return };
    if let Ok(project) = Project::from_manifest(&json) {
        comes_back(&project);
    }
}
