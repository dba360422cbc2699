//! Finds and reads the files of a project's folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::draft::Draft;
use crate::files::{FileId, Span};
use crate::problem::{Place, Problem};

/// A resource file is something a person wrote.
const LARGEST: u64 = 1 << 20;
/// Folders inside folders; more is a mistake, or a loop.
const DEEPEST: usize = 8;

/// The `*.yaml` and `*.yml` files of a folder and its sub-folders, ordered by path. None where there is no such folder.
pub(super) fn files(draft: &mut Draft, root: &Path, folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(draft, root, &root.join(folder), 0, &mut found);
    found.sort();
    found
}

fn collect(draft: &mut Draft, root: &Path, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound && depth == 0 => return,
        Err(error) => {
            draft.problems.push(unreadable(root, folder, &error));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if hidden {
            continue;
        }
        if is_folder && depth < DEEPEST {
            collect(draft, root, &path, depth + 1, found);
        } else if !is_folder && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
}

/// The text of a file, known to `draft` from now on; `None` where it cannot be had, which is reported.
pub(super) fn read(draft: &mut Draft, root: &Path, path: &Path) -> Option<(FileId, String)> {
    let size = fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
    if size > LARGEST {
        let message = format!("the file is {size} bytes long; a resource file has at most {LARGEST}");
        draft.problems.push(at_start(root, path, message));
        return None;
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            draft.problems.push(unreadable(root, path, &error));
            return None;
        }
    };
    let (text, valid) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(valid))
        }
    };
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    let file = draft.files.add(relative(root, path), &text);
    if let Some(valid) = valid {
        let problem = draft.files.problem(Span::new(file, valid, valid + 1), "not UTF-8 text");
        draft.problems.push(problem.with_help("save the file in UTF-8"));
        return None;
    }
    Some((file, text))
}

pub(super) fn relative(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn unreadable(root: &Path, path: &Path, error: &std::io::Error) -> Problem {
    at_start(root, path, format!("cannot read it: {error}"))
}

fn at_start(root: &Path, path: &Path, message: String) -> Problem {
    let place = Place { file: relative(root, path), line: 1, column: 1 };
    Problem { place: Some(place), ..Problem::new(message) }
}
