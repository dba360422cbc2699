//! A server of many runs moves in while its import is killed: in the end everything is here, once, and searches find the same.

use std::process::Stdio;
use std::time::Instant;

use serde_json::json as value;

use super::{is_long, rng, rounds};
use crate::mlflow::project;
use crate::mlflow_import::Mlflow;
use crate::support::{Server, command, json};

#[test]
fn many_runs_move_in_although_their_import_is_killed() {
    let Some(mlflow) = Mlflow::find() else {
        eprintln!(
            "SKIPPED many_runs_move_in_although_their_import_is_killed: no MLflow (`scripts/setup tests` installs it)"
        );
        return;
    };
    let mut rng = rng("moving_in");
    let wanted = if is_long() { 10_000 } else { 1_000 };
    let filled = mlflow.run(&["many", &wanted.to_string()])["runs"].as_u64().unwrap();
    assert!(filled >= wanted, "{filled}");
    let database = format!("sqlite:///{}", mlflow.path("reference.db"));
    let artifacts = mlflow.path("reference-artifacts");
    // Runs without files leave a server none.
    std::fs::create_dir_all(&artifacts).unwrap();
    let import = ["import", "mlflow", &database, "--artifacts", &artifacts];

    let undisturbed = project();
    let begun = Instant::now();
    let imported = json(undisturbed.path(), &import);
    let took = begun.elapsed();
    assert_eq!((&imported["reconciled"], &imported["counts"]["runs"]["here"]), (&value!(true), &value!(filled)));

    let disturbed = project();
    let mut halfway = 0;
    // Each goes on where the one before was killed: a part of the whole's time each.
    for _ in 0..rounds().min(10) {
        let mut child = command(disturbed.path(), &import).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took.mul_f64(0.1 + 0.4 * rng.f64()));
        halfway += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(halfway > 0, "none was caught at work");
    let resumed = json(disturbed.path(), &import);
    assert_eq!((&resumed["reconciled"], &resumed["counts"]["runs"]["here"]), (&value!(true), &value!(filled)));
    assert!(resumed["counts"]["runs"]["new"].as_u64().unwrap() < filled, "the kills left nothing: {resumed:#}");
    assert_eq!(mlflow.dump(disturbed.path()), mlflow.dump(undisturbed.path()));
    assert_eq!(json(disturbed.path(), &["audit", "verify"])["intact"], true);

    let server = Server::start(disturbed.path());
    let said = mlflow.agrees("searches", &server);
    assert!(said["found"].as_u64().unwrap() > 1_000, "{said}");
}
