//! Whatever a project's files hold, loading answers: with a project, or with problems that can be shown.

use karat_project::{Project, sql_tables};
use proptest::prelude::*;

use crate::support::{Folder, files_under, tests_folder};

/// What a careless or malicious hand leaves in a file.
const SHARDS: [&str; 24] = [
    "\t",
    "\n",
    "---\n",
    "...\n",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!!int ",
    "|\n",
    ">-\n",
    "? ",
    "null",
    "-9223372036854775809",
    "1e999",
    "\u{feff}",
    "ž\u{0}\u{2028}",
];

#[derive(Debug, Clone)]
enum Mutation {
    Cut(usize, usize),
    Insert(usize, usize),
    Double(usize, usize),
    Flip(usize, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = 0_usize..100_000;
    prop_oneof![
        (at.clone(), 1_usize..40).prop_map(|(at, length)| Mutation::Cut(at, length)),
        (at.clone(), 0..SHARDS.len()).prop_map(|(at, shard)| Mutation::Insert(at, shard)),
        (at.clone(), 1_usize..200).prop_map(|(at, length)| Mutation::Double(at, length)),
        (at, any::<u8>()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
    ]
}

fn mutate(mut bytes: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        let length = bytes.len().max(1);
        match mutation {
            Mutation::Cut(at, cut) => {
                let at = at % length;
                bytes.drain(at.min(bytes.len())..(at + cut).min(bytes.len()));
            }
            Mutation::Insert(at, shard) => {
                let at = (at % length).min(bytes.len());
                bytes.splice(at..at, SHARDS[*shard].bytes());
            }
            Mutation::Double(at, count) => {
                let at = (at % length).min(bytes.len());
                let piece = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            Mutation::Flip(at, byte) => {
                if let Some(place) = bytes.get_mut(at % length) {
                    *place = *byte;
                }
            }
        }
    }
    bytes
}

fn load(folder: &Folder) {
    if let Err(problems) = Project::load(folder.path(), None) {
        assert!(problems.count() > 0);
        let mut rendered = String::new();
        let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none());
        handler.render_report(&mut rendered, &problems).unwrap();
        serde_json::to_string(&problems).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn loading_never_panics(
        file in 0_usize..100,
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let files = files_under(&tests_folder().join("lending"));
        let (path, text) = &files[file % files.len()];
        let folder = Folder::lending();
        folder.write(path, mutate(text.clone().into_bytes(), &mutations));
        load(&folder);
    }

    #[test]
    fn any_text_is_a_project_or_problems(text in "(?s).{0,200}") {
        let folder = Folder::empty();
        folder.write("karat.yaml", &text);
        folder.write("sources/a.yaml", format!("kind: Source\nname: a\n{text}"));
        load(&folder);
    }

    #[test]
    fn any_text_has_tables_or_none(text in "(?si)(select|from|join|with|as|,|\\(|\\)|\"|'|--|/\\*|\\*/|x|é|\\.| ){0,40}") {
        for table in sql_tables(&text) {
            prop_assert!(text.get(table.span).is_some());
        }
    }
}

/// Nine levels of nine aliases each would be 387 million nodes.
#[test]
fn an_alias_bomb_is_refused_at_once() {
    let folder = Folder::lending();
    let mut bomb = String::from("kind: Source\nname: bomb\na0: &a0 [x]\n");
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    folder.write("sources/bomb.yaml", bomb);
    folder.write("sources/deep.yaml", format!("kind: {}", "[".repeat(500_000)));
    let started = std::time::Instant::now();
    load(&folder);
    assert!(started.elapsed().as_secs() < 10);
}

/// Much of what costs most: every key unknown, every key written twice, every item wrong.
#[test]
fn large_hostile_files_are_answered_in_time() {
    let count = 80_000;
    let unknown: String = (0..count).map(|key| format!("k{key}: \n")).collect();
    let twice = "a: 1\n".repeat(60_000);
    let wrong = format!("keys: [{}]\n", "1,".repeat(150_000));
    let bad_features: String = (0..20_000).map(|key| format!("  2{key}: {{count: rows}}\n")).collect();
    let bad_features = format!("kind: FeatureView\nentity: client\nsource: payments\nfeatures:\n{bad_features}");
    let one_key = format!("? \"{}\"\n: 1\n", "x".repeat(1_000_000));
    for hostile in [unknown, twice, wrong, bad_features, one_key] {
        let folder = Folder::lending();
        let (kind, file) = match hostile.starts_with("kind") {
            true => ("", "features/hostile.yaml"),
            false => ("kind: Source\n", "sources/hostile.yaml"),
        };
        folder.write(file, format!("{kind}{hostile}name: hostile\n"));
        let started = std::time::Instant::now();
        let problems = Project::load(folder.path(), None).unwrap_err();
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
        assert!(problems.count() > 0);
    }
}
