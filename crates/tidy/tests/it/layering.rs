//! Which crate may use which: the rules of `docs/ARCHITECTURE.md`, held over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use crate::cargo::{Package, metadata, repository, tree};

/// The crates from the ground up: a crate may use those before it. Crates that have nothing to hold yet have their
/// place already.
const ORDER: [&str; 21] = [
    "karat-core",
    "karat-project",
    "karat-model",
    "karat-features",
    "karat-metadata",
    "karat-history",
    "karat-online",
    "karat-outbound",
    "karat-query",
    "karat-training",
    "karat-registry",
    "karat-serving",
    "karat-monitoring",
    "karat-report",
    "karat-jobs",
    "karat-pipelines",
    "karat-server",
    "karat",
    "karat-python",
    TEST_SUPPORT,
    "karat-tidy",
];

const TEST_SUPPORT: &str = "karat-test-support";

/// The session and its planner belong to `query`; `features` compiles expressions without one.
const EXPRESSION_CRATES: [&str; 7] = [
    "datafusion-common",
    "datafusion-expr",
    "datafusion-functions",
    "datafusion-functions-nested",
    "datafusion-optimizer",
    "datafusion-physical-expr",
    "datafusion-sql",
];

/// External crates that only these crates of ours may name, and why.
const OWNED: [(&[&str], &[&str], &str); 7] = [
    (&["lightgbm3-sys"], &["karat-training"], "LightGBM's library is for training; scoring is ours (ADR 0004)"),
    (&["axum", "axum-core", "axum-extra", "utoipa-axum"], &["karat-server"], "only the server answers HTTP"),
    (
        &["sqlx", "rusqlite"],
        &["karat-metadata", "karat-query", "karat-registry"],
        "metadata is one implementation for two databases (ADR 0023); sources read others' databases (ADR 0012), and so does
         what moves in from MLflow's",
    ),
    (&["heed"], &["karat-online"], "LMDB is one back end of online state (ADR 0006)"),
    (&["redis"], &["karat-online"], "Redis is the other (ADR 0016)"),
    (&["reqwest"], &["karat-outbound"], "what goes out over HTTP goes through one place (ADR 0021)"),
    (&["object_store"], &["karat-history", "karat-query"], "files and object stores are reached through history"),
];

/// Crates whose second version would compile everything above them twice.
const ONE_VERSION: [&str; 11] = [
    "arrow",
    "arrow-array",
    "parquet",
    "object_store",
    "datafusion-common",
    "tokio",
    "hyper",
    "axum",
    "reqwest",
    "tower-http",
    "sqlx-core",
];

/// What a model's score needs nothing of.
const NOT_FOR_SCORING: [&str; 5] = ["lightgbm", "datafusion", "tokio", "hyper", "reqwest"];

fn rank(name: &str) -> Option<usize> {
    ORDER.iter().position(|listed| *listed == name)
}

/// What a crate of ours names under `[dependencies]` and `[build-dependencies]`.
fn named(package: &Package) -> impl Iterator<Item = &str> {
    package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev")).map(|d| d.name.as_str())
}

fn fail_if_any(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\nThe rules: docs/ARCHITECTURE.md, \"Layers\".", problems.join("\n"));
}

#[test]
fn crates_use_only_what_stands_before_them() {
    let mut problems = Vec::new();
    for package in metadata() {
        let Some(own) = rank(&package.name) else {
            problems.push(format!("{} has no place: give it one in ORDER and in docs/ARCHITECTURE.md", package.name));
            continue;
        };
        problems.extend(edges_that_point_down(&package, own));
    }
    fail_if_any(problems);
}

fn edges_that_point_down(package: &Package, own: usize) -> Vec<String> {
    let name = &package.name;
    let wrong = named(package).filter_map(|dependency| match rank(dependency) {
        Some(_) if dependency == TEST_SUPPORT => {
            Some(format!("{name} ships {TEST_SUPPORT}: move it to [dev-dependencies]"))
        }
        Some(other) if other >= own => Some(format!(
            "{name} uses {dependency}, which stands after it: turn the edge round, or put what both need lower"
        )),
        _ => None,
    });
    wrong.collect()
}

#[test]
fn an_edge_that_points_down_would_be_found() {
    let package = |name: &str, uses: &str| Package {
        name: name.to_owned(),
        manifest_path: "Cargo.toml".into(),
        dependencies: vec![crate::cargo::Dependency { name: uses.to_owned(), kind: None }],
    };
    let edges = |name: &str, uses: &str| edges_that_point_down(&package(name, uses), rank(name).unwrap()).len();
    assert_eq!(edges("karat-query", "karat-history"), 0);
    assert_eq!(edges("karat-history", "karat-query"), 1);
    assert_eq!(edges("karat-jobs", TEST_SUPPORT), 1);
    assert_eq!(edges("karat-core", "serde"), 0);
}

#[test]
fn only_query_opens_datafusion_and_only_features_shares_its_expressions() {
    let mut problems = Vec::new();
    for package in metadata() {
        for dependency in named(&package).filter(|dependency| dependency.starts_with("datafusion")) {
            let allowed = match package.name.as_str() {
                "karat-query" => true,
                "karat-features" => EXPRESSION_CRATES.contains(&dependency),
                _ => false,
            };
            if !allowed {
                problems.push(format!(
                    "{} uses {dependency}: go through karat-query (or karat-features for expressions); ADR 0003",
                    package.name
                ));
            }
        }
    }
    fail_if_any(problems);
}

#[test]
fn back_ends_and_wires_have_one_owner() {
    let mut problems = Vec::new();
    for package in metadata() {
        for dependency in named(&package) {
            for (crates, owners, why) in OWNED {
                if crates.contains(&dependency) && !owners.contains(&package.name.as_str()) {
                    problems.push(format!(
                        "{} uses {dependency}, which only {} may: {why}",
                        package.name,
                        owners.join(" and ")
                    ));
                }
            }
        }
    }
    fail_if_any(problems);
}

#[test]
fn scoring_a_model_needs_neither_lightgbm_nor_a_runtime() {
    let linked = tree(&["-p", "karat-model", "-e", "normal"]);
    let problems: Vec<String> = linked
        .iter()
        .filter(|unit| NOT_FOR_SCORING.iter().any(|name| unit.name.starts_with(name)))
        .map(|unit| format!("karat-model links {}: cargo tree -p karat-model -e normal -i {}", unit.name, unit.name))
        .collect();
    assert!(linked.iter().any(|unit| unit.name == "karat-core"), "the tree of karat-model was not read");
    fail_if_any(problems);
}

#[test]
fn heavy_crates_have_one_version() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for unit in tree(&["--workspace", "-e", "normal,build,dev"]) {
        versions.entry(unit.name).or_default().insert(unit.version);
    }
    let problems = ONE_VERSION.iter().filter_map(|name| {
        let found = versions.get(*name).filter(|found| found.len() > 1)?;
        Some(format!("{name} is compiled in {} versions: {found:?}", found.len()))
    });
    fail_if_any(problems.collect());
}

/// A development dependency that switches a feature on compiles that crate, and everything above it, a second time.
#[test]
fn the_binary_and_the_tests_share_their_dependencies() {
    let tests: BTreeSet<_> = tree(&["--workspace", "-e", "normal,dev"]).into_iter().collect();
    let problems = tree(&["-p", "karat", "-e", "normal"])
        .into_iter()
        .filter(|unit| !unit.name.starts_with("karat") && !tests.contains(unit))
        .map(|unit| {
            format!(
                "{} {} is built with other features for tests than [{}] for the binary: cargo tree --workspace -e features -i {}",
                unit.name, unit.version, unit.features, unit.name
            )
        });
    fail_if_any(problems.collect());
}

#[test]
fn the_architecture_page_and_each_crate_say_what_it_never_does() {
    let page = std::fs::read_to_string(repository().join("docs/ARCHITECTURE.md")).unwrap();
    let mut problems = Vec::new();
    for package in metadata() {
        let short = package.name.strip_prefix("karat-").unwrap_or(&package.name);
        let section = page.split("\n### ").find(|section| section.starts_with(&format!("`{short}`")));
        if !section.is_some_and(|section| section.contains("Invariant:")) {
            problems.push(format!("docs/ARCHITECTURE.md has no section \"### `{short}`\" with an \"Invariant:\" line"));
        }
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
        let head =
            ["src/lib.rs", "src/main.rs"].iter().find_map(|file| std::fs::read_to_string(folder.join(file)).ok());
        if !head.is_some_and(|head| head.contains("//! Invariant: ")) {
            problems.push(format!("{}: its lib.rs (or main.rs) has no \"//! Invariant: …\" line", package.name));
        }
    }
    fail_if_any(problems);
}
