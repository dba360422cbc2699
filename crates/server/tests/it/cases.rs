//! Every file of `tests/cases` is a request, and after a line `---` what must come of it:
//!
//! ```text
//! POST /v1/endpoints/risk/predict
//! content-type: application/json
//!
//! {"key": "x"}                 `\xff` is a byte, {{1000*[}} a text a thousand times
//! ---
//! 422 invalid key              status, code, the field at fault
//! `key`: "x" is not an int     the detail
//! ```
//!
//! `KARAT_BLESS=1` writes what came of it, to be read before it is committed.

use std::fs;
use std::path::Path;

use axum::http::StatusCode;
use serde_json::Value as Json;

use crate::app::App;

#[tokio::test]
async fn whatever_a_client_sends_gets_its_status_and_its_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 70);
    let app = App::new();
    let mut failures = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (request, expected) = text.split_once("\n---\n").unwrap_or((text.trim_end_matches('\n'), ""));
        let found = outcome(&app, request).await;
        assert!(!found.starts_with('5'), "{}: {found}", path.display());
        if found == expected.trim_end() {
            continue;
        }
        if std::env::var_os("KARAT_BLESS").is_some() {
            fs::write(&path, format!("{request}\n---\n{found}\n")).unwrap();
        } else {
            failures.push(format!("{}\n  expected {expected}\n  found    {found}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn outcome(app: &App, request: &str) -> String {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let path = String::from_utf8(bytes(path)).unwrap();
    let (status, kind, body) = app.send(method, &path, headers, bytes(body)).await;
    if status == StatusCode::OK {
        return "200".to_owned();
    }
    assert_eq!(kind, "application/problem+json", "{request:.200}");
    let problem: Json = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["status"], status.as_u16());
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    assert!(text("detail").len() < 400, "{}", text("detail"));
    let field = text("field");
    let field = if field.is_empty() { field } else { format!(" {field}") };
    format!("{} {}{field}\n{}", status.as_u16(), text("code"), text("detail"))
}

/// The bytes a case's text stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(hex) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            rest = &hex[2..];
        } else if let Some((repeat, after)) = repeated(rest) {
            bytes.extend(repeat);
            rest = after;
        } else {
            bytes.extend(next.to_string().as_bytes());
            rest = &rest[next.len_utf8()..];
        }
    }
    bytes
}

/// `{{1000*text}}`
fn repeated(text: &str) -> Option<(Vec<u8>, &str)> {
    let (count, after) = text.strip_prefix("{{")?.split_once('*')?;
    let count: usize = count.parse().ok()?;
    let (repeated, after) = after.split_once("}}")?;
    Some((repeated.as_bytes().repeat(count), after))
}
