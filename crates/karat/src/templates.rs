//! What `karat init` and `karat demo` write: the shipped example, and the blank project.

use std::borrow::Cow;
use std::path::Path;

use anyhow::Result;
use karat_core::Name;
use karat_project::NewFolder;

use crate::args::Template;

/// A file's path in the project, and its bytes.
type File = (&'static str, &'static [u8]);

macro_rules! embed {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), $folder, $path)))),+]
    };
}

/// Named one by one, so that what running the example leaves in its folder is never embedded.
const CREDIT_RISK: &[File] = embed!("/../../examples/credit-risk/":
    "karat.yaml",
    "README.md",
    ".gitignore",
    "data/application_record.csv.zst",
    "data/credit_record.csv.zst",
    "sources/applications.yaml",
    "sources/credit.yaml",
    "sources/loans.yaml",
    "entities/client.yaml",
    "features/payment_history.yaml",
    "features/applicant.yaml",
    "models/credit_default.yaml",
    "endpoints/credit-risk.yaml",
    "tests/contracts.yaml",
    "tests/payment_history.yaml",
    "tests/whole_run.yaml",
);

const BLANK: &[File] = embed!("/templates/blank/":
    "karat.yaml",
    "README.md",
    ".gitignore",
    "data/README.md",
    "sources/example.yaml.txt",
    "entities/example.yaml.txt",
    "features/example.yaml.txt",
    "models/example.yaml.txt",
    "endpoints/example.yaml.txt",
);

fn files(template: Template) -> &'static [File] {
    match template {
        Template::CreditRisk => CREDIT_RISK,
        Template::Blank => BLANK,
    }
}

/// What makes a folder a project.
const CONFIG: &str = "karat.yaml";

/// What the blank template calls its project.
const UNNAMED: &str = "my-project";

/// What a folder's project is called after it, where that is a name.
pub fn name_of(dir: &Path) -> Option<Name> {
    let absolute = std::path::absolute(dir).ok()?;
    Name::new(absolute.file_name()?.to_str()?).ok()
}

fn named_after<'a>(dir: &Path, config: &'a [u8]) -> Cow<'a, [u8]> {
    match (name_of(dir), std::str::from_utf8(config)) {
        (Some(name), Ok(text)) => Cow::Owned(text.replacen(UNNAMED, &name, 1).into_bytes()),
        _ => Cow::Borrowed(config),
    }
}

/// Writes the template into `dir` and returns its files. Refuses before the first write when a project is there already,
/// or a file that would be changed.
pub fn write(template: Template, dir: &Path) -> Result<Vec<&'static str>> {
    let files = files(template);
    let config = files.iter().find(|(path, _)| *path == CONFIG).map(|(_, bytes)| named_after(dir, bytes));
    let config = config.expect("every template has a karat.yaml");
    let named: Vec<(&str, &[u8])> =
        files.iter().map(|(path, bytes)| (*path, if *path == CONFIG { config.as_ref() } else { bytes })).collect();
    NewFolder::new(dir, &named)?.write()?;
    Ok(files.iter().map(|(path, _)| *path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(folder: &Path, below: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            match path.is_dir() {
                true if name == ".karat" => {}
                true => on_disk(folder, &path, found),
                false => found.push(name),
            }
        }
    }

    #[test]
    fn a_blank_project_has_its_folders_name() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, name) in [("lending", "name: lending\n"), ("2024 plans", "name: my-project\n")] {
            write(Template::Blank, &dir.path().join(folder)).unwrap();
            let config = std::fs::read_to_string(dir.path().join(folder).join(CONFIG)).unwrap();
            assert!(config.starts_with(name), "{config}");
        }
    }

    #[test]
    fn every_file_of_the_folders_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (template, folder) in
            [(Template::CreditRisk, "../../examples/credit-risk"), (Template::Blank, "templates/blank")]
        {
            let mut found = Vec::new();
            let folder = root.join(folder);
            on_disk(&folder, &folder, &mut found);
            let mut embedded: Vec<&str> = files(template).iter().map(|(path, _)| *path).collect();
            found.sort();
            embedded.sort_unstable();
            assert_eq!(embedded, found);
        }
    }

    #[test]
    fn a_folder_with_a_project_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        write(Template::Blank, dir.path()).unwrap();
        let error = write(Template::Blank, dir.path()).unwrap_err();
        assert!(error.to_string().ends_with("holds a project already: choose another folder"), "{error}");
    }

    #[test]
    fn a_folder_left_half_written_is_completed_and_a_changed_file_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        write(Template::Blank, dir.path()).unwrap();
        std::fs::remove_file(dir.path().join(CONFIG)).unwrap();
        write(Template::Blank, dir.path()).unwrap();
        std::fs::remove_file(dir.path().join(CONFIG)).unwrap();
        std::fs::write(dir.path().join("README.md"), "mine").unwrap();
        let error = write(Template::Blank, dir.path()).unwrap_err();
        assert!(error.to_string().contains("README.md is there already"), "{error}");
        assert!(!dir.path().join(CONFIG).exists());
    }
}
