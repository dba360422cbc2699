//! Feast's own SDK, from PyPI, against Karat's server: `online_store: {type: remote}`.

use std::path::{Path, PathBuf};
use std::process::Command;

use karat_test_support::temp_dir;
use serde_json::{Value as Json, json as value};

use crate::support::{Server, json, karat};

/// Every type a feature can have.
const FILES: &[(&str, &str)] = &[
    ("karat.yaml", "name: feasting\n"),
    (
        "data/events.csv",
        "event,client_id,employer_id,at,amount,kind,fraud,day\n\
         e1,1,mill,2024-01-05T10:00:00Z,10.5,card,false,2024-01-05\n\
         e2,1,mine,2024-01-06T11:30:00.250Z,,cash,true,2024-01-06\n\
         e3,2,mill,2024-02-01T00:00:00Z,7.25,card,false,\n",
    ),
    (
        "sources/events.yaml",
        "kind: Source\nname: events\npath: data/events.csv\n\
         columns: {event: text, client_id: int, employer_id: text, at: timestamp, amount: float, kind: text, fraud: bool, day: date}\n\
         delivery: append\nevent_id: event\nevent_time: at\n",
    ),
    ("entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n"),
    (
        "features/spending.yaml",
        "kind: FeatureView\nname: spending\nentity: client\nsource: events\nfeatures:\n  \
         nb: {count: rows}\n  mean_amount: {mean: amount}\n  last_amount: {last: amount}\n  last_kind: {last: kind}\n  \
         last_fraud: {last: fraud}\n  last_day: {last: day}\n  last_at: {last: at}\n",
    ),
    (
        "features/kinds.yaml",
        "kind: FeatureView\nname: kinds\nentity: client\nsource: events\nfeatures:\n  \
         nb: {count: rows, where: kind = 'card'}\n  kinds: {distinct: kind}\n",
    ),
    (
        "features/recent.yaml",
        "kind: FeatureView\nname: recent\nentity: client\nsource: events\nfeatures:\n  \
         amounts: {list: amount, last: 5, where: amount IS NOT NULL}\n  numbers: {list: client_id + 10, last: 1}\n  \
         kinds: {list: kind, last: 5}\n  frauds: {list: fraud, last: 5}\n  times: {list: at, last: 5}\n  \
         days: {list: day, last: 5, where: day IS NOT NULL}\n  holes: {list: amount, last: 5}\n",
    ),
    ("entities/employer.yaml", "kind: Entity\nname: employer\nkey: employer_id\ntype: text\n"),
    (
        "features/jobs.yaml",
        "kind: FeatureView\nname: jobs\nentities: [client, employer]\nsource: events\nfeatures:\n  \
         nb_there: {count: rows}\n  last_there: {last: amount}\n",
    ),
    (
        "services/screening.yaml",
        "kind: FeatureService\nname: screening\nowner: risk\nfeatures:\n  - kinds: [kinds]\n  - spending: [nb, last_kind]\n",
    ),
];

fn project() -> tempfile::TempDir {
    let folder = temp_dir();
    for (path, text) in FILES {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    karat(folder.path(), &["features", "materialize"]).ok();
    folder
}

/// The Python that has Feast, as `scripts/setup tests` installs it.
pub fn feast_python() -> Option<PathBuf> {
    let python = std::env::var_os("KARAT_FEAST_PYTHON").map(PathBuf::from).filter(|python| python.is_file());
    assert!(python.is_some() || std::env::var_os("CI").is_none(), "CI sets it up: scripts/setup tests");
    python
}

/// What a script, in a folder of its own, says last.
pub fn sdk(python: &Path, script: &str, address: &str) -> Json {
    let folder = temp_dir();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let output =
        Command::new(python).arg(script).arg(address).env("FEAST_USAGE", "False").current_dir(folder.path()).output();
    let output = output.unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn the_sdk_reads_every_type_and_gets_its_own_exceptions() {
    let Some(python) = feast_python() else {
        eprintln!(
            "SKIPPED the_sdk_reads_every_type_and_gets_its_own_exceptions: no Feast (`scripts/setup tests` installs it)"
        );
        return;
    };
    let folder = project();
    let server = Server::start(folder.path());
    let said = sdk(&python, "feast_client.py", &server.address);
    assert_eq!(
        said["by_reference"],
        value!({
            "client_id": [1, 2, 77],
            // As training has it of a client without history.
            "nb": [2, 1, 0],
            "mean_amount": [10.5, 7.25, null],
            "last_amount": [null, 7.25, null],
            "last_kind": ["cash", "card", null],
            "last_fraud": [true, false, null],
            "last_day": [1_704_499_200, null, null],
            "last_at": [1_704_540_600, 1_706_745_600, null],
        })
    );
    // Views of one service are read one after the other, under full names where asked.
    assert_eq!(
        said["by_service"],
        value!({"client_id": [2], "kinds__kinds": [1], "spending__nb": [1], "spending__last_kind": ["card"]})
    );
    // Views of one entity and of two, of the same rows of keys.
    assert_eq!(
        said["of_two_entities"],
        value!({
            "client_id": [1, 1, 2, 2],
            "employer_id": ["mill", "mine", "mill", "mine"],
            "nb": [2, 2, 1, 1],
            "nb_there": [1, 1, 1, 0],
            "last_there": [10.5, null, 7.25, null],
        })
    );
    // What an Array feature reads; an empty list, of which its SDK could not tell the type, is no value.
    assert_eq!(
        said["lists"],
        value!({
            "client_id": [1, 2, 77],
            "amounts": [[10.5], [7.25], null],
            "numbers": [[11], [12], null],
            "kinds": [["card", "cash"], ["card"], null],
            "frauds": [[false, true], [false], null],
            "times": [[1_704_448_800, 1_704_540_600], [1_706_745_600], null],
            "days": [[1_704_412_800, 1_704_499_200], null, null],
        })
    );
    let holes = said["list_with_null"]["message"].as_str().unwrap();
    assert!(holes.contains("`recent:holes` is a list with null in it"), "{said}");
    assert!(holes.contains("add `where: COLUMN IS NOT NULL` to the feature"), "{said}");
    for (what, class) in [("unknown_view", "FeatureViewNotFoundException"), ("unknown_feature", "RuntimeError")] {
        assert_eq!(said[what]["class"], class, "{said}");
    }
    assert!(said["unknown_feature"]["message"].as_str().unwrap().contains("has no feature"), "{said}");
}

#[test]
fn answers_over_http_are_feasts_and_say_what_the_command_says() {
    let folder = project();
    let server = Server::start(folder.path());
    let ask = |body: Json| server.request("POST", "/get-online-features", &body.to_string());

    let (status, answer) = ask(value!({
        "features": ["spending:nb", "spending:mean_amount", "spending:last_at", "kinds:kinds"],
        "entities": {"client_id": [1, 77]},
        "full_feature_names": true,
    }));
    assert_eq!(status, 200, "{answer}");
    let times = ["2024-01-06T11:30:00.250Z", "1970-01-01T00:00:00Z"];
    let column =
        |values: Json| value!({"values": values, "statuses": ["PRESENT", "NOT_FOUND"], "event_timestamps": times});
    assert_eq!(
        answer,
        value!({
            "metadata": {"feature_names": [
                "client_id", "spending__nb", "spending__mean_amount", "spending__last_at", "kinds__kinds"
            ]},
            "results": [
                {"values": [1, 77], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": [times[1], times[1]]},
                column(value!([2, 0])),
                column(value!([10.5, null])),
                column(value!([1_704_540_600, null])),
                column(value!([2, 0])),
            ],
        })
    );
    let shown = json(folder.path(), &["features", "get", "spending", "1"]);
    assert_eq!(shown["features"]["mean_amount"], answer["results"][2]["values"][0]);

    let (status, answer) = ask(value!({"feature_service": "screening", "entities": {"client_id": [2]}}));
    assert_eq!(status, 200, "{answer}");
    let names = ["client_id", "kinds", "nb", "last_kind"];
    assert_eq!(answer["metadata"]["feature_names"], value!(names));

    // The list with null in it, where null has a place.
    let (status, shown) = server.request("GET", "/v1/features/recent/1", "");
    assert_eq!((status, &shown["features"]["holes"]), (200, &value!([10.5, null])), "{shown}");
    assert_eq!(shown["features"]["times"], value!(["2024-01-05T10:00:00Z", "2024-01-06T11:30:00.25Z"]));
    let (status, shown) = server.request("GET", "/v1/features/recent/77", "");
    assert_eq!((status, &shown["features"]["holes"]), (200, &value!([])), "{shown}");

    let known = |class: &str, message: &str| {
        Json::from(value!({"module": "feast.errors", "class": class, "message": message}).to_string())
    };
    for (body, status, said) in [
        (
            value!({"features": ["spendin:nb"], "entities": {"client_id": [1]}}),
            404,
            known("FeatureViewNotFoundException", "no feature view is called `spendin`: did you mean `spending`?"),
        ),
        (
            value!({"feature_service": "screenin", "entities": {"client_id": [1]}}),
            404,
            known(
                "FeatureServiceNotFoundException",
                "no feature service is called `screenin`: did you mean `screening`?",
            ),
        ),
        (
            value!({"features": ["spending:mb"], "entities": {"client_id": [1]}}),
            422,
            value!("feature view spending has no feature `mb`: did you mean `nb`?"),
        ),
        (
            value!({"features": ["spending:nb"], "entities": {"client": [1]}}),
            422,
            value!("the features of spending are read by `client_id`, and only `client` came"),
        ),
        (
            value!({"features": ["spending:nb", "jobs:nb_there"], "entities": {"client_id": [1]}}),
            422,
            value!("the features of jobs are read by `employer_id`, and only `client_id` came"),
        ),
        (
            value!({"features": ["jobs:nb_there"], "entities": {"client_id": [1], "employer_id": ["mill", "mine"]}}),
            422,
            value!("`employer_id` has 2 values, the first column has 1"),
        ),
        (
            value!({"features": ["spending:nb"], "entities": {"client_id": ["x"]}}),
            422,
            value!("`client_id`: \"x\" is no int"),
        ),
        (
            value!({"features": ["nb"], "entities": {"client_id": [1]}}),
            422,
            value!("`nb` is no feature: write `view:feature`"),
        ),
    ] {
        assert_eq!(ask(body), (status, said));
    }
    let (status, answer) = ask(value!({
        "features": ["jobs:nb_there", "spending:nb", "jobs:last_there"],
        "entities": {"employer_id": ["mill", "mine"], "client_id": [2, 1]},
    }));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer["metadata"]["feature_names"],
        value!(["client_id", "employer_id", "nb_there", "nb", "last_there"])
    );
    let columns: Vec<&Json> = answer["results"].as_array().unwrap().iter().map(|column| &column["values"]).collect();
    assert_eq!(
        columns,
        [&value!([2, 1]), &value!(["mill", "mine"]), &value!([1, 1]), &value!([1, 2]), &value!([7.25, null])]
    );
    let (status, answer) = ask(value!({"features": ["spending:nb", "kinds:nb"], "entities": {"client_id": [1]}}));
    assert_eq!(status, 422);
    assert!(answer.as_str().unwrap().contains("FeatureNameCollisionError"), "{answer}");
    let (status, answer) = ask(value!({"features": ["spending:nb"]}));
    assert_eq!(status, 422);
    assert!(answer.as_str().unwrap().contains("missing field `entities`"), "{answer}");
}
