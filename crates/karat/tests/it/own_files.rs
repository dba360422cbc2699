//! Files that strangers publish, to a served decision with no edit; and a plain LightGBM on the same split does not do
//! better.

use std::path::Path;
use std::process::Command;

use karat_test_support::{temp_dir, test_python};
use serde_json::{Value as Json, json as value};

use crate::support::{command, run_command};

struct OwnFile {
    file: &'static str,
    /// Beside `--from`.
    words: &'static [&'static str],
    /// Columns that must be pointed out.
    looked_at: &'static [&'static str],
    /// How the plain script reads it, what it predicts and leaves out.
    plain: &'static str,
    /// By how much Karat's AUC may be below the plain one's: chance on so few test rows.
    tolerance: f64,
}

const FILES: [OwnFile; 6] = [
    OwnFile {
        file: "uci_credit_card.csv.zst",
        words: &["--target", "default.payment.next.month"],
        looked_at: &[],
        plain: r#"{"read": {}, "target": "default.payment.next.month", "positive": "1", "key": "ID", "group": false, "drop": ["ID"]}"#,
        tolerance: 0.003,
    },
    OwnFile {
        file: "breast_cancer.csv.gz",
        words: &["--target", "target"],
        looked_at: &[],
        plain: r#"{"read": {}, "target": "target", "positive": "1", "key": null, "group": false, "drop": []}"#,
        tolerance: 0.01,
    },
    OwnFile {
        file: "modechoice.csv",
        words: &["--target", "choice"],
        looked_at: &["individual: an id (210 different)"],
        plain: r#"{"read": {"sep": ";"}, "target": "choice", "positive": "1", "key": "individual", "group": true, "drop": ["individual"]}"#,
        tolerance: 0.02,
    },
    OwnFile {
        file: "anes96.csv",
        words: &["--target", "vote"],
        looked_at: &[],
        plain: r#"{"read": {"sep": "\t", "quotechar": "'"}, "target": "vote", "positive": "1", "key": null, "group": false, "drop": []}"#,
        tolerance: 0.01,
    },
    OwnFile {
        file: "rossi.csv",
        words: &["--target", "arrest"],
        looked_at: &["week: gives the label away"],
        plain: r#"{"read": {}, "target": "arrest", "positive": "1", "key": null, "group": false, "drop": ["week"]}"#,
        tolerance: 0.03,
    },
    OwnFile {
        file: "dd.csv.gz",
        words: &["--target", "democracy", "--positive", "Democracy"],
        looked_at: &["regime: gives the label away"],
        plain: r#"{"read": {}, "target": "democracy", "positive": "Democracy", "key": null, "group": false,
                  "drop": ["regime", "ctryname", "ehead", "leaderspellreg"]}"#,
        tolerance: 0.01,
    },
];

#[test]
fn whole_strangers_files_to_a_served_decision() {
    for own in FILES {
        let auc = served(&own);
        let Some(python) = test_python() else {
            assert!(std::env::var_os("CI").is_none(), "CI sets Python up: scripts/setup tests");
            println!("SKIPPED: no Python with LightGBM; `scripts/setup tests` installs one");
            continue;
        };
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let output = Command::new(python)
            .arg(tests.join("oracles/own_file.py"))
            .arg(tests.join("files/own").join(own.file))
            .arg(own.plain)
            .output()
            .unwrap();
        let plain: Json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}: {}", own.file, String::from_utf8_lossy(&output.stderr)));
        assert_eq!(auc.1, plain["rows"].as_u64().unwrap(), "{}: other rows are tested", own.file);
        let plain = plain["auc"].as_f64().unwrap();
        println!("{}: AUC {:.4}, plain LightGBM {plain:.4}", own.file, auc.0);
        assert!(auc.0 >= plain - own.tolerance, "{}: AUC {} against {plain}", own.file, auc.0);
    }
}

/// The test part's AUC and rows.
fn served(own: &OwnFile) -> (f64, u64) {
    let folder = temp_dir();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/own").join(own.file);
    let from = file.to_str().unwrap();
    let made = run_command(&mut command(folder.path(), &[&["init", "mine", "--from", from], own.words].concat())).ok();
    for word in own.looked_at {
        assert!(made.stdout.contains(word), "{}: no `{word}` in\n{}", own.file, made.stdout);
    }
    let demo = ["demo", "--once", "--yes", "--port", "18400", "--format", "json"];
    let told = run_command(&mut command(&folder.path().join("mine"), &demo)).ok().json();
    let prediction = &told["prediction"];
    assert!(prediction["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{}: {told}", own.file);
    assert!(prediction["label"].is_string() && prediction["score"].is_number(), "{}: {told}", own.file);
    let same = value!({"verdict": "same"});
    assert_eq!((&told["replay"]["arithmetic"], &told["replay"]["history"]), (&same, &same), "{}", own.file);
    (told["auc"].as_f64().unwrap(), told["test_rows"].as_f64().unwrap() as u64)
}
