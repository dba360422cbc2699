//! Histories that do not fit in memory: on disk part by part they give what they give at once.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value as Json, json as value};

use crate::small::put;
use crate::support::json;

const EVENTS: i64 = 170_000;

pub fn project(folder: &Path, config: &str) {
    put(folder, "karat.yaml", &format!("name: large\n{config}"));
    put(folder, "entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n");
    put(folder, "entities/shop.yaml", "kind: Entity\nname: shop\nkey: shop\ntype: text\n");
    put(
        folder,
        "sources/payments.yaml",
        "kind: Source\nname: payments\npath: payments.csv\ncolumns: {id: int, client_id: int, shop: text, at: timestamp, \
         amount: float, late: bool}\ndelivery: append\nevent_id: id\nevent_time: at\n",
    );
    let features = "nb: {count: rows}\n  mean: {mean: amount}\n  spread: {stddev: amount}\n  newest: {last: amount}\n  \
                    recent: {sum: amount, window: 30 days}\n  share: {share: late, last: 5}\n  \
                    amounts: {list: amount, last: 3}\n  shops: {list: shop, last: 4, where: late}\n  \
                    delays: {list: \"nullif(late, false)\", last: 20, window: 90 days}\n";
    for (view, entity) in [("paid", "client"), ("sold", "shop")] {
        let text =
            format!("kind: FeatureView\nname: {view}\nentity: {entity}\nsource: payments\nfeatures:\n  {features}");
        put(folder, &format!("features/{view}.yaml"), &text);
    }
    put(
        folder,
        "models/default_risk.yaml",
        "kind: Model\nname: default_risk\ntask: binary\nspine: {source: payments, entity: client, as_of: at, label: late}\n\
         features: [paid: [nb, mean, spread, newest, recent, share]]\nsplit: {by: time, validation: 2 months, test: 2 months}\nestimator: {lightgbm: {rounds: 2}}\n\
         approval: none\n",
    );
    let mut random = fastrand::Rng::with_seed(11);
    let mut text = "id,client_id,shop,at,amount,late\n".to_owned();
    for id in 0..EVENTS {
        let (client, shop) = (random.i64(0..20_000), random.i64(0..300));
        let client = if random.u8(..) == 0 { String::new() } else { client.to_string() };
        let (month, day, hour) = (random.i64(1..13), random.i64(1..29), random.i64(0..24));
        let (amount, late) = (random.i64(0..100_000), random.u8(..10) == 0);
        writeln!(
            text,
            "{id},{client},s{shop},2023-{month:02}-{day:02}T{hour:02}:00:00Z,{}.{:02},{late}",
            amount / 100,
            amount % 100
        )
        .unwrap();
    }
    put(folder, "payments.csv", &text);
}

fn computed(config: &str) -> (Json, Json, Json) {
    let project = karat_test_support::temp_dir();
    let folder = project.path();
    self::project(folder, config);
    let set = json(folder, &["features", "training-set", "default_risk", "--output", "set.parquet"]);
    let states = json(folder, &["features", "materialize"]);
    let verified = json(folder, &["features", "verify", "--pairs", "2000", "--as-of", "2023-07-01T00:00:00Z"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
    let counts: Vec<Json> = states
        .as_array()
        .unwrap()
        .iter()
        .map(|state| value!([state["view"], state["definition"], state["keys"], state["records"]]))
        .collect();
    let shown = ["7", "19999", "123456"].map(|key| {
        json(folder, &["features", "get", "paid", key, "--as-of", "2023-11-05T10:00:00Z"])["features"].clone()
    });
    assert_eq!(shown[0]["amounts"].as_array().unwrap().len(), 3, "{shown:?}");
    assert_eq!((&shown[2]["amounts"], &shown[2]["shops"]), (&value!([]), &value!([])));
    let left = std::fs::read_dir(folder.join(".karat/tmp")).unwrap().count();
    assert_eq!(left, 0, "nothing is left of what went to disk");
    (set["digest"].clone(), value!(counts), value!(shown))
}

#[test]
fn what_goes_to_disk_by_parts_is_what_memory_holds_at_once() {
    let held = computed("");
    let spilled = computed("engine: {memory: 16 MiB}\n");
    assert_eq!(held, spilled);
}
