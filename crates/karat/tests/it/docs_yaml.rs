//! Every YAML example of the documents is valid: put into the credit-risk project, in place of the resource of that
//! name or beside the others, it leaves a project that loads.

use std::path::Path;

use karat_project::Project;
use karat_test_support::markdown::{Page, all_pages};
use karat_test_support::{example_copy, temp_dir};

/// Writes an example into the project: a resource by its kind and name, or `karat.yaml`.
fn put(project: &Path, text: &str) -> Result<(), String> {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(|value| value.split('#').next().unwrap_or_default().trim().to_owned())
    };
    let file = match field("kind") {
        None => "karat.yaml".to_owned(),
        Some(kind) => {
            let folder = match kind.as_str() {
                "Source" => "sources",
                "Entity" => "entities",
                "FeatureView" => "features",
                "FeatureService" => "services",
                "Model" => "models",
                "Endpoint" => "endpoints",
                "Test" => "tests",
                _ => return Err(format!("`{kind}` is no kind of resource")),
            };
            let name = field("name").ok_or("a resource has a name")?;
            format!("{folder}/{}.yaml", name.replace(' ', "-"))
        }
    };
    let file = project.join(file);
    let written = std::fs::create_dir_all(file.parent().expect("it lies in the project"))
        .and_then(|()| std::fs::write(&file, text));
    written.map_err(|error| format!("{}: {error}", file.display()))
}

fn check(page: &Page, project: &Path) -> Result<usize, String> {
    let mut examples = 0;
    for block in page.of_language("yaml") {
        for text in block.text.split("---\n").filter(|text| !text.trim().is_empty()) {
            put(project, text).map_err(|error| format!("line {}: {error}", block.line))?;
            examples += 1;
        }
    }
    match Project::load(project, None).and_then(|project| project.tests()) {
        Ok(_) => Ok(examples),
        Err(problems) => Err(problems.to_string()),
    }
}

#[test]
fn yaml_examples_are_valid() {
    let mut wrong = Vec::new();
    let mut examples = 0;
    for page in all_pages() {
        match check(&page, example_copy("credit-risk").path()) {
            Ok(found) => examples += found,
            Err(error) => wrong.push(format!("{}: {error}", page.path.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(examples > 5, "the documents have hardly any YAML examples: {examples}");
}

#[test]
fn an_invalid_example_would_be_found() {
    let page = |text: &str| {
        let folder = temp_dir();
        std::fs::write(folder.path().join("page.md"), format!("```yaml\n{text}```\n")).unwrap();
        Page::read(folder.path(), "page.md")
    };
    let entity = "kind: Entity\nname: account\nkey: client_id\n";
    check(&page(entity), example_copy("credit-risk").path()).unwrap();
    for bad in
        [entity.replace("key:", "keyy:"), entity.replace("Entity", "Entities"), format!("{entity}type: integer\n")]
    {
        check(&page(&bad), example_copy("credit-risk").path()).unwrap_err();
    }
}
