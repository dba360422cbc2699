//! Spreads, quantiles, sketches and several windows on the small project: as numpy and DuckDB compute them, and the same
//! online.

use std::path::Path;

use serde_json::json as value;

use crate::small::{self, CLIENTS};
use crate::support::{agrees_with, json};

/// With a horizon, so that the online store folds what is older.
pub const VIEW: &str = "kind: FeatureView
name: spreads
entity: client
source: loans
online_horizon: 9 months
features:
  typical: {median: amount, windows: [90 days, 6 months], words: a typical payment}
  spread: {stddev: amount, windows: [90 days, 6 months]}
  scatter: {variance: amount}
  scatter_when_late: {variance: amount, where: late}
  high_of_last_7: {quantile: amount, q: 0.9, last: 7}
  amounts: {approx_distinct: amount, windows: [90 days, 6 months]}
  amounts_ever: {approx_distinct: amount}
";

fn same_online(folder: &Path) {
    let built = json(folder, &["features", "materialize"]);
    let spreads = built.as_array().unwrap().iter().find(|view| view["view"] == "spreads").unwrap();
    assert_eq!(spreads["keys"], value!(CLIENTS), "{built}");
    let verified = json(folder, &["features", "verify", "spreads", "--pairs", "2000"]);
    let one = &verified[0];
    assert_eq!((&one["different"], verified.as_array().unwrap().len()), (&value!(0), 1), "{verified}");
    // Some were asked about a time that only history knows; the rest, keys as of now among them, answered.
    let before = one["before_horizon"].as_u64().unwrap();
    assert!(before > 100 && one["values"] == (CLIENTS + 2_000 - before) * 11, "{verified}");
}

#[test]
fn spreads_are_those_of_numpy_and_duckdb_and_the_same_online() {
    let project = small::project();
    let folder = project.path();
    small::put(folder, "features/spreads.yaml", VIEW);
    small::edit(folder, "models/default_risk.yaml", "features: [history, person]", "features: [spreads]");
    json(folder, &["features", "training-set", "default_risk", "--output", "set.csv"]);
    agrees_with("spreads.py", folder, "set.csv");
    same_online(folder);

    // The newest come in an order of their own, and some months after the rest: what is folded goes on from where it stood.
    let mut payments = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
    for (client, month) in
        (1..=CLIENTS).rev().filter(|client| client % 3 > 0).flat_map(|client| [(client, 6), (client, 2)])
    {
        payments.push_str(&format!("{client},2022-{month:02}-01,{}.25,{}\n", 100 * client, client % 2));
    }
    small::put(folder, "data/payments.csv", &payments);
    json(folder, &["features", "training-set", "default_risk", "--output", "set.csv"]);
    agrees_with("spreads.py", folder, "set.csv");
    same_online(folder);
}
