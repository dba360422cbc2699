use std::path::Path;

use karat_test_support::s3_server::S3Server;
use serde_json::json as value;

use super::victim::Victim;
use super::{API, FILES};
use crate::mlflow::project;
use crate::mlflow_files::Place;
use crate::small::put;
use crate::support::Server;

/// Each way of writing one that leads up, or elsewhere, or nowhere; as it stands in a URL.
const PATHS: [&str; 32] = [
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "./x",
    "a/./x",
    "%2e%2e",
    "%2e%2e/x",
    "%2E%2E%2Fx",
    "..%2fx",
    "..%5cx",
    "a%5c..%5c..%5cx",
    "%2Fetc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "%252e%252e/x",
    "a/%252e%252e/x",
    "%25252e%25252e%25252fx",
    "%c0%ae%c0%ae/x",
    "%ff/x",
    "a%00b",
    "a%00/../x",
    "%00",
    "a%0ab",
    "a%0d%0aX-Evil:%201",
    "C:%5cx",
    ".staged-x",
    "a/.staged-0/x",
    "a//x",
    "a/%2f/x",
    "%5c%5chost%5cshare",
    "a%23x",
];

#[test]
fn no_path_of_a_file_leads_out_of_a_folder() {
    let project = project();
    let server = Server::start(project.path());
    let victim = Victim::new(&server);
    paths(&victim);
    links(&victim, &project.path().join(".karat/artifacts/mlflow"));
}

#[test]
fn nor_out_of_a_prefix_of_a_bucket() {
    let test = "mlflow_attacks::paths::nor_out_of_a_prefix_of_a_bucket";
    let Some(s3) = S3Server::start(test) else { return };
    s3.make_bucket("lake");
    s3.put("lake", "x", "secret");
    s3.put("lake", "of/secret", "secret");
    let project = project();
    put(project.path(), "karat.yaml", "name: tracking\nstores: {artifacts: \"s3://lake/of/us\"}\n");
    let server = Place::new(project.path(), Some(&s3)).serve(&[]);
    let victim = Victim::new(&server);
    let before = s3.keys("lake");
    paths(&victim);
    assert_eq!(s3.keys("lake"), before);
}

fn paths(victim: &Victim<'_>) {
    let before = victim.state();
    let root = format!("{}/{}/artifacts", victim.experiment, victim.run);
    for path in PATHS {
        for method in ["GET", "PUT", "DELETE"] {
            victim.refused(method, &format!("{FILES}/{path}"), b"{}");
            victim.refused(method, &format!("{FILES}/{root}/{path}"), b"{}");
            victim.refused(method, &format!("/ajax-api/2.0/mlflow-artifacts/artifacts/{path}"), b"{}");
        }
        for query in [
            format!("{FILES}?path={path}"),
            format!("{FILES}?path={root}/{path}"),
            format!("{API}/artifacts/list?run_id={}&path={path}", victim.run),
            format!("{API}/logged-models/{}/artifacts/directories?artifact_directory_path={path}", victim.model_id),
        ] {
            // What is no UTF-8 is read there as MLflow reads it: as another name, of nothing.
            if path.contains("%ff") || path.contains("%c0") {
                victim.send("GET", &query, b"");
            } else {
                victim.refused("GET", &query, b"");
            }
        }
        if !path.contains("%ff") && !path.contains("%c0") {
            pages(victim, path);
        }
        for id in ["runs/get?run_id=", "artifacts/list?run_id="] {
            victim.refused("GET", &format!("{API}/{id}{path}"), b"");
        }
        if !path.contains('/') {
            victim.refused("GET", &format!("{API}/logged-models/{path}"), b"");
        }
    }
    // A drive is one only where a path begins.
    for method in ["GET", "PUT", "DELETE"] {
        victim.refused(method, &format!("{FILES}/c:/x"), b"{}");
    }
    for own in ["karat/models/x/1/trees.txt", "karat/x", "karat"] {
        victim.refused("PUT", &format!("{FILES}/{own}"), b"x");
        victim.refused("DELETE", &format!("{FILES}/{own}"), b"");
    }
    assert_eq!(victim.state(), before);
    locations(victim);
}

/// What MLflow's own pages ask for.
fn pages(victim: &Victim<'_>, path: &str) {
    for query in [
        format!("/get-artifact?run_id={}&path={path}", victim.run),
        format!("/model-versions/get-artifact?name=victim%202&version=1&path={path}"),
        format!("/ajax-api/2.0/mlflow/logged-models/{}/artifacts/files?artifact_file_path={path}", victim.model_id),
    ] {
        victim.refused("GET", &query, b"");
    }
    victim.refused("POST", &format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid={}&path={path}", victim.run), b"{}");
}

/// Of experiments: wherever one says its files are, the server gives none that are not below its own root.
fn locations(victim: &Victim<'_>) {
    for (number, location) in [
        "file:///etc",
        "/etc",
        "etc",
        "../..",
        "file:../..",
        "mlflow-artifacts:/..",
        "mlflow-artifacts:/../../../../etc",
        "mlflow-artifacts:/a/../../etc",
        "mlflow-artifacts:/%2e%2e/%2e%2e/etc",
        "mlflow-artifacts:///etc",
        "mlflow-artifacts://host/../etc",
        "mlflow-artifacts:/a\\..\\..\\etc",
        "mlflow-artifacts:/\u{0}",
        "mlflow-artifacts:/a?x#y",
        "mlflow-artifacts:/karat/..",
        "file://x/../../etc",
    ]
    .into_iter()
    .enumerate()
    {
        let body = value!({"name": format!("location {number}"), "artifact_location": location}).to_string();
        let (status, made) = victim.server.request("POST", &format!("{API}/experiments/create"), &body);
        if status != 200 {
            assert_eq!((status, &made["error_code"]), (400, &value!("INVALID_PARAMETER_VALUE")), "{location}: {made}");
            continue;
        }
        let body = value!({"experiment_id": made["experiment_id"]}).to_string();
        let (status, made) = victim.server.request("POST", &format!("{API}/runs/create"), &body);
        assert_eq!(status, 200, "{location}: {made}");
        let run = made["run"]["info"]["run_id"].as_str().unwrap();
        for path in ["", "&path=passwd", "&path=.", "&path=..%2f..%2f..%2fetc"] {
            let (status, listed) =
                victim.server.request("GET", &format!("{API}/artifacts/list?run_id={run}{path}"), "");
            assert!(status == 200 || status == 400, "{location}: {status} {listed}");
            assert_eq!(listed["files"].as_array().map_or(0, Vec::len), 0, "{location}: {listed}");
        }
    }
}

/// Links that somebody put into the folder.
fn links(victim: &Victim<'_>, folder: &Path) {
    use std::os::unix::fs::symlink;
    let outside = karat_test_support::temp_dir();
    put(outside.path(), "secret.json", "{\"secret\": 1}");
    symlink(outside.path(), folder.join("out")).unwrap();
    symlink(outside.path().join("secret.json"), folder.join("secret")).unwrap();
    for path in ["out/secret.json", "secret", "out", "out/new.json", "out/new/deep.json"] {
        for method in ["GET", "PUT", "DELETE"] {
            victim.refused(method, &format!("{FILES}/{path}"), b"{}");
        }
    }
    for path in ["out", "secret"] {
        victim.refused("GET", &format!("{FILES}?path={path}"), b"");
    }
    let (_, listed) = victim.server.request("GET", FILES, "");
    assert!(!listed.to_string().contains("out") && !listed.to_string().contains("secret"), "{listed}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}
