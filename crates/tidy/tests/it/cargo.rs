//! What cargo knows of the workspace, asked of cargo itself: a parser crate for it would switch features of serde_json
//! on and so compile half the dependencies a second time.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate of the workspace.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

/// What its manifest names; `kind` is `dev`, `build`, or none for a normal dependency.
#[derive(Debug)]
pub struct Dependency {
    pub name: String,
    pub kind: Option<String>,
}

/// A crate as it is compiled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    pub name: String,
    pub version: String,
    pub features: String,
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies two folders under the root")
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Offline: what these tests ask about was downloaded to compile them.
    let output = Command::new(cargo)
        .args(arguments)
        .arg("--offline")
        .current_dir(repository())
        .output()
        .expect("cargo ran to build this test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {stderr}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// The crates of the workspace.
pub fn metadata() -> Vec<Package> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata writes JSON");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&metadata["packages"]).into_iter().map(|package| Package {
        name: text(&package["name"]).expect("a package has a name"),
        manifest_path: text(&package["manifest_path"]).expect("a package has a manifest").into(),
        dependencies: list(&package["dependencies"])
            .iter()
            .map(|dependency| Dependency {
                name: text(&dependency["name"]).expect("a dependency has a name"),
                kind: text(&dependency["kind"]),
            })
            .collect(),
    });
    packages.collect()
}

/// The crates that `cargo tree` finds for this platform.
pub fn tree(arguments: &[&str]) -> Vec<Unit> {
    let all: Vec<&str> = ["tree", "--prefix", "none", "--format", "{p}|{f}"].iter().chain(arguments).copied().collect();
    let mut units: Vec<Unit> = cargo(&all).lines().filter_map(unit).collect();
    units.sort();
    units.dedup();
    units
}

/// `name v1.2.3 (path)|feature,feature`
fn unit(line: &str) -> Option<Unit> {
    let (package, features) = line.split_once('|')?;
    let mut words = package.split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.trim_start_matches('v').to_owned();
    Some(Unit { name, version, features: features.trim_end_matches(" (*)").to_owned() })
}
