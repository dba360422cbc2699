//! Every file of `tests/cases` is a model folder that somebody spoiled, and the message about it. They begin with
//! `tests/fixtures/format-1`:
//!
//! ```text
//! #expect KIND: message                          or `#expect loads`
//! #edit FILE | text in it | what replaces it     the first place; `\n` is a line's end
//! #line FILE | KEY= | value                      the first line that begins with KEY= gets another value
//! #drop FILE | KEY=                              that line is left out
//! #cut FILE | text                               the file ends before it
//! #text FILE | text                              the file is that
//! #hex FILE | 00 ff                              the file begins with these bytes
//! #remove FILE
//! ```
//!
//! `KARAT_BLESS=1` writes what is said into the cases, to be read before it is committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use karat_model::{MODEL_FILE, Model, TREES_FILE};

type Files = BTreeMap<String, Vec<u8>>;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

#[test]
fn spoiled_folders_are_refused_in_so_many_words() {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(tests().join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 40, "only {} cases", paths.len());
    let failures: Vec<String> = paths.iter().filter_map(|path| check(path)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check(path: &Path) -> Option<String> {
    let case = std::fs::read_to_string(path).unwrap();
    let files = build(&case);
    let found = match Model::from_files(&|name| files.get(name).cloned()) {
        Ok(_) => "loads".to_owned(),
        Err(error) => format!("{:?}: {error}", error.kind()),
    };
    let expected = case.lines().find_map(|line| line.strip_prefix("#expect ")).unwrap_or_default();
    if found == expected {
        return None;
    }
    if std::env::var_os("KARAT_BLESS").is_some() {
        let rest: Vec<&str> = case.lines().filter(|line| !line.starts_with("#expect ")).collect();
        std::fs::write(path, format!("#expect {found}\n{}\n", rest.join("\n"))).unwrap();
        return None;
    }
    Some(format!("{}\n  expected: {expected}\n  found:    {found}", path.display()))
}

fn build(case: &str) -> Files {
    let fixture = tests().join("fixtures/format-1");
    let mut files: Files =
        [MODEL_FILE, TREES_FILE].map(|name| (name.to_owned(), std::fs::read(fixture.join(name)).unwrap())).into();
    for line in case.lines().filter(|line| !line.starts_with("#expect ")) {
        let (directive, rest) = line.split_once(' ').unwrap();
        let parts: Vec<String> = rest.split(" | ").map(|part| part.replace("\\n", "\n")).collect();
        let text = |files: &Files| String::from_utf8(files[&parts[0]].clone()).unwrap();
        let spoiled = match directive {
            "#remove" => {
                files.remove(&parts[0]).unwrap();
                continue;
            }
            "#edit" => {
                let text = text(&files);
                assert!(text.contains(&parts[1]), "no `{}` in {}", parts[1], parts[0]);
                text.replacen(&parts[1], &parts[2], 1).into_bytes()
            }
            "#line" => {
                let text = text(&files);
                let old = text.lines().find(|line| line.starts_with(&parts[1])).unwrap();
                text.replacen(&format!("\n{old}\n"), &format!("\n{}{}\n", parts[1], parts[2]), 1).into_bytes()
            }
            "#drop" => {
                let text = text(&files);
                let left: Vec<&str> = text.lines().filter(|line| !line.starts_with(&parts[1])).collect();
                left.join("\n").into_bytes()
            }
            "#cut" => {
                let text = text(&files);
                text.as_bytes()[..text.find(&parts[1]).unwrap()].to_vec()
            }
            "#text" => parts[1].clone().into_bytes(),
            "#hex" => {
                let bytes = parts[1].split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap());
                bytes.chain(files[&parts[0]].iter().copied()).collect()
            }
            other => panic!("{other} is no directive"),
        };
        files.insert(parts[0].clone(), spoiled);
    }
    files
}
