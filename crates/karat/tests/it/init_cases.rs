//! Folders of small files and what `karat init --from` makes of them: the files of the project, or what it asks.
//!
//! `tests/init/NAME` holds the file, `args` (blanks within an argument as `%20`) and `expected`: what was said, and every
//! file made. `KARAT_UPDATE=1` writes `expected` again, to be read before it is committed.

use std::path::Path;

use karat_test_support::temp_dir;

use crate::support::{command, karat, run_command};

fn cases() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/init");
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// What was said, then the files of the project but its data, then what checking it says.
fn made(case: &Path) -> String {
    let folder = temp_dir();
    let mut data = Vec::new();
    for entry in std::fs::read_dir(case).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "args" && name != "expected" {
            std::fs::copy(&path, folder.path().join(&name)).unwrap();
            data.push(format!("data/{name}"));
        }
    }
    let args = std::fs::read_to_string(case.join("args")).unwrap();
    let args: Vec<String> = args.split_whitespace().map(|word| word.replace("%20", " ")).collect();
    let mut words = vec!["init", "mine"];
    words.extend(args.iter().map(String::as_str));
    let ran = run_command(&mut command(folder.path(), &words));
    let mut text = format!("exit code {}\n{}{}", ran.code, ran.stdout, ran.stderr);
    let project = folder.path().join("mine");
    if ran.code != 0 {
        assert!(!project.exists(), "{}: a failed init leaves nothing", case.display());
        return text;
    }
    for path in files(&project) {
        if data.contains(&path) {
            text.push_str(&format!("--- {path} (copied)\n"));
        } else {
            text.push_str(&format!("--- {path}\n{}", std::fs::read_to_string(project.join(&path)).unwrap()));
        }
    }
    let checked = karat(&project, &["check"]);
    text.push_str(&format!("--- karat check: {}\n{}{}", checked.code, checked.stdout, checked.stderr));
    text
}

fn files(project: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![project.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(project).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn files_become_the_projects_expected() {
    let update = std::env::var_os("KARAT_UPDATE").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let made = made(&case);
        let expected = case.join("expected");
        if update {
            std::fs::write(&expected, &made).unwrap();
        } else if std::fs::read_to_string(&expected).ok().as_deref() != Some(&made) {
            wrong.push(format!("{}:\n{made}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_said_of_the_rows_is_what_ingesting_finds() {
    for (case, read, accepted) in [
        ("month_ends", 249, 248),
        ("padded", 90, 90),
        ("numbers_as_times", 80, 80),
        ("bad_byte", 60, 59),
        ("lists", 60, 59),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/init").join(case);
        let args = std::fs::read_to_string(folder.join("args")).unwrap();
        let into = temp_dir();
        let project = into.path().join("mine");
        let mut words = vec!["init", project.to_str().unwrap()];
        words.extend(args.split_whitespace());
        karat(&folder, &words).ok();
        let ingested = crate::support::json(&project, &["sources", "ingest"]);
        let report = &ingested[0]["report"];
        let counts = (report["read"].as_u64(), report["accepted"].as_u64());
        assert_eq!(counts, (Some(read), Some(accepted)), "{case}: {report}");
    }
}

#[test]
fn a_project_that_is_there_is_left_alone() {
    let folder = temp_dir();
    std::fs::write(folder.path().join("x.csv"), "a,y\n5,0\n7,1\n5,0\n").unwrap();
    let words = ["init", "mine", "--from", "x.csv", "--target", "y"];
    karat(folder.path(), &words).ok();
    let again = karat(folder.path(), &words).ends_with(2);
    assert!(again.stderr.contains("mine holds a project already"), "{}", again.stderr);
    let missing = karat(folder.path(), &["init", "other", "--from", "nowhere.csv"]).ends_with(2);
    assert!(missing.stderr.contains("--from nowhere.csv: there is no such file"), "{}", missing.stderr);
    let alone = karat(folder.path(), &["init", "other", "--target", "y"]).ends_with(2);
    assert!(alone.stderr.contains("--from"), "{}", alone.stderr);
    // What stands in the folder with another content is not written over, and then nothing is.
    std::fs::create_dir_all(folder.path().join("third/data")).unwrap();
    std::fs::write(folder.path().join("third/data/x.csv"), "other\n").unwrap();
    let taken = karat(folder.path(), &["init", "third", "--from", "x.csv", "--target", "y"]).ends_with(2);
    assert!(taken.stderr.contains("is there already"), "{}", taken.stderr);
    assert!(!folder.path().join("third/karat.yaml").exists());
}

/// `tests/files/sql_keywords.txt` holds every keyword of the SQL parser, and words that YAML reads in its own way.
#[test]
fn columns_may_be_called_what_sql_calls_its_own() {
    let folder = temp_dir();
    let words = include_str!("../files/sql_keywords.txt");
    let words: Vec<&str> = words.lines().collect();
    let mut text = format!("loan_id,outcome,{}\n", words.join(","));
    for row in 0..60 {
        let cells = (0..words.len()).map(|place| ((row * 7 + place) % 5 + row % 3).to_string());
        text.push_str(&format!("{},{},{}\n", 1000 + row * 3, row * 11 % 4 / 3, cells.collect::<Vec<_>>().join(",")));
    }
    std::fs::write(folder.path().join("words.csv"), text).unwrap();
    karat(folder.path(), &["init", "mine", "--from", "words.csv", "--target", "outcome"]).ok();
    karat(&folder.path().join("mine"), &["check"]).ok();
    let view = std::fs::read_to_string(folder.path().join("mine/features/loan_facts.yaml")).unwrap();
    assert_eq!(view.matches("{last: ").count(), words.len(), "{view}");
}

#[test]
fn files_are_found_whatever_signs_their_names_hold() {
    for name in ["loans [1].csv", "loans*.csv", "a${X}b.csv"] {
        let folder = temp_dir();
        let project = folder.path().join("mine");
        std::fs::create_dir_all(&project).unwrap();
        let rows: String = (0..40).map(|row| format!("{row},{},{}\n", row * 7 % 9, row % 5 / 4)).collect();
        std::fs::write(project.join(name), format!("id,income,late\n{rows}")).unwrap();
        let from = format!("mine/{name}");
        karat(folder.path(), &["init", "mine", "--from", &from, "--target", "late"]).ok();
        let ingested = crate::support::json(&project, &["sources", "ingest"]);
        assert_eq!(ingested[0]["report"]["accepted"], 40, "{name}: {ingested}");
    }
}
