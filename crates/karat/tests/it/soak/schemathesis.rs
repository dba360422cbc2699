//! Schemathesis over the OpenAPI document of a running server, with all its checks: what the document allows is answered
//! as it says, what it does not allow is refused as it says, and nothing is a 5xx.

use std::path::{Path, PathBuf};
use std::process::Command;

use karat_test_support::{temp_dir, test_python};

use super::server::Server;
use super::{decided, number, rng};

/// Test cases an operation, as schemathesis counts them; `KARAT_SCHEMATHESIS_EXAMPLES` asks for more, and for what
/// takes long: sequences of requests.
const EXAMPLES: u64 = 100;

/// The document is the same for every project, so it does not know a project's key types and request-time fields: a
/// value of another type is refused with a 422 that names it. Nor has it a token: with one it takes the champion away.
const CHECKS: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "404", "409", "422", "429"]
"#;

/// Names that are there: most of what is made up leads no further than a 404.
const NAMES: &str = r#"
[parameters]
"path.name" = "decide"
"path.view" = "history"
"#;

#[test]
fn the_server_keeps_to_its_openapi_document() {
    let Some(tool) = tool() else {
        assert!(std::env::var_os("CI").is_none(), "CI sets it up: scripts/setup tests");
        println!("SKIPPED: no schemathesis; `scripts/setup tests` installs it");
        return;
    };
    let project = decided();
    let server = Server::start(project.path());
    for names in ["", NAMES] {
        ask_anything(&tool, &server, names);
    }
    assert_eq!(server.request("GET", "/health/live", "").0, 200);
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
    server.terminate();
}

fn tool() -> Option<PathBuf> {
    Some(test_python()?.parent()?.join("schemathesis")).filter(|tool| tool.is_file())
}

#[expect(clippy::print_stdout, reason = "a long run says what it did, and from which seed")]
fn ask_anything(tool: &Path, server: &Server, names: &str) {
    let folder = temp_dir();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, format!("{names}{CHECKS}")).unwrap();
    let asked_for = number("KARAT_SCHEMATHESIS_EXAMPLES");
    let phases = if asked_for.is_some() { "examples,coverage,fuzzing,stateful" } else { "examples,coverage,fuzzing" };
    let seed = rng("schemathesis").u32(..);
    let output = Command::new(tool)
        .arg("--config-file")
        .arg(config)
        .args(["run", &format!("http://{}/openapi.json", server.address), "--checks", "all", "--phases", phases])
        .args(["--max-examples", &asked_for.unwrap_or(EXAMPLES).to_string(), "--seed", &seed.to_string()])
        .args(["--request-timeout", "20", "--generation-database", "none", "--no-color"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "seed {seed}:\n{said}\n--- the server\n{}", server.stderr());
}
