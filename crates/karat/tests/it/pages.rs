//! Pages of the small project: the figures as JSON, and files that load nothing.

use std::path::Path;

use serde_json::{Value as Json, json as value};

use crate::small::{self, CLIENTS, MONTHS};
use crate::support::{Server, json, karat};

pub fn a_card_and_a_profile_say_what_was(folder: &Path, prediction: &Json) {
    card(folder, prediction);
    an_older_runs_card(folder);
    profile(folder);
}

fn page(folder: &Path, said: &str) -> String {
    let path = said.lines().find_map(|line| line.strip_prefix("page: ")).unwrap_or_else(|| panic!("no page in {said}"));
    let html = std::fs::read_to_string(folder.join(path)).unwrap();
    for loads in ["<script", "http://", "https://", "url(", "NaN"] {
        assert!(!html.contains(loads), "the page holds `{loads}`");
    }
    html
}

fn card(folder: &Path, prediction: &Json) {
    let said = karat(folder, &["models", "card", "default_risk"]).ok().stdout;
    assert!(said.contains("page: .karat/reports/model-default_risk-1.html"), "{said}");
    let html = page(folder, &said);
    for part in [
        "default_risk/1",
        "champion",
        "tester",
        "reviewed",
        "logged score bit for bit",
        "joined 3021-02-15 nulled by range",
    ] {
        assert!(html.contains(part), "no `{part}` in the card");
    }
    let card = json(folder, &["models", "card", "default_risk@champion"]);
    assert_eq!((&card["standing"], &card["missing"]), (&value!("approved"), &value!([])));
    assert_eq!(card["decision"]["history"], value!({"verdict": "same"}));
    assert!(card["importance"]["measure"]["mean_absolute_contribution"]["rows"].as_u64().unwrap() > 100);
    assert!(card["evaluation"]["test"]["curve"].as_array().unwrap().len() > 1);

    // Contributions and the start add up to the score.
    let id = prediction["prediction_id"].as_str().unwrap();
    let card = json(folder, &["models", "card", "default_risk/1", "--prediction", id]);
    let decision = &card["decision"];
    assert_eq!((&decision["prediction_id"], &decision["score"]), (&value!(id), &prediction["score"]));
    let parts = decision["contributions"].as_array().unwrap().iter().map(|one| one["contribution"].as_f64().unwrap());
    let raw = decision["expected"].as_f64().unwrap() + parts.sum::<f64>();
    let score = 1.0 / (1.0 + (-raw).exp());
    assert!((score - decision["score"].as_f64().unwrap()).abs() < 1e-9, "{score} {decision}");
    for reason in prediction["reasons"].as_array().unwrap() {
        let same = |one: &&Json| one["feature"] == reason["feature"];
        let found = decision["contributions"].as_array().unwrap().iter().find(same).unwrap();
        assert_eq!(found["contribution"], reason["contribution"]);
    }
    let texts: Vec<&str> =
        decision["reasons"].as_array().unwrap().iter().map(|reason| reason["text"].as_str().unwrap()).collect();
    let is_long = |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 9);
    assert!(!texts.iter().any(|text| is_long(text) || text.contains("(null)")), "{texts:?}");

    let unknown = ["models", "card", "default_risk", "--prediction", "01890000-0000-7000-8000-000000000000"];
    assert!(karat(folder, &unknown).ends_with(1).stderr.contains("is in the log"));
    assert!(karat(folder, &["models", "card", "default_rist"]).ends_with(1).stderr.contains("default_risk"));
}

/// A run from before contributions were recorded, and one whose evaluation is lost.
fn an_older_runs_card(folder: &Path) {
    let shown = json(folder, &["models", "show", "default_risk/1"]);
    let run = folder.join(".karat/artifacts/runs").join(shown["run_id"].as_str().unwrap());
    let away = |name: &str| std::fs::rename(run.join(name), run.join(format!("{name}.away"))).unwrap();
    let back = |name: &str| std::fs::rename(run.join(format!("{name}.away")), run.join(name)).unwrap();
    away("explanation.json");
    away("evaluation.json");
    let card = json(folder, &["models", "card", "default_risk/1"]);
    assert_eq!(card["importance"]["measure"], "gain");
    assert!(card["missing"][0].as_str().unwrap().contains("left no evaluation.json"), "{}", card["missing"]);
    let html = page(folder, &karat(folder, &["models", "card", "default_risk/1"]).ok().stdout);
    assert!(html.contains("left no evaluation.json") && html.contains("the run recorded no contributions"));
    back("explanation.json");
    back("evaluation.json");
}

fn profile(folder: &Path) {
    let said = karat(folder, &["sources", "profile", "payments", "--output", "payments.html"]).ok().stdout;
    let html = page(folder, &said);
    assert!(html.contains("1,924 rows read = 1,921 accepted + 3 quarantined"), "the rows do not reconcile");
    assert!(!html.contains("refuses"), "no rule refuses them");
    let profiled = json(folder, &["sources", "profile", "loans"]);
    let profile = &profiled["profile"];
    let trial = json(folder, &["train", "default_risk"]);
    let split = &trial["data"]["split"];
    let label = &profile["label"];
    assert_eq!((&label["rows"], &label["positives"]), (&split["train"]["rows"], &split["train"]["positives"]));
    assert_eq!(label["rows"].as_u64().unwrap() + label["left_out"].as_u64().unwrap(), CLIENTS * MONTHS);
    let column = |name: &str| {
        profile["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap().clone()
    };
    let late = column("late");
    assert_eq!(
        (&late["roles"], &late["accepted"]["top"], &late["months"]),
        (&value!(["label"]), &Json::Null, &Json::Null)
    );
    assert_eq!(column("month")["roles"], value!(["key", "event_time"]));
    let regions = column("region");
    let bins = regions["label"]["bins"].as_array().unwrap().iter();
    assert_eq!(bins.map(|bin| bin["rows"].as_u64().unwrap()).sum::<u64>(), label["rows"].as_u64().unwrap());

    // Other leaves give a challenger, which stands beside the champion.
    let model = std::fs::read_to_string(folder.join("models/default_risk.yaml")).unwrap();
    small::put(folder, "models/default_risk.yaml", &model.replace("num_leaves: 7", "num_leaves: 4"));
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 2);
    for (version, rival, role) in [("2", "default_risk/1", "champion"), ("1", "default_risk/2", "")] {
        let card = json(folder, &["models", "card", &format!("default_risk/{version}")]);
        let beside = &card["rival"];
        assert_eq!((&beside["label"], &beside["role"]), (&value!(rival), &value!(role)));
        assert_eq!(beside["measured"]["on"], "new_to_both", "{}", beside["measured"]);
        assert!(beside["this"]["measures"]["auc"].is_number() && beside["other"]["measures"]["auc"].is_number());
    }

    let other = karat(folder, &["sources", "profile", "people", "--model", "default_risk"]).ends_with(2);
    assert!(other.stderr.contains("has its label on the rows of loans"), "{}", other.stderr);
    assert!(karat(folder, &["sources", "profile", "loan"]).ends_with(1).stderr.contains("did you mean `loans`?"));
    assert!(json(folder, &["sources", "profile", "people"])["profile"]["label"].is_null());
}

/// Two versions that score alike, under different definitions: the older one decided first.
#[test]
fn a_card_shows_the_versions_own_decision_though_its_twin_decided_last() {
    let project = small::project();
    let folder = project.path();
    let decided = |version: &str| {
        let trial = json(folder, &["train", "default_risk"]);
        json(folder, &["models", "approve", version, "--as", "champion", "--why", "a test"]);
        json(folder, &["features", "materialize"]);
        let server = Server::start(folder);
        let (status, answer) = server.request("POST", "/v1/endpoints/decide/predict", "{\"key\": 5}");
        assert_eq!(status, 200, "{answer}");
        assert!(server.terminate().success());
        (trial["digest"].clone(), answer["prediction_id"].clone())
    };
    let first = decided("default_risk/1");
    let view = std::fs::read_to_string(folder.join("features/history.yaml")).unwrap();
    small::put(folder, "features/history.yaml", &view.replace("where: late,", "where: late = true,"));
    let twin = decided("default_risk/2");
    assert_eq!(first.0, twin.0, "the same model");
    for (version, decision) in [("default_risk/1", first.1), ("default_risk/2", twin.1)] {
        let card = json(folder, &["models", "card", version]);
        assert_eq!(card["decision"]["prediction_id"], decision, "{version}: {}", card["missing"]);
    }
}
