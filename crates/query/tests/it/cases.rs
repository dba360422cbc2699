//! Every file of `tests/cases` is a source, the bytes it reads, and all that comes of them:
//!
//! ```text
//! #expect accepted: CELL|CELL|ROW NUMBER        one line a row, an error, in the order reported
//! #expect quarantined: FILE:LINE column=value check: reason
//! #expect error: MESSAGE
//! #source                                       the lines up to the next directive are the source's YAML
//! #bytes FILE                                   … are the file's bytes: `\xNN`, `\r`, `\t`, `\\` as in Rust,
//!                                               a line that ends in `\` goes on in the next without a line end
//! #gzip FILE | FILE                             the second compressed; #zstd, and #zip with many, likewise
//! #flip FILE | N                                the bits of its byte N are turned over
//! #cut FILE | N                                 the file's last N bytes are taken away
//! #repeat FILE | N | TEXT                       TEXT appended N times
//! #folder NAME
//! ```
//!
//! `KARAT_BLESS=1` writes what happened into the cases, to be read before it is committed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use karat_project::Project;

use crate::world::{World, accepted, quarantined};

#[tokio::test]
async fn every_case_gives_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 30, "only {} cases", paths.len());
    let mut failures = Vec::new();
    for path in paths {
        failures.extend(check(&path).await);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

async fn check(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let world = World::new().await;
    world.write("karat.yaml", "name: cases\n");
    lay_out(&world, &text);
    let found = outcome(&world).await;
    let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#expect ")).collect();
    if found == expected {
        return None;
    }
    if std::env::var_os("KARAT_BLESS").is_some() {
        let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("#expect ")).collect();
        let expectations = found.iter().fold(String::new(), |mut all, line| {
            writeln!(all, "#expect {line}").unwrap();
            all
        });
        std::fs::write(path, format!("{expectations}{}\n", rest.join("\n"))).unwrap();
        return None;
    }
    let (expected, found) = (expected.join("\n    "), found.join("\n    "));
    Some(format!("{}\n  expected:\n    {expected}\n  found:\n    {found}", path.display()))
}

/// What became of every row, or the error, in lines without the test's own folder.
async fn outcome(world: &World) -> Vec<String> {
    let root = world.root().display().to_string();
    let told = |text: String| {
        vec![
            format!("error: {}", text.replace(&root, "FOLDER").escape_debug())
                .replace("\\'", "'")
                .replace("\\\"", "\""),
        ]
    };
    let project = match Project::load(world.root(), None) {
        Ok(project) => project,
        Err(problems) => return told(problems.lines()),
    };
    let source = project.sources().first().expect("a case has a source").1;
    let staged = match world.try_stage(source).await {
        Ok(staged) => staged,
        Err(error) => return told(error.to_string()),
    };
    let report = &staged.report;
    assert_eq!(report.read, report.accepted + report.quarantined, "rows reconcile");
    let rows = accepted(&staged).into_iter().map(|row| format!("accepted: {}", row.replace('\n', "\\n")));
    let bad = quarantined(&staged).into_iter().map(|row| format!("quarantined: {}", shorten(&row)));
    let all: Vec<String> = rows.chain(bad).collect();
    if all.is_empty() { vec!["nothing".to_owned()] } else { all }
}

/// Values can be long, and hold what no line should.
fn shorten(row: &str) -> String {
    let shown: String =
        row.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
    if shown.len() > 300 {
        format!("{}… ({} characters)", shown.chars().take(60).collect::<String>(), shown.len())
    } else {
        shown
    }
}

fn lay_out(world: &World, case: &str) {
    let mut open: Option<(String, String)> = None;
    for line in case.lines().chain(["#end"]) {
        let directive = line.strip_prefix('#').map(|rest| rest.split_once(' ').unwrap_or((rest, "")));
        let Some((word, rest)) = directive else {
            if let Some((_, text)) = &mut open {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        };
        if let Some((path, text)) = open.take() {
            match path.as_str() {
                "sources/s.yaml" => world.write(&path, text),
                _ => world.write(&path, unescape(&text)),
            };
        }
        let parts: Vec<&str> = rest.split(" | ").collect();
        match (word, parts.as_slice()) {
            ("source", _) => open = Some(("sources/s.yaml".to_owned(), "kind: Source\nname: s\n".to_owned())),
            ("bytes", [path]) => open = Some(((*path).to_owned(), String::new())),
            ("gzip", [path, from]) => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                gzip.write_all(&take(world, from)).unwrap();
                world.write(path, gzip.finish().unwrap());
            }
            ("zstd", [path, from]) => {
                let bytes = zstd::encode_all(take(world, from).as_slice(), 3).unwrap();
                world.write(path, bytes);
            }
            ("zip", [path, members]) => {
                let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
                for member in members.split(' ') {
                    zip.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
                    zip.write_all(&take(world, member)).unwrap();
                }
                world.write(path, zip.finish().unwrap().into_inner());
            }
            ("flip", [path, at]) => {
                let mut bytes = take(world, path);
                bytes[at.parse::<usize>().unwrap()] ^= 0xff;
                world.write(path, bytes);
            }
            ("cut", [path, count]) => {
                let bytes = take(world, path);
                world.write(path, &bytes[..bytes.len() - count.parse::<usize>().unwrap()]);
            }
            ("repeat", [path, count, text]) => {
                let mut bytes = std::fs::read(world.root().join(path)).unwrap_or_default();
                bytes.extend(unescape(text).repeat(count.parse().unwrap()));
                world.write(path, bytes);
            }
            ("folder", [name]) => std::fs::create_dir_all(world.root().join(name)).unwrap(),
            ("expect" | "end", _) => {}
            _ => panic!("not a directive: {line}"),
        }
    }
}

/// The file's bytes; the file is gone then.
fn take(world: &World, path: &str) -> Vec<u8> {
    let path = world.root().join(path);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    bytes
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(&rest.as_bytes()[..at]);
        let after = &rest[at + 1..];
        let taken = match after.as_bytes()[0] {
            b'x' => {
                bytes.push(u8::from_str_radix(&after[1..3], 16).unwrap());
                3
            }
            b'n' => push(&mut bytes, b'\n'),
            b'r' => push(&mut bytes, b'\r'),
            b't' => push(&mut bytes, b'\t'),
            b'\\' => push(&mut bytes, b'\\'),
            b'\n' => 1,
            other => panic!("no such escape: \\{}", char::from(other)),
        };
        rest = &after[taken..];
    }
    bytes.extend(rest.as_bytes());
    bytes
}

fn push(bytes: &mut Vec<u8>, byte: u8) -> usize {
    bytes.push(byte);
    1
}
