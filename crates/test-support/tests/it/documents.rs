//! The documents say what is: their links lead somewhere.

use karat_test_support::markdown::all_pages;
use karat_test_support::repository;

#[test]
fn relative_links_lead_somewhere() {
    let root = repository();
    let mut dead = Vec::new();
    for page in all_pages() {
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
