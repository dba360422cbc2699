//! Histories and training sets that do not fit in memory: on disk part by part they give what they give at once.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value as Json, json as value};

use crate::small::put;
use crate::support::{command, json, run_command};

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
        let client = match random.u8(..) {
            0 => String::new(),
            // More than is gone through at once in 16 MiB.
            1..=31 => "7".to_owned(),
            _ => client.to_string(),
        };
        let (month, day, hour) = (random.i64(1..13), random.i64(1..29), random.i64(0..24));
        let (amount, late) = (random.i64(0..100_000), random.u8(..10) == 0);
        let shop = if random.u8(..) == 0 { String::new() } else { format!("s{shop}") };
        let late = if random.u8(..50) == 0 { String::new() } else { late.to_string() };
        writeln!(
            text,
            "{id},{client},{shop},2023-{month:02}-{day:02}T{hour:02}:00:00Z,{}.{:02},{late}",
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

const LEARNING: &str = "estimator: {lightgbm: {rounds: 2}}\napproval: none\n";

/// Models of every kind over the payments, each with the forms that its training set is written in.
const MODELS: [(&str, &str, &[&str]); 8] = [
    (
        "plain",
        "spine: {source: payments, entity: client, as_of: at, label: late}\nfeatures: [paid: [nb, mean, recent, spread]]\n\
               split: {by: time, validation: 2 months, test: 2 months}\n",
        &["csv", "parquet", "folder"],
    ),
    (
        "of_text",
        "spine: {source: payments, entity: shop, as_of: at, label: late}\nfeatures: [sold: [nb, share, newest]]\n\
                 split: {by: random, validation: 0.2, test: 0.2}\n",
        &["parquet", "folder"],
    ),
    (
        "of_two",
        "spine: {source: payments, entities: [client, shop], as_of: at, label: late, keep: 2}\n\
                features: [paid: [nb, mean], sold: [spread, newest]]\nrequest: {amount: float}\n\
                split: {by: group, column: shop, validation: 0.2, test: 0.3}\n",
        &["csv", "folder"],
    ),
    (
        "of_events",
        "spine:\n  source: payments\n  entities: [client, shop]\n  as_of: at\n\
                   \x20 label: {source: payments, entity: shop, where: late, at_least: 5, observe: 30 days, collect: 10 days}\n\
                   features: [paid: [nb, mean], sold: [recent]]\nsplit: {by: time, validation: 2 months, test: 2 months}\n",
        &["parquet", "folder"],
    ),
    (
        "of_coming",
        "spine:\n  source: payments\n  entities: [client, shop]\n  as_of: at\n\
                   \x20 label: {source: payments, entity: client, where: late, at_least: 1, observe: 30 days, collect: 10 days}\n\
                   features: [together, paid: [nb]]\nsplit: {by: time, validation: 2 months, test: 2 months}\n",
        &["parquet", "folder"],
    ),
    (
        "of_latest",
        "spine:\n  source: payments\n  entity: client\n  as_of: at\n  keep: first\n\
                   \x20 label: {source: payments, sum: amount, at_least: 900, observe: 2 months, collect: 5 days}\n\
                   features: [paid: [nb, recent, mean, spread, newest, share]]\nsplit: {by: time, validation: 2 months, test: 2 months}\n",
        &["csv"],
    ),
    (
        "checked",
        "spine: {source: payments, entity: client, as_of: at, label: late, keep: last}\nfeatures: [checked]\n\
                 split: {by: time, validation: 2 months, test: 2 months}\n",
        &["parquet", "csv", "folder"],
    ),
    (
        "timeless",
        "spine: {source: people, entity: client, label: good}\nfeatures: [facts, paid: [mean, share]]\n\
                  request: {region: text, income: float}\nsplit: {by: random, validation: 0.2, test: 0.2}\n",
        &["parquet", "folder"],
    ),
];

fn models(folder: &Path) {
    put(
        folder,
        "sources/people.yaml",
        "kind: Source\nname: people\npath: people.csv\ncolumns: {client_id: int, region: text, income: float, good: bool}\n\
         keys: [client_id]\n",
    );
    put(
        folder,
        "features/facts.yaml",
        "kind: FeatureView\nname: facts\nentity: client\nsource: people\nfeatures:\n  \
         home: {last: region}\n  income_doubled: {expression: \"income * 2\"}\n",
    );
    put(
        folder,
        "features/together.yaml",
        "kind: FeatureView\nname: together\nentities: [client, shop]\nsource: payments\nfeatures:\n  \
         nb_there: {count: rows}\n  newest_there: {last: amount}\n",
    );
    put(
        folder,
        "features/checked.yaml",
        "kind: FeatureView\nname: checked\nentity: client\nsource: payments\nfeatures:\n  \
         total:\n    sum: amount\n    checks: [{check: range, max: 4000, on_failure: refuse}]\n  \
         newest_amount:\n    last: amount\n    checks: [{check: range, max: 500, on_failure: {substitute: 500}}]\n  \
         where:\n    last: shop\n    checks: [{check: allowed, values: [s1, s2, s3], on_failure: \"null\"}]\n",
    );
    for (name, text, _) in MODELS {
        put(
            folder,
            &format!("models/{name}.yaml"),
            &format!("kind: Model\nname: {name}\ntask: binary\n{text}{LEARNING}"),
        );
    }
    let mut random = fastrand::Rng::with_seed(12);
    let mut text = "client_id,region,income,good\n".to_owned();
    for client in 0..120_000 {
        let region = ["", "Praha", "Brno", "Český Krumlov"][random.usize(0..4)];
        let good = ["", "true", "false"][random.usize(0..3)];
        writeln!(text, "{client},{region},{},{good}", random.i64(0..90_000)).unwrap();
    }
    put(folder, "people.csv", &text);
}

/// A training set as the command tells of it, and the files that it wrote.
type Written = (Json, Vec<(String, Vec<u8>)>);

fn written(folder: &Path, model: &str, form: &str, way: &str) -> Written {
    let output = if form == "folder" { format!("{way}/{model}-set/") } else { format!("{way}/{model}.{form}") };
    let arguments = ["features", "training-set", model, "--output", &output, "--format", "json"];
    let ran = run_command(command(folder, &arguments).env("KARAT_LOG", "karat_jobs=debug")).ok();
    assert_eq!(ran.stderr.contains("is put together on disk"), way == "streamed", "{model}: {}", ran.stderr);
    let mut told = ran.json();
    told["output"] = Json::Null;
    if let Some(manifest) = told["manifest"].as_object_mut() {
        manifest.remove("created");
    }
    let files: Vec<String> = match form {
        "folder" => ["train", "validation", "test"].map(|part| format!("{output}part={part}/rows.parquet")).to_vec(),
        _ => vec![output],
    };
    let read = |file: String| (file.clone(), std::fs::read(folder.join(file)).unwrap());
    (told, files.into_iter().map(read).collect())
}

fn training_sets(folder: &Path, way: &str) -> Vec<Written> {
    let forms = MODELS.iter().flat_map(|(model, _, forms)| forms.iter().map(move |form| (*model, *form)));
    let sets = forms.map(|(model, form)| written(folder, model, form, way)).collect();
    let left = std::fs::read_dir(folder.join(".karat/tmp")).unwrap().count();
    assert_eq!(left, 0, "nothing is left of what went to disk");
    sets
}

#[test]
fn a_training_set_put_together_on_disk_is_the_one_that_memory_holds() {
    let project = karat_test_support::temp_dir();
    let folder = project.path();
    self::project(folder, "");
    models(folder);
    let held = training_sets(folder, "held");
    put(folder, "karat.yaml", "name: large\nengine: {memory: 16 MiB}\n");
    let streamed = training_sets(folder, "streamed");
    for ((held, held_files), (streamed, streamed_files)) in held.iter().zip(&streamed) {
        assert_eq!(held, streamed);
        for ((name, held), (_, streamed)) in held_files.iter().zip(streamed_files) {
            assert!(held == streamed, "{name} differs");
        }
    }
    // What the models are there for does happen.
    let of = |model: &str| &held.iter().find(|(told, _)| told["model"] == model).unwrap().0;
    for (model, count) in [
        ("of_two", "not_kept"),
        ("of_events", "open"),
        ("of_coming", "open"),
        ("of_latest", "not_kept"),
        ("of_latest", "open"),
        ("checked", "not_kept"),
        ("checked", "refused"),
    ] {
        assert!(of(model)[count].as_u64().unwrap() > 100, "{count}: {}", of(model));
    }
    assert!(!of("checked")["warnings"].as_array().unwrap().is_empty(), "{}", of("checked"));
}

#[test]
fn long_texts_of_few_rows_go_through_files_and_short_ones_do_not() {
    let project = karat_test_support::temp_dir();
    let folder = project.path();
    put(folder, "entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n");
    put(
        folder,
        "sources/letters.yaml",
        "kind: Source\nname: letters\npath: letters.csv\ncolumns: {client_id: int, at: timestamp, letter: text, subject: text, late: bool}\n\
         delivery: append\nevent_time: at\n",
    );
    put(
        folder,
        "features/written.yaml",
        "kind: FeatureView\nname: written\nentity: client\nsource: letters\nfeatures:\n  nb: {count: rows}\n  \
         wrote: {last: letter}\n  about: {last: subject}\n",
    );
    let spine = "spine: {source: letters, entity: client, as_of: at, label: late}\n\
                 split: {by: time, validation: 2 months, test: 2 months}\n";
    for (name, taken) in [
        ("short", "features: [written: [nb, about]]\nrequest: {subject: text}\n"),
        ("computed", "features: [written: [nb, wrote]]\n"),
        ("requested", "features: [written: [nb]]\nrequest: {letter: text}\n"),
    ] {
        let model = format!("kind: Model\nname: {name}\ntask: binary\n{spine}{taken}{LEARNING}");
        put(folder, &format!("models/{name}.yaml"), &model);
    }
    let mut random = fastrand::Rng::with_seed(13);
    let mut text = "client_id,at,letter,subject,late\n".to_owned();
    for row in 0..6_000 {
        let (client, month, day) = (random.u8(..), random.i64(1..13), random.i64(1..29));
        let (hour, minute) = (random.i64(0..24), row % 60);
        let words: String = (0..250).map(|_| format!("{:05x} ", random.u32(..1 << 20))).collect();
        let (subject, late) = (random.u8(..8), random.u8(..4) == 0);
        writeln!(text, "{client},2023-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z,{words},subject {subject},{late}")
            .unwrap();
    }
    put(folder, "letters.csv", &text);
    put(folder, "karat.yaml", "name: large\n");
    let sets = ["short", "computed", "requested"].map(|model| written(folder, model, "parquet", "held"));
    put(folder, "karat.yaml", "name: large\nengine: {memory: 16 MiB}\n");
    for ((model, way), (told, files)) in
        [("short", "held"), ("computed", "streamed"), ("requested", "streamed")].into_iter().zip(sets)
    {
        let (told_now, files_now) = written(folder, model, "parquet", way);
        assert_eq!(told_now, told, "{model}");
        assert!(files[0].1 == files_now[0].1, "{model}");
    }
}
