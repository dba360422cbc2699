//! The documents say what is: their links lead somewhere.

use std::path::Path;

use karat_test_support::markdown::Page;
use karat_test_support::repository;

/// `README.md` and every Markdown file under `docs/`, from the root.
pub fn pages() -> Vec<Page> {
    fn collect(root: &Path, folder: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(root.join(folder)).expect("the folder exists").flatten() {
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                collect(root, &path, found);
            } else if path.ends_with(".md") {
                found.push(path);
            }
        }
    }
    let root = repository();
    let mut paths = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    collect(&root, "docs", &mut paths);
    paths.sort();
    paths.iter().map(|path| Page::read(&root, path)).collect()
}

#[test]
fn relative_links_lead_somewhere() {
    let root = repository();
    let mut dead = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(root.join(&page.path)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let folder = root.join(&page.path).parent().unwrap().to_owned();
            if !folder.join(target).exists() {
                dead.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}
