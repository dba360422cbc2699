//! List features on the small project: the last values of each key, in commands, online and over HTTP, and in no model.

use serde_json::{Value as Json, json as value};

use crate::small::{self, CLIENTS};
use crate::support::{Server, json, karat};

const VIEW: &str = "kind: FeatureView
name: recent
entity: client
source: loans
online_horizon: 9 months
features:
  amounts: {list: amount, last: 3}
  regions: {list: region, last: 12, where: late, window: 6 months}
  late_months: {list: month, last: 1000, where: late}
  mean_of_3: {mean: amount, last: 3}
  never: {list: amount, last: 2, where: amount > 5000}
";

#[test]
fn lists_are_the_last_values_everywhere_and_online_as_in_history() {
    let project = small::project();
    let folder = project.path();
    small::put(folder, "features/recent.yaml", VIEW);
    let built = json(folder, &["features", "materialize"]);
    assert!(
        built.as_array().unwrap().iter().any(|view| view["view"] == "recent" && view["keys"] == CLIENTS),
        "{built}"
    );
    let verified = json(folder, &["features", "verify", "recent", "--pairs", "2000"]);
    assert_eq!(verified[0]["different"], 0, "{verified}");
    assert!(verified[0]["values"].as_u64().unwrap() > 5 * CLIENTS, "{verified}");

    // The file itself is the oracle.
    let text = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
    let of_client = text.lines().filter(|line| line.starts_with("8,"));
    let mut rows: Vec<(&str, f64, bool)> = of_client
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[1], cells[2].parse().unwrap(), cells[3] == "1")
        })
        .collect();
    rows.sort_by_key(|row| row.0);
    let amounts: Vec<f64> = rows[rows.len() - 3..].iter().map(|row| row.1).collect();
    let late: Vec<&str> = rows.iter().filter(|row| row.2).map(|row| row.0).collect();
    assert!(!late.is_empty());
    let found = json(folder, &["features", "get", "recent", "8"]);
    assert_eq!(found["features"]["amounts"], value!(amounts));
    assert_eq!(found["features"]["late_months"], value!(late));
    assert_eq!(found["features"]["regions"], value!([]), "nothing is of the last six months");
    let nobody = json(folder, &["features", "get", "recent", "999"]);
    assert_eq!(nobody["no_history"], true);
    assert_eq!(
        nobody["features"],
        value!({"amounts": [], "regions": [], "late_months": [], "mean_of_3": null, "never": []})
    );

    let why = json(folder, &["features", "why", "recent", "8", "amounts"]);
    assert_eq!((&why["value"], &why["counted"]), (&value!(amounts), &value!(3)));
    assert_eq!(why["left_out"], value!({"last": rows.len() - 3}));

    let shown = json(folder, &["features", "show", "recent"]);
    assert_eq!(shown["features"]["amounts"]["type"], "list of float");
    let figures = &shown["features"]["late_months"]["statistics"];
    assert_eq!(
        (&figures["of"], &figures["type"], &figures["summary"]["nulls"]),
        (&value!("lengths"), &value!("int"), &value!(0))
    );
    assert_eq!(shown["features"]["mean_of_3"]["statistics"].get("of"), None);
    let flags = |feature: &str| -> Vec<Json> {
        let raised = shown["features"][feature]["flags"].as_array().cloned().unwrap_or_default();
        raised.iter().map(|flag| flag["flag"].clone()).collect()
    };
    assert_eq!(
        (flags("amounts"), flags("never")),
        (vec![value!("unused")], vec![value!("unused"), value!("always_empty")])
    );
    let told = karat(folder, &["features", "show", "recent", "amounts"]).ok().stdout;
    assert!(told.contains("how many values each key's list has"), "{told}");
    let listed = karat(folder, &["features", "list"]).ok().stdout;
    assert!(listed.contains("list of date") && listed.contains("lists of 3"), "{listed}");

    let server = Server::start(folder);
    let (status, online) = server.request("GET", "/v1/features/recent/8", "");
    assert_eq!((status, &online["features"]["amounts"]), (200, &value!(amounts)), "{online}");
    let (status, catalogue) = server.request("GET", "/v1/features/recent", "");
    assert_eq!(
        (status, &catalogue["features"]["amounts"]["statistics"]["of"]),
        (200, &value!("lengths")),
        "{catalogue}"
    );
}

#[test]
fn tests_of_a_project_say_what_a_list_is_expected_to_be() {
    let project = small::project();
    let folder = project.path();
    small::put(folder, "features/recent.yaml", VIEW);
    let expecting = |amounts: &str| {
        format!(
            "kind: Test\nname: lists\ngiven:\n  people: [{{client_id: 1, region: north, joined: 2020-01-01}}]\n  payments:\n    \
             - {{client_id: 1, month: 2022-01-01, amount: 10, late: 1}}\n    - {{client_id: 1, month: 2022-02-01, amount: \
             7.25, late: 0}}\nexpect:\n  - features: recent\n    key: 1\n    as_of: 2022-06-01T00:00:00Z\n    values: \
             {{amounts: {amounts}, regions: [north], late_months: [2022-01-01]}}\n"
        )
    };
    small::put(folder, "tests/lists.yaml", &expecting("[10, 7.25]"));
    karat(folder, &["test"]).ok();
    small::put(folder, "tests/lists.yaml", &expecting("[7.25, 10]"));
    let failed = karat(folder, &["test"]).ends_with(1);
    assert!(failed.stdout.contains("[10.0,7.25]"), "{}", failed.stdout);
}

/// The lists beside what a model takes are nothing to it: neither its training set nor its decisions know of them.
#[test]
fn a_model_takes_single_values_from_a_view_with_lists() {
    let project = small::project();
    let folder = project.path();
    let training_set = || json(folder, &["features", "training-set", "default_risk", "--output", "set.parquet"]);
    let without: Vec<&str> = VIEW.lines().filter(|line| !line.contains("{list:")).collect();
    small::put(folder, "features/recent.yaml", &without.join("\n"));
    small::edit(folder, "models/default_risk.yaml", "[history, person]", "[history, person, recent: [mean_of_3]]");
    let alone = training_set();
    small::put(folder, "features/recent.yaml", VIEW);
    let beside = training_set();
    assert_eq!((&beside["digest"], &beside["columns"]), (&alone["digest"], &alone["columns"]));

    json(folder, &["train", "default_risk"]);
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"]).ok();
    let server = Server::start(folder);
    let body = value!({"key": 7, "as_of": "2022-03-01T00:00:00Z"}).to_string();
    let (status, answer) = server.request("POST", "/v1/endpoints/decide/predict", &body);
    assert_eq!(status, 200, "{answer}");
    let (_, read) = server.request("GET", "/v1/features/recent/7?as_of=2022-03-01T00:00:00Z", "");
    assert_eq!(read["features"]["amounts"].as_array().unwrap().len(), 3, "lists are there for whoever reads the view");
    assert_eq!(answer["features"]["mean_of_3"], read["features"]["mean_of_3"]);
    let replayed = json(folder, &["replay", answer["prediction_id"].as_str().unwrap()]);
    let verdicts = (&replayed["arithmetic"]["verdict"], &replayed["history"]["verdict"]);
    assert_eq!(verdicts, (&value!("same"), &value!("same")), "{replayed}");
}
