//! The catalogue of a small project from before anything ran to a served version: who uses what, what values look like, what
//! is odd, what comes from what.

use std::path::Path;

use serde_json::{Value as Json, json as value};

use crate::small::{self, CLIENTS, MONTHS, edit, put};
use crate::support::{Server, json, karat};

#[test]
fn the_catalogue_knows_uses_values_and_oddities() {
    let project = small::project();
    let folder = project.path();
    edit(folder, "models/default_risk.yaml", "[history, person]", "[{history: [nb, share_late, late_last_3]}, person]");
    edit(
        folder,
        "features/history.yaml",
        "source: loans\n",
        "source: loans\nowner: risk\ntags: {level: gold}\nstale_after: 60 days\n",
    );

    before_anything(folder);
    karat(folder, &["features", "materialize"]).ok();
    values_are_those_of_all_keys(folder);
    karat(folder, &["train", "default_risk"]).ok();
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "a test"]).ok();
    uses_and_oddities(folder);
    lineage(folder);
    a_renamed_view(folder);
    sheets(folder);
    over_http(folder);
    what_came_since(folder);
}

fn view(folder: &Path, name: &str) -> Json {
    json(folder, &["features", "show", name])
}

fn flags(of: &Json) -> Vec<&str> {
    of["flags"].as_array().unwrap().iter().map(|flag| flag["flag"].as_str().unwrap()).collect()
}

fn before_anything(folder: &Path) {
    let views = json(folder, &["features", "list"]);
    assert_eq!(views.as_array().unwrap().len(), 2);
    for view in views.as_array().unwrap() {
        assert_eq!(flags(view), ["not_ingested"], "{view}");
        assert_eq!((&view["state"], &view["freshness"]), (&Json::Null, &value!({})));
    }
    // The file takes it, though no version does yet.
    let file = value!([{"model": "default_risk", "current": true}]);
    assert_eq!(views[0]["features"]["nb"]["used_by"], file);
    assert_eq!(flags(&views[0]["features"]["mean_amount"]), ["unused"]);
    assert!(!folder.join(".karat/online").exists(), "looking makes no store");
    let missing = karat(folder, &["features", "show", "histori"]).ends_with(1);
    assert!(missing.stderr.contains("did you mean `history`?"), "{}", missing.stderr);
}

fn values_are_those_of_all_keys(folder: &Path) {
    let history = view(folder, "history");
    assert_eq!((&history["owner"], &history["tags"]), (&value!("risk"), &value!({"level": "gold"})));
    assert_eq!(history["state"]["keys"], CLIENTS);
    let fresh = &history["freshness"];
    assert_eq!(
        (&fresh["newest_event"], &fresh["keys"], &fresh["no_history"], &fresh["stale_keys"]),
        (&value!("2021-12-01T00:00:00Z"), &value!(CLIENTS), &value!(0), &value!(0))
    );
    // The last month counts: every key is read just after it.
    let nb = &history["features"]["nb"]["statistics"]["summary"];
    assert_eq!((&nb["min"], &nb["max"], &nb["distinct"]), (&value!(MONTHS), &value!(MONTHS), &value!(1)));
    let by_sql = json(
        folder,
        &[
            "query",
            "SELECT avg(s) AS mean, min(s) AS low, max(s) AS high, count(DISTINCT s) AS different FROM \
             (SELECT client_id, avg(CASE WHEN late THEN 1.0 ELSE 0.0 END) AS s FROM loans GROUP BY client_id)",
        ],
    );
    let (by_sql, share) = (&by_sql["rows"][0], &history["features"]["share_late"]["statistics"]["summary"]);
    let close = |a: &Json, b: &Json| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-12;
    assert!(close(&share["mean"], &by_sql["mean"]) && close(&share["min"], &by_sql["low"]), "{share} {by_sql}");
    assert!(close(&share["max"], &by_sql["high"]) && share["distinct"] == by_sql["different"], "{share} {by_sql}");
    let bins = history["features"]["share_late"]["statistics"]["histogram"].as_array().unwrap();
    assert_eq!(bins.iter().map(|bin| bin["rows"].as_u64().unwrap()).sum::<u64>(), CLIENTS);

    // Client 1's date was taken away by the contract.
    let person = view(folder, "person");
    let years = &person["features"]["years"]["statistics"]["summary"];
    assert_eq!((&years["rows"], &years["nulls"]), (&value!(CLIENTS), &value!(1)));
    let by_sql =
        json(folder, &["query", "SELECT region, count(*) AS rows FROM people GROUP BY region ORDER BY 2 DESC, 1"]);
    let top = person["features"]["region"]["statistics"]["summary"]["top"].as_array().unwrap();
    let found: Vec<Json> = top.iter().map(|top| value!({"region": top["value"], "rows": top["rows"]})).collect();
    assert_eq!(value!(found), by_sql["rows"]);

    let human = karat(folder, &["features", "list"]).ok().stdout;
    for part in
        ["history of client from loans, owner risk", "missing", "1.2 %", "unused: mean_amount: no model takes it"]
    {
        assert!(human.contains(part), "no `{part}` in\n{human}");
    }
    assert!(human.lines().filter(|line| !line.contains(": ")).all(|line| line.chars().count() <= 100), "{human}");
    let one = karat(folder, &["features", "show", "person", "region"]).ok().stdout;
    assert!(one.contains("most frequent") && one.contains("█"), "{one}");
}

fn uses_and_oddities(folder: &Path) {
    let history = view(folder, "history");
    let used = value!([{"model": "default_risk", "version": 1, "aliases": ["champion"], "current": true, "endpoints": ["decide"]}]);
    assert_eq!((&history["used_by"], &history["features"]["nb"]["used_by"]), (&used, &used));
    assert_eq!(history["features"]["mean_amount"]["used_by"], value!([]));
    assert_eq!(flags(&history["features"]["mean_amount"]), ["unused"]);
    assert_eq!(flags(&history), ["stale"], "two years without an event");
    assert_eq!(flags(&view(folder, "person")), Vec::<&str>::new());

    // The view changes: the version is served with what it was trained with.
    edit(folder, "features/history.yaml", "window: 3 months", "window: 4 months");
    let changed = view(folder, "history");
    assert_eq!(flags(&changed), ["not_materialized", "redefined"]);
    assert_eq!(changed["used_by"][0]["current"], false);
    assert!(changed["flags"][1]["message"].as_str().unwrap().contains("`karat train default_risk`"), "{changed}");
    edit(folder, "features/history.yaml", "window: 4 months", "window: 3 months");

    // A file that takes more than its version is to be trained.
    edit(folder, "models/default_risk.yaml", "late_last_3]}", "late_last_3, mean_amount]}");
    let taken = view(folder, "history")["features"]["mean_amount"].clone();
    assert_eq!(flags(&taken), ["not_trained"], "{taken}");
    assert!(taken["flags"][0]["message"].as_str().unwrap().contains("`karat train default_risk`"), "{taken}");
    edit(folder, "models/default_risk.yaml", "late_last_3, mean_amount]}", "late_last_3]}");
}

/// A version goes on with a view of before: it has a place in the picture, too.
fn a_renamed_view(folder: &Path) {
    edit(folder, "features/history.yaml", "name: history", "name: past");
    edit(folder, "models/default_risk.yaml", "{history:", "{past:");
    let graph = json(folder, &["lineage"]);
    let nodes = graph["nodes"].as_array().unwrap();
    let node = |id: &Json| nodes.iter().find(|node| node["id"] == *id);
    for edge in graph["edges"].as_array().unwrap() {
        assert!(node(&edge["from"]).is_some() && node(&edge["to"]).is_some(), "{edge}");
    }
    assert_eq!(node(&value!("view:history")).unwrap()["flags"], value!(["not in the project any more"]));
    let leads = |from: &str, to: &str| {
        graph["edges"].as_array().unwrap().iter().any(|edge| edge["from"] == from && edge["to"] == to)
    };
    assert!(leads("source:loans", "view:history") && leads("view:history", "model:default_risk/1"));
    edit(folder, "features/history.yaml", "name: past", "name: history");
    edit(folder, "models/default_risk.yaml", "{past:", "{history:");
}

/// Lists for programs, one line each.
fn sheets(folder: &Path) {
    let csv = |arguments: &[&str]| karat(folder, &[arguments, &["--format", "csv"]].concat()).ok().stdout;
    let features = csv(&["features", "list"]);
    assert!(features.starts_with("view,feature,type,") && features.lines().count() == 7, "{features}");
    let sources = csv(&["sources", "list"]);
    assert!(sources.contains("payments,,data/payments.csv,client_id month,month,full,true,1,"), "{sources}");
    assert_eq!(csv(&["sources", "tags"]).trim(), "source,tag,commit,at,actor,why");
    assert_eq!(csv(&["query", "SELECT 1 AS one, 'a,b' AS two, NULL AS three"]), "one,two,three\n1,\"a,b\",\n");
}

fn lineage(folder: &Path) {
    let graph = json(folder, &["lineage"]);
    let ids: Vec<&str> = graph["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "endpoint:decide",
            "model:default_risk/1",
            "origin:data/payments.csv",
            "origin:data/people.csv",
            "source:loans",
            "source:payments",
            "source:people",
            "view:history",
            "view:person",
        ]
    );
    let edges = graph["edges"].as_array().unwrap();
    let mut ways: Vec<String> = edges
        .iter()
        .map(|edge| {
            let text = |name: &str| edge[name].as_str().unwrap();
            format!("{} -{}- {}", text("from"), text("kind"), text("to"))
        })
        .collect();
    ways.sort_unstable();
    assert_eq!(
        ways,
        [
            "model:default_risk/1 -answers- endpoint:decide",
            "origin:data/payments.csv -rows- source:payments",
            "origin:data/people.csv -rows- source:people",
            "source:loans -rows- view:history",
            "source:loans -spine- model:default_risk/1",
            "source:payments -rows- source:loans",
            "source:people -rows- source:loans",
            "source:people -rows- view:person",
            "view:history -features- model:default_risk/1",
            "view:person -features- model:default_risk/1",
        ]
    );
    let taken = edges.iter().find(|edge| edge["from"] == "view:history").unwrap();
    assert_eq!(taken["features"], value!(["nb", "share_late", "late_last_3"]));
    assert!(!folder.join(".karat/reports/lineage.svg").exists(), "JSON goes to stdout alone");
    karat(folder, &["lineage", "person", "--output", "person.svg"]).ok();
    let picture = std::fs::read_to_string(folder.join("person.svg")).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains(">person<") && !picture.contains(">history<"));
    let human = karat(folder, &["lineage"]).ok().stdout;
    assert!(human.contains("picture: .karat/reports/lineage.svg"), "{human}");
    let missing = karat(folder, &["lineage", "hist"]).ends_with(1);
    assert!(missing.stderr.contains("is called `hist`"), "{}", missing.stderr);
}

fn over_http(folder: &Path) {
    let server = Server::start(folder);
    let (status, answer) = server.request("GET", "/v1/features", "");
    assert_eq!((status, answer["views"].as_array().unwrap().len()), (200, 2));
    let (status, history) = server.request("GET", "/v1/features/history", "");
    let shown = view(folder, "history");
    assert_eq!((status, &history["definition"]), (200, &shown["definition"]));
    let (http, cli) = (&history["features"]["share_late"], &shown["features"]["share_late"]);
    assert_eq!(http["statistics"]["summary"], cli["statistics"]["summary"]);
    assert_eq!(http["used_by"][0]["endpoints"], value!(["decide"]));
    assert_eq!(server.request("GET", "/v1/features/nothing", "").0, 404);
    let (status, graph) = server.request("GET", "/v1/lineage", "");
    assert_eq!((status, graph["nodes"].as_array().unwrap().len()), (200, 9));
    assert_eq!(server.request("GET", "/v1/lineage.svg", "").0, 200);
    server.terminate();
}

fn what_came_since(folder: &Path) {
    let text = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
    put(folder, "data/payments.csv", &format!("{text}4,2022-01-01,7.0,1\n"));
    karat(folder, &["sources", "ingest"]).ok();
    let history = view(folder, "history");
    assert_eq!(flags(&history), ["behind", "stale"]);
    assert_eq!((&history["state"]["commit"], &history["newest_commit"]), (&value!(1), &value!(2)));
    karat(folder, &["features", "materialize", "history"]).ok();
    let history = view(folder, "history");
    assert_eq!(flags(&history), ["stale"]);
    assert_eq!(history["features"]["nb"]["statistics"]["summary"]["max"], MONTHS + 1);
    assert_eq!(history["freshness"]["newest_event"], "2022-01-01T00:00:00Z");
}
