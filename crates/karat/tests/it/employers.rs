//! A model with features of clients, of their employers, and of clients with their employers: from the spine to a replayed
//! decision, each view read by its own key columns.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use karat_test_support::temp_dir;
use serde_json::{Value as Json, json as value};
use tempfile::TempDir;

use crate::small::{edit, put};
use crate::support::{Server, json, karat};

const CLIENTS: u64 = 60;
const MONTHS: u64 = 20;
const AS_OF: &str = "2021-08-15T00:00:00Z";

const FILES: &[(&str, &str)] = &[
    ("karat.yaml", "name: employed\n"),
    ("entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\n"),
    ("entities/employer.yaml", "kind: Entity\nname: employer\nkeys: {town: text, firm: int}\n"),
    (
        "sources/loans.yaml",
        "kind: Source\nname: loans\npath: data/loans.csv\n\
         columns: {client_id: int, month: date, town: text, firm: int, amount: float, late: int}\n\
         prepare: {month_end: \"add_months(month, 1)\", late: late = 1}\n\
         keys: [client_id, month]\nevent_time: month\nknown_time: month_end\n",
    ),
    (
        "sources/wages.yaml",
        "kind: Source\nname: wages\npath: data/wages.csv\n\
         columns: {firm: int, town: text, paid: date, wage: float}\nkeys: [town, firm, paid]\nevent_time: paid\n",
    ),
    (
        "features/history.yaml",
        "kind: FeatureView\nname: history\nentity: client\nsource: loans\nfeatures:\n  nb: {count: rows}\n  \
         share_late: {share: late}\n",
    ),
    (
        "features/wages.yaml",
        "kind: FeatureView\nname: wages\nentity: employer\nsource: wages\nfeatures:\n  mean_wage: {mean: wage}\n  \
         last_wage: {last: wage}\n",
    ),
    (
        "features/tenure.yaml",
        "kind: FeatureView\nname: tenure\nentities: [client, employer]\nsource: loans\nfeatures:\n  \
         months_there: {count: rows}\n  late_there: {count: rows, where: late}\n",
    ),
    (
        "models/default_risk.yaml",
        "kind: Model\nname: default_risk\ntask: binary\n\
         spine: {source: loans, entities: [client, employer], as_of: month, label: late, label_time: month_end}\n\
         features: [history, wages, tenure]\nrequest: {amount: float}\n\
         split: {by: time, validation: 4 months, test: 4 months}\n\
         estimator: {lightgbm: {learning_rate: 0.1, num_leaves: 7, rounds: 30, early_stopping: 10, min_data_in_leaf: 10}}\n\
         labels: [paid, late]\n",
    ),
    ("endpoints/decide.yaml", "kind: Endpoint\nname: decide\nmodel: default_risk\n"),
];

/// Clients change their employers, and some have none; what an employer pays tells how its people pay.
fn project() -> TempDir {
    let folder = temp_dir();
    FILES.iter().for_each(|(path, text)| put(folder.path(), path, text));
    let mut state = 99_u64;
    let mut below = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let date = |month: u64, day: u64| format!("{}-{:02}-{day:02}", 2020 + month / 12, 1 + month % 12);
    let mut loans = "client_id,month,town,firm,amount,late\n".to_owned();
    for client in 1..=CLIENTS {
        let mut employer = client % 8;
        for month in 0..MONTHS {
            if below(9) == 0 {
                employer = below(8);
            }
            let late = u64::from(below(100) < if employer % 4 == 1 { 60 } else { 15 });
            let (town, firm) = employer_of(employer);
            let firm = firm.map(|firm| firm.to_string()).unwrap_or_default();
            writeln!(loans, "{client},{},{town},{firm},{}.5,{late}", date(month, 1), 100 + below(900)).unwrap();
        }
    }
    let mut wages = "firm,town,paid,wage\n".to_owned();
    for month in 0..MONTHS {
        for employer in 1..8 {
            let (town, Some(firm)) = employer_of(employer) else { continue };
            writeln!(wages, "{firm},{town},{},{}.25", date(month, 10), 1000 * (employer % 4) + below(90)).unwrap();
        }
    }
    put(folder.path(), "data/loans.csv", &loans);
    put(folder.path(), "data/wages.csv", &wages);
    folder
}

/// The same number stands for different firms in different towns; employer 0 is none.
fn employer_of(number: u64) -> (&'static str, Option<u64>) {
    (["Brno", "Praha, 1"][(number % 2) as usize], (number > 0).then_some(1 + number / 2))
}

#[test]
fn a_decision_rests_on_a_client_and_an_employer() {
    let project = project();
    let folder = project.path();
    // A comma in a cell.
    for file in ["data/loans.csv", "data/wages.csv"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        put(folder, file, &text.replace("Praha, 1", "\"Praha, 1\""));
    }
    assert_eq!(json(folder, &["check"]), value!([]));
    learned_from_what_is_read_one_by_one(folder);
    let answer = decided(folder);
    replayed(folder, &answer);
    pushed_back_is_wrong_with_a_reason(folder);
}

/// Cells of the training set, by the row's key and as_of.
fn training_set(folder: &Path) -> Vec<HashMap<String, Json>> {
    let written = json(folder, &["features", "training-set", "default_risk", "--output", "set.parquet"]);
    assert_eq!(
        written["columns"],
        value!([
            "client_id",
            "town",
            "firm",
            "as_of",
            "nb",
            "share_late",
            "mean_wage",
            "last_wage",
            "months_there",
            "late_there",
            "amount",
            "late"
        ])
    );
    assert_eq!(written["rows"], CLIENTS * MONTHS);
    json(folder, &["features", "training-set", "default_risk", "--output", "set.csv"]);
    let text = std::fs::read_to_string(folder.join("set.csv")).unwrap();
    let text = text.replace("\"Praha, 1\"", "Praha; 1");
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let cell = |text: String| match text.parse::<f64>() {
        Ok(number) => value!(number),
        Err(_) if text.is_empty() => Json::Null,
        Err(_) => value!(text.replace(';', ",")),
    };
    lines.map(|cells| names.iter().cloned().zip(cells.into_iter().map(cell)).collect()).collect()
}

/// Every view is joined by its own key columns: each row has what `features get` says of that key.
fn learned_from_what_is_read_one_by_one(folder: &Path) {
    let rows = training_set(folder);
    assert!(rows.iter().any(|row| row["firm"].is_null()) && rows.iter().any(|row| row["town"] == "Praha, 1"));
    let features: [(&str, &[&str]); 3] = [
        ("history", &["nb", "share_late"]),
        ("wages", &["mean_wage", "last_wage"]),
        ("tenure", &["months_there", "late_there"]),
    ];
    for row in rows.iter().step_by(CLIENTS as usize * MONTHS as usize / 7) {
        let as_of = row["as_of"].as_str().unwrap();
        let as_of = format!("{}Z", as_of.trim_end_matches('Z'));
        let town = format!("town={}", row["town"]);
        for (view, names) in features {
            let key = match view {
                "history" => row["client_id"].to_string().trim_end_matches(".0").to_owned(),
                _ if row["firm"].is_null() => continue,
                "wages" => format!("{town},firm={}", row["firm"].as_f64().unwrap()),
                _ => format!(
                    "firm={},client_id={},{town}",
                    row["firm"].as_f64().unwrap(),
                    row["client_id"].as_f64().unwrap()
                ),
            };
            let got = json(folder, &["features", "get", view, &key, "--as-of", &as_of]);
            for name in names {
                assert_eq!(row[*name].as_f64(), got["features"][*name].as_f64(), "{view} {key} {as_of}: {name}");
            }
        }
        if row["firm"].is_null() {
            assert_eq!((&row["mean_wage"], &row["months_there"]), (&Json::Null, &value!(0.0)), "nobody's history");
        }
    }
    let first = json(folder, &["train", "default_risk"]);
    assert_eq!((&first["version"], &first["data"]["rows"]), (&value!(1), &value!(CLIENTS * MONTHS)));
    assert!(first["metrics"]["auc"].as_f64().unwrap() > 0.6, "{}", first["metrics"]);
    let again = json(folder, &["runs", "reproduce", first["run_id"].as_str().unwrap()]);
    assert_eq!((&again["model"]["same"], &again["training_set"]["same"]), (&value!(true), &value!(true)));
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"]).ok();
}

/// A client that was with the second employer of `Praha, 1` in June, which is known by then.
fn somebody(folder: &Path) -> u64 {
    let loans = std::fs::read_to_string(folder.join("data/loans.csv")).unwrap();
    let client = loans.lines().find_map(|line| line.split_once(",2021-06-01,\"Praha, 1\",2,"));
    client.unwrap().0.parse().unwrap()
}

/// Gives a decision.
fn decided(folder: &Path) -> Json {
    json(folder, &["features", "materialize"]);
    let verified = json(folder, &["features", "verify", "--pairs", "2000"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
    let why =
        karat(folder, &["features", "why", "wages", "firm=2,town=\"Praha, 1\"", "last_wage", "--as-of", AS_OF]).ok();
    assert!(why.stdout.contains("last_wage of wages firm=2,town=\"Praha, 1\" is 3"), "{}", why.stdout);

    let server = Server::start(folder);
    let predict = |body: Json| server.request("POST", "/v1/endpoints/decide/predict", &body.to_string());
    let fields = value!({"amount": 250.5});
    let client = somebody(folder);
    let key = value!({"client_id": client, "town": "Praha, 1", "firm": 2});
    let (status, answer) = predict(value!({"key": key, "fields": fields, "as_of": AS_OF}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["key"], &answer["no_history"]), (&key, &Json::Null));
    for (view, path) in [
        ("history", client.to_string()),
        ("wages", "town=%22Praha,%201%22,firm=2".to_owned()),
        ("tenure", format!("client_id={client},firm=2,town=%22Praha,%201%22")),
    ] {
        let (status, read) = server.request("GET", &format!("/v1/features/{view}/{path}?as_of={AS_OF}"), "");
        assert_eq!(status, 200, "{read}");
        for (name, value) in read["features"].as_object().unwrap() {
            assert_eq!(*value, answer["features"][name], "{name}");
        }
        assert_eq!(read["key"].is_object(), view != "history");
    }
    // Somebody without an employer has features of their own only.
    let (status, alone) = predict(
        value!({"keys": [{"client_id": client, "town": null, "firm": null}], "fields": fields, "as_of": AS_OF}),
    );
    assert_eq!(status, 200, "{alone}");
    let alone = &alone["predictions"][0];
    assert_eq!(alone["no_history"], value!(["wages", "tenure"]));
    assert_eq!((&alone["features"]["nb"], &alone["features"]["mean_wage"]), (&answer["features"]["nb"], &Json::Null));

    for (key, field, said) in [
        (
            value!({"client_id": 7, "town": "Brno"}),
            "key.firm",
            "`key.firm` is missing: send an int, or null where there is none",
        ),
        (value!(7), "key", "`key` is an object of the key's columns: {\"client_id\": …, \"town\": …, \"firm\": …}"),
        (
            value!({"client_id": 7, "town": "Brno", "form": 1}),
            "key.form",
            "unknown field `key.form`: did you mean `firm`?",
        ),
        (value!({"client_id": 7, "town": "Brno", "firm": "x"}), "key.firm", "`key.firm`: \"x\" is not an int"),
        (
            value!({"client_id": null, "town": null, "firm": null}),
            "key",
            "every column of `key` is null: a decision is about somebody",
        ),
    ] {
        let (status, refused) = predict(value!({"key": key, "fields": fields}));
        assert_eq!((status, &refused["field"], &refused["detail"]), (422, &value!(field), &value!(said)), "{refused}");
    }
    let (status, refused) = server.request("GET", "/v1/features/wages/town=Brno", "");
    let said = "`firm` is missing: write the key as `town=…,firm=…`";
    assert_eq!((status, &refused["field"], &refused["detail"]), (422, &value!("firm"), &value!(said)), "{refused}");
    assert!(server.terminate().success());
    answer
}

fn replayed(folder: &Path, answer: &Json) {
    let id = answer["prediction_id"].as_str().unwrap();
    let logged = json(folder, &["query", &format!("SELECT key, score FROM predictions WHERE prediction_id = '{id}'")]);
    let client = &answer["key"]["client_id"];
    let key = format!(r#"{{"client_id":{client},"firm":2,"town":"Praha, 1"}}"#);
    assert_eq!(logged["rows"], value!([{"key": key, "score": answer["score"]}]));
    for of_an_employer in ["data/wages.csv", "data/loans.csv"] {
        let holds = json(folder, &["replay", id]);
        assert_eq!((&holds["arithmetic"]["verdict"], &holds["history"]["verdict"]), (&value!("same"), &value!("same")));
        assert_eq!(holds["prediction"]["key"], answer["key"]);
        // What is corrected later changes no replay.
        let text = std::fs::read_to_string(folder.join(of_an_employer)).unwrap();
        put(folder, of_an_employer, &text.replace(".25\n", ".75\n").replace(".5,0\n", ".5,1\n"));
        json(folder, &["sources", "ingest"]);
    }
    let holds = karat(folder, &["replay", id]).ok().stdout;
    assert!(holds.contains(&format!("on client_id={client},firm=2,town=\"Praha, 1\"")), "{holds}");
    let card = karat(folder, &["models", "card", "default_risk/1", "--output", "card.html", "--prediction", id]).ok();
    assert!(card.stdout.contains(&format!("client_id={client},town=\"Praha, 1\",firm=2")), "{}", card.stdout);
}

fn pushed_back_is_wrong_with_a_reason(folder: &Path) {
    let refused = karat(folder, &["features", "get", "tenure", "7"]).ends_with(2).stderr;
    let form = "`7` names no column of the key: write the key as `client_id=…,town=…,firm=…`";
    assert!(refused.contains(&format!("the key of client, employer: {form}")), "{refused}");
    edit(folder, "models/default_risk.yaml", "entities: [client, employer]", "entity: client");
    let checked = karat(folder, &["check"]).ends_with(2);
    let said = "view `wages` describes entity `employer`, and the spine is about `client`";
    assert!(format!("{}{}", checked.stdout, checked.stderr).contains(said), "{checked:?}");
}
