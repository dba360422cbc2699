//! `karat test`: on the small project, whose tests fail in every way they can.

use serde_json::json as value;

use crate::small::{self, put};
use crate::support::karat;

const GIVEN: &str = "given:
  people:
    - {client_id: 1, region: north, joined: 2015-03-01}
  payments:
    - {client_id: 1, month: 2021-01-01, amount: 10.5, late: 1}
    - {client_id: 1, month: 2021-02-01, amount: 20.5, late: 0}
    - {client_id: 1, month: 2021-02-01, amount: 30.5, late: 0}
    - {client_id: 1, month: 2021-03-01, amount: -1, late: 0}
";

fn expecting(expectations: &str) -> String {
    format!("kind: Test\nname: one client\n{GIVEN}expect:\n{expectations}")
}

const RIGHT: &str = "  - features: history
    key: 1
    as_of: 2021-03-01T00:00:00Z
    values: {nb: 2, share_late: 0.5, late_last_3: 1, mean_amount: {at_least: 15, at_most: 16}}
  - contract: payments
    accepted: 2
    quarantined:
      - {row: 3, check: unique}
      - {row: 4, check: range, column: amount, reason: below 0}
  - contract: payments
    quarantined: 2
  - query: SELECT sum(amount) AS total FROM loans
    rows: [{total: 31}]
";

#[test]
fn tests_that_hold_pass_and_leave_no_state() {
    let project = small::project();
    put(project.path(), "tests/one.yaml", &expecting(RIGHT));
    let ran = karat(project.path(), &["test"]).ok();
    assert!(ran.stdout.contains("passed one client (4 expectations, "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("\n\n1 test: 1 passed, 0 failed\n"), "{}", ran.stdout);
    assert!(!project.path().join(".karat").exists(), "the project's own state is not touched");
}

#[test]
fn what_fails_is_told_with_its_place_expected_and_got() {
    let project = small::project();
    let wrong = RIGHT
        .replace("nb: 2", "nb: 3")
        .replace("share_late: 0.5", "share: 0.5")
        .replace("accepted: 2", "accepted: 3")
        .replace("{row: 3, check: unique}", "{row: 1, check: unique}")
        .replace("column: amount", "column: late")
        .replace("total: 31", "total: {at_least: 40}");
    put(project.path(), "tests/one.yaml", &expecting(&wrong));
    put(project.path(), "tests/two.yaml", &expecting(RIGHT).replace("one client", "another"));
    let ran = karat(project.path(), &["test"]).ends_with(1);
    let said: String =
        ran.stdout.lines().filter(|line| !line.contains(" expectations, ")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(said, @r"
    tests/one.yaml
          tests/one.yaml:15:18: history.nb of 1, as of 2021-03-01T00:00:00Z
            expected  3
            got       2
          tests/one.yaml:15:28: history.share of 1, as of 2021-03-01T00:00:00Z
            expected  0.5
            got       no such feature; did you mean `share_late`?
          tests/one.yaml:17:15: rows of payments accepted
            expected  3
            got       2
          tests/one.yaml:19:9: row 1 of payments
            expected  quarantined
            got       accepted
          tests/one.yaml:20:40: row 4 of payments: the column it failed
            expected  late
            got       amount
          tests/one.yaml:18:5: row 3 of payments
            expected  accepted
            got       quarantined by unique: repeats an earlier row
          tests/one.yaml:24:13: total in row 1 of the answer
            expected  at least 40
            got       31.0
    tests/two.yaml

    2 tests: 1 passed, 1 failed
    ");
    let document = karat(project.path(), &["test", "--format", "json"]).ends_with(1).json();
    assert_eq!((&document["passed"], &document["failed"]), (&value!(1), &value!(1)), "{document}");
    let first = &document["tests"][0]["failures"][0];
    let told = (&first["file"], &first["line"], &first["expected"], &first["got"]);
    assert_eq!(told, (&value!("tests/one.yaml"), &value!(15), &value!("3"), &value!("2")), "{document}");

    let filtered = karat(project.path(), &["test", "another"]).ok();
    assert!(filtered.stdout.contains("1 test: 1 passed, 0 failed, 1 left out"), "{}", filtered.stdout);
    let none = karat(project.path(), &["test", "nothing"]).ends_with(1);
    let told = "no test has `nothing` in its name or file; 2 other tests are there";
    assert!(none.stderr.contains(told), "{}", none.stderr);
}

#[test]
fn a_whole_run_trains_and_decides_on_the_sources_own_files() {
    let project = small::project();
    let test = "kind: Test
name: a whole run
given:
  people: {}
  payments: {where: client_id <= 60}
expect:
  - contract: payments
    accepted: 1440
    quarantined: 2
  - train: default_risk
    measures: {auc: {at_least: 0.5}}
  - decision: default_risk
    key: 5
    as_of: 2022-01-01T00:00:00Z
    score: {at_least: 0, at_most: 1}
";
    put(project.path(), "tests/whole.yaml", test);
    karat(project.path(), &["test"]).ok();
    assert!(!project.path().join(".karat").exists());
    put(project.path(), "tests/whole.yaml", &test.replace("    key: 5\n", "    key: 5\n    fields: {ammount: 1}\n"));
    let ran = karat(project.path(), &["test"]).ends_with(1);
    assert!(ran.stdout.contains("no such field; the model takes none from a request"), "{}", ran.stdout);
    // A client of whom nobody has ever heard.
    put(
        project.path(),
        "tests/nobody.yaml",
        "kind: Test\nname: nobody\ngiven: {payments: []}\nexpect:\n  - features: history\n    key: 1\n    as_of: \
         2021-03-01T00:00:00Z\n    values: {nb: 0}\n    no_history: true\n",
    );
    karat(project.path(), &["test", "nobody"]).ok();
    // A sample's condition is the test's own, whatever it is made into.
    put(project.path(), "tests/whole.yaml", &test.replace("client_id <= 60", "clientid <= 60"));
    let ran = karat(project.path(), &["test"]).ends_with(1);
    assert!(ran.stdout.contains("tests/whole.yaml:5:21: the test cannot be run"), "{}", ran.stdout);
    assert!(ran.stdout.contains("No field named clientid. Did you mean 'client_id'?"), "{}", ran.stdout);
}

#[test]
fn the_champion_decides_where_a_test_trains_nothing() {
    the_champion_decides(&small::project());
}

#[test]
fn the_champion_decides_wherever_the_project_keeps_it() {
    let project = small::project();
    let stores = "name: small\nstores: {metadata: sqlite://kept/metadata.db, data: file://kept/data}\n";
    put(project.path(), "karat.yaml", stores);
    the_champion_decides(&project);
}

fn the_champion_decides(project: &tempfile::TempDir) {
    let test = "kind: Test
name: the champion
expect:
  - decision: default_risk
    row: {nb: 12, share_late: 0.5, late_last_3: 3}
    score: {at_least: 0, at_most: 1}
";
    put(project.path(), "tests/champion.yaml", test);
    let ran = karat(project.path(), &["test"]).ends_with(1);
    assert!(ran.stdout.contains("the test trains no default_risk, and the project has none"), "{}", ran.stdout);
    karat(project.path(), &["train", "default_risk"]).ok();
    let ran = karat(project.path(), &["test"]).ends_with(1);
    assert!(ran.stdout.contains("default_risk has no champion yet"), "{}", ran.stdout);
    karat(project.path(), &["models", "approve", "default_risk/1", "--as", "champion", "--why", "reviewed"]).ok();
    let head = karat(project.path(), &["audit", "head"]).ok().stdout;
    karat(project.path(), &["test"]).ok();
    assert_eq!(karat(project.path(), &["audit", "head"]).ok().stdout, head);
}

#[test]
fn mistakes_in_a_test_have_their_place() {
    let project = small::project();
    let mistaken = RIGHT.replace("history", "histroy").replace("accepted:", "acepted:").replace("T00:00:00Z", "");
    put(project.path(), "tests/one.yaml", &expecting(&mistaken));
    let ran = karat(project.path(), &["test"]).ends_with(2);
    for part in ["tests/one.yaml:14:12", "has no offset", "unknown key `acepted`", "did you mean `accepted`?"] {
        assert!(ran.stderr.contains(part), "no `{part}` in\n{}", ran.stderr);
    }
    put(project.path(), "tests/one.yaml", &expecting(&RIGHT.replace("history", "histroy")));
    let ran = karat(project.path(), &["test"]).ends_with(2);
    assert!(ran.stderr.contains("no feature view is called `histroy`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `history`?"), "{}", ran.stderr);
    put(project.path(), "tests/one.yaml", &expecting(RIGHT).replace("joined:", "joint:"));
    let ran = karat(project.path(), &["test"]).ends_with(1);
    assert!(ran.stdout.contains("the source has no column `joint`; did you mean `joined`?"), "{}", ran.stdout);
}
