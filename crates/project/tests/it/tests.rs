//! The files of `tests/`: what they say, and what is wrong with them, each with its place.

use karat_project::spec::{Expectation, Expected, Given};
use karat_project::{Problems, Project, schema_of};
use serde_json::json;

use crate::support::Folder;

const FILE: &str = "tests/late.yaml";

fn problems(folder: &Folder) -> Problems {
    Project::load(folder.path(), None).unwrap().tests().unwrap_err()
}

#[test]
fn a_test_is_read_with_its_places() {
    let folder = Folder::lending();
    let tests = Project::load(folder.path(), None).unwrap().tests().unwrap();
    let [test] = tests.as_slice() else { panic!("one test") };
    assert_eq!(test.spec.name, "a late month counts");
    let Some(Given::Rows(rows)) = test.spec.given.get("payments") else { panic!("rows") };
    assert_eq!((&rows[0].0["late"], &rows[0].0["method"]), (&json!(true), &json!(null)));
    assert_eq!(test.spec.expect.len(), 7);
    let Expectation::Features(features) = &test.spec.expect[0] else { panic!("features come first") };
    assert_eq!(features.values["nb_payments"], Expected::Value(json!(2)));
    assert_eq!(test.place("expect[0].values.share_late").to_string(), "tests/late.yaml:15:42");
    assert_eq!(test.place("name").to_string(), "tests/late.yaml:2:7");
    assert_eq!(test.place("expect[1].quarantined[0].check").to_string(), "tests/late.yaml:19:25");
}

#[test]
fn a_project_without_tests_has_none_and_tests_are_no_part_of_it() {
    let folder = Folder::lending();
    let with = Project::load(folder.path(), None).unwrap();
    folder.remove(FILE);
    let without = Project::load(folder.path(), None).unwrap();
    assert!(without.tests().unwrap().is_empty());
    assert_eq!(with.digest(), without.digest());
}

#[test]
fn every_mistake_of_a_test_is_told() {
    for (old, new, said) in [
        ("kind: Test", "kind: Source", "a file in `tests/` holds tests (write `kind: Test`)"),
        ("kind: Test\n", "", "missing key `kind`: a file in `tests/` says what it is"),
        (
            "features: payment_history",
            "features: payment_histroy",
            "no feature view is called `payment_histroy` (did you mean `payment_history`?)",
        ),
        ("  payments:\n", "  payment:\n", "no source is called `payment` (did you mean `payments`?)"),
        ("train: credit_default", "train: other", "no model is called `other`"),
        ("as_of: 2021-04-01T00:00:00Z\n    known", "as_of: 2021-04-01\n    known", "has no offset"),
        ("{at_least: 15}", "{atleast: 15}", "unknown key `atleast` (did you mean `at_least`?)"),
        ("{at_least: 15}", "{}", "expected bounds, found a mapping"),
        ("    accepted: 1\n", "    acepted: 1\n", "unknown key `acepted` (did you mean `accepted`?)"),
        ("gates: passed", "gates: open", "expected one of `passed`, `failed`"),
        ("    label: paid\n", "", "nothing is expected: write `label:` or `score:`"),
        (
            "    row: {nb_payments: 2, share_late: null}\n",
            "",
            "a decision is about a `key`, whose features are read, or a `row` of every input",
        ),
        ("  - contract: loans\n", "  - contract: loans\n    train: credit_default\n", "expected one expectation"),
        ("    refused: row_count\n", "    refused: true\n", "expected text"),
        (
            "  - contract: loans\n    quarantined: 0\n    refused: row_count\n",
            "  - {refused: x}\n",
            "an expectation is about `features`, a `contract`",
        ),
        ("given:", "given: [", "not YAML"),
    ] {
        let folder = Folder::lending();
        folder.edit(FILE, old, new);
        let problems = problems(&folder);
        assert!(problems.lines().contains(said), "{old} -> {new}: no `{said}` in\n{}", problems.lines());
        let says_nothing = problems.lines().contains("nothing is expected");
        assert_eq!(says_nothing, said.contains("nothing is expected"), "{}", problems.lines());
        assert!(problems.iter().all(|problem| problem.place.is_some()), "{}", problems.lines());
    }
}

/// Every key that the schema offers at the top of a test is known to loading.
#[test]
fn loading_knows_every_key_of_a_tests_schema() {
    let folder = Folder::lending();
    let schema = schema_of("Test").unwrap();
    let keys = schema["properties"].as_object().unwrap().keys();
    let lines: String = keys.filter(|key| *key != "kind").map(|key| format!("{key}: [[]]\n")).collect();
    folder.write(FILE, format!("kind: Test\n{lines}surely_unknown: 1\n"));
    let problems = problems(&folder);
    let unknown: Vec<&str> = problems
        .iter()
        .map(|problem| problem.message.as_str())
        .filter(|message| message.contains("unknown key"))
        .collect();
    assert_eq!(unknown, ["unknown key `surely_unknown`"]);
}

/// A spine without a time is one of a source without times.
#[test]
fn as_of_is_left_out_only_where_rows_have_no_time() {
    let without = |edits: &[(&str, &str, &str)]| {
        let folder = Folder::lending();
        for (file, old, new) in edits {
            folder.edit(file, old, new);
        }
        Project::load(folder.path(), None).map(|_| String::new()).unwrap_or_else(|problems| problems.lines())
    };
    let model = "models/credit_default.yaml";
    let text = Folder::lending().read(model);
    let spine = text.lines().find(|line| line.starts_with("spine:")).unwrap().to_owned();
    let bare = "spine: {source: applications, entity: client, label: flag_own_car}";
    let said = without(&[(model, &spine, &spine.replace("as_of: month, ", ""))]);
    assert!(said.contains("missing key `as_of`: the rows of source"), "{said}");
    let said = without(&[(model, &spine, bare)]);
    assert!(said.contains("a split by time needs the spine's `as_of`"), "{said}");
    let late = bare.replace("}", ", label_time: birthday}");
    let said = without(&[(model, &spine, &late)]);
    assert!(said.contains("`label_time` needs `as_of`"), "{said}");
}
