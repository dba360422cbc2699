use karat_core::ErrorKind;
use karat_query::{Occasion, Table};
use serde_json::{Value as Json, json};

use crate::world::{World, accepted, day, quarantined, raw_rows, source};

fn loans(contract: Json) -> karat_project::spec::Source {
    source(json!({
        "name": "loans", "path": "loans.csv", "keys": ["id"],
        "columns": [["id", "int"], ["amount", "float"], ["status", "text"], ["day", "date"]],
        "contract": contract,
    }))
}

async fn world(rows: &str) -> World {
    let world = World::new().await;
    world.write("loans.csv", format!("id,amount,status,day\n{rows}"));
    world
}

#[tokio::test]
async fn checks_run_in_order_and_skip_what_is_quarantined() {
    let world =
        world("1,10,ok,2021-01-01\n2,-5,ok,2021-01-02\n2,20,ok,2021-01-03\n3,30,??,2021-01-04\n4,,late,\n").await;
    let range = json!({"check": "range", "column": "amount", "min": 0});
    let unique = json!({"check": "unique", "columns": ["id"]});
    let range_first = world.stage(&loans(json!([range, unique]))).await;
    assert_eq!(quarantined(&range_first), ["loans.csv:3 amount=-5 range: below 0"]);
    assert_eq!(range_first.report.rules[1].examined, 4);
    let unique_first = world.stage(&loans(json!([unique, range]))).await;
    assert_eq!(
        quarantined(&unique_first),
        ["loans.csv:4 id=2 unique: repeats an earlier row", "loans.csv:3 amount=-5 range: below 0"]
    );
    assert_eq!(raw_rows(&unique_first)[0], json!({"id": 2, "amount": 20.0, "status": "ok", "day": "2021-01-03"}));
}

#[tokio::test]
async fn every_check_tells_what_fails() {
    // What is no number comes from an expression alone: a file's `NaN` is not read as one.
    let world = world("1,10,ok,2021-01-01\n2,-1,late1,2021-02-01\n3,200,,2021-03-01\n4,,gone,\n").await;
    let failing = |rule: Json| {
        let world = &world;
        async move {
            let mut source = loans(json!([rule]));
            source
                .prepare
                .insert("amount".into(), "CASE WHEN amount = -1 THEN CAST('NaN' AS DOUBLE) ELSE amount END".into());
            let staged = world.stage(&source).await;
            quarantined(&staged)
                .into_iter()
                .map(|row| row.trim_start_matches("loans.csv:").to_owned())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(failing(json!({"check": "not_null", "column": "day"})).await, ["5 day=- not_null: is null"]);
    assert_eq!(
        failing(json!({"check": "allowed", "column": "status", "values": ["ok", "gone"]})).await,
        ["3 status=late1 allowed: not one of ok, gone"]
    );
    assert_eq!(
        failing(json!({"check": "allowed", "column": "id", "values": [1, 2, 3]})).await,
        ["5 id=4 allowed: not one of 1, 2, 3"]
    );
    assert_eq!(
        failing(json!({"check": "range", "column": "amount", "min": 0, "max": 100})).await,
        ["3 amount=NaN range: outside 0 to 100", "4 amount=200 range: outside 0 to 100"]
    );
    assert_eq!(
        failing(json!({"check": "range", "column": "day", "max": "2021-02-01"})).await,
        ["4 day=2021-03-01 range: above 2021-02-01"]
    );
    assert_eq!(
        failing(json!({"check": "range", "column": "status", "min": "h"})).await,
        ["5 status=gone range: below h"]
    );
    assert_eq!(
        failing(json!({"check": "pattern", "column": "status", "pattern": "^[a-z]+$"})).await,
        ["3 status=late1 pattern: does not match ^[a-z]+$"]
    );
    assert_eq!(
        failing(json!({"check": "expression", "sql": "amount < 100"})).await,
        [
            "3 -=NaN expression: `amount < 100` is not true",
            "4 -=200 expression: `amount < 100` is not true",
            "5 -=- expression: `amount < 100` is not true",
        ]
    );
    let both = json!({"check": "unique", "columns": ["status", "day"]});
    assert_eq!(failing(both).await, Vec::<String>::new());
}

#[tokio::test]
async fn relation_compares_with_the_other_sources_current_rows() {
    let mut world = world("1,10,ok,\n2,20,new,\n3,30,,\n").await;
    world.write("words.csv", "word\nok\nlate\n");
    let words = source(json!({"name": "words", "path": "words.csv", "keys": ["word"], "columns": [["word", "text"]]}));
    world.ingest(&words, day(1)).await;
    world.publish(&words).await;
    let rule = json!([{"check": "relation", "column": "status", "source": "words", "references": "word"}]);
    let staged = world.stage(&loans(rule)).await;
    assert_eq!(quarantined(&staged), ["loans.csv:3 status=new relation: not in words.word"]);
}

#[tokio::test]
async fn set_null_remembers_what_it_took() {
    let world = world("1,10,ok,3021-09-18\n2,20,ok,2021-01-01\n").await;
    let mut source = loans(json!([
        {"check": "range", "column": "day", "max": "2021-12-31", "action": "set_null"},
        {"check": "allowed", "column": "status", "values": ["late"], "action": "set_null"},
        {"check": "range", "column": "amount", "min": 15},
    ]));
    let staged = world.stage(&source).await;
    assert_eq!(accepted(&staged), ["2|20.0|null|2021-01-01|2"]);
    let raw = json!({"id": 1, "amount": 10.0, "status": "ok", "day": "3021-09-18"});
    assert_eq!(raw_rows(&staged), [raw], "quarantine keeps the row as it was read");
    source.contract.pop();
    world.ingest(&source, day(1)).await;
    let plan = world.plan(&source).unwrap();
    let mut tables = karat_query::Tables::new();
    tables.insert("h", Table::history(plan.schema(), world.snapshot(&source).await.unwrap()));
    let nulled = world.query("SELECT id, day, _nulled FROM h ORDER BY id", &tables).await;
    let day = r#"{"column":"day","value":"3021-09-18","check":"range"}"#;
    let status = r#"{"column":"status","value":"ok","check":"allowed"}"#;
    assert_eq!(nulled, [format!("1|null|[{day},{status}]"), format!("2|2021-01-01|[{status}]")]);
}

#[tokio::test]
async fn only_fail_rules_refuse_a_delivery_and_only_above_their_share() {
    let world = world("1,-1,ok,\n2,-2,ok,\n3,3,ok,\n4,4,ok,\n").await;
    let range = |action: &str, fail_above: Json| {
        let mut rule = json!({"check": "range", "column": "amount", "min": 0, "action": action});
        if !fail_above.is_null() {
            rule["fail_above"] = fail_above;
        }
        loans(json!([rule]))
    };
    for (source, accepted, refused) in [
        (range("warn", Json::Null), 4, false),
        (range("quarantine", Json::Null), 2, false),
        (range("fail", Json::Null), 4, true),
        (range("fail", json!(0.5)), 4, false),
        (range("fail", json!(0.49)), 4, true),
        (range("quarantine", json!(0.1)), 2, true),
        (loans(json!([{"check": "row_count", "min": 5, "action": "fail"}])), 4, true),
        (loans(json!([{"check": "row_count", "min": 5, "action": "warn"}])), 4, false),
        (loans(json!([{"check": "row_count", "min": 4, "max": 4, "action": "fail"}])), 4, false),
    ] {
        let staged = world.stage(&source).await;
        assert_eq!(
            (staged.report.accepted, staged.report.refusal().is_some()),
            (accepted, refused),
            "{:?}",
            source.contract
        );
        if refused {
            let error = world.try_ingest(&source, day(1)).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(world.snapshot(&source).await.is_none());
        }
    }
    let counted_after = loans(json!([
        {"check": "range", "column": "amount", "min": 0},
        {"check": "row_count", "min": 3, "action": "fail"},
    ]));
    let report = world.stage(&counted_after).await.report;
    assert_eq!(report.refusal().unwrap(), "row_count (rule 2): 2 rows, expected at least 3");
    assert_eq!(report.rules[0].share, 0.5);
    assert_eq!(report.rules[0].examples[0].value.as_deref(), Some("-1"));
}

#[tokio::test]
async fn prepare_is_row_by_row_and_a_failing_row_keeps_its_place() {
    let world = world("1,10,ok,\n2,20,7,\n3,30,0,\n4,40,5,\n").await;
    let source = source(json!({
        "name": "loans", "path": "loans.csv", "keys": ["id"],
        "columns": [["id", "int"], ["amount", "float"], ["status", "text"]],
        "prepare": [["amount", "amount * 2"], ["number", "CAST(status AS INT)"], ["half", "100 / number"]],
        "drop": ["status"],
        "contract": [{"check": "range", "column": "amount", "max": 70}],
    }));
    let staged = world.stage(&source).await;
    assert_eq!(accepted(&staged), ["2|40.0|7|14|2"]);
    let rows = quarantined(&staged);
    assert!(rows[0].starts_with("loans.csv:2 number=- prepare: "), "{rows:?}");
    assert!(rows[1].starts_with("loans.csv:4 half=- prepare: ") && rows[1].contains("zero"), "{rows:?}");
    assert_eq!(rows[2], "loans.csv:5 amount=80 range: above 70");
    assert_eq!(raw_rows(&staged)[2], json!({"id": 4, "amount": 40.0, "status": "5"}));
    assert_eq!(staged.report.unprepared, 2);
}

#[tokio::test]
async fn rows_without_key_or_time_have_no_place_in_history() {
    let world = world(",10,ok,2021-01-01\n2,20,ok,\n3,30,ok,2021-01-03\n").await;
    let mut source = loans(json!([]));
    source.event_time = Some("day".to_owned());
    let staged = world.stage(&source).await;
    assert_eq!(
        quarantined(&staged),
        [
            "loans.csv:2 id=- key: is null; a row without its key has no place in a history",
            "loans.csv:3 day=- event_time: is null; a row without its event_time has no place in a history",
        ]
    );
    assert_eq!(staged.report.incomplete, 2);
}

#[tokio::test]
async fn mistakes_in_a_contract_are_told_with_their_place() {
    let world = world("").await;
    let error = |rule: Json| world.plan(&loans(json!([rule]))).err().unwrap().to_string();
    assert_eq!(
        error(json!({"check": "range", "column": "amuont", "min": 0})),
        "source `loans`, contract[0].column: there is no column `amuont`; did you mean `amount`?"
    );
    assert_eq!(
        error(json!({"check": "range", "column": "day", "min": 3})),
        "source `loans`, contract[0].min: 3 is not a date"
    );
    assert!(error(json!({"check": "pattern", "column": "status", "pattern": "("})).contains("contract[0].pattern"));
    assert!(error(json!({"check": "expression", "sql": "amount + 1"})).contains("where true or false is needed"));
    assert!(error(json!({"check": "unique", "columns": ["id"], "action": "set_null"})).contains("contract[0].action"));
    assert!(error(json!({"check": "row_count", "min": 1})).contains("`warn` or `fail`"));
    assert!(error(json!({"check": "relation", "column": "id", "source": "x"})).contains("there is no source `x`"));
}

#[tokio::test]
async fn quarantine_becomes_a_parquet_file() {
    let world = world("1,x,ok,\n2,20,ok,\n").await;
    let staged = world.stage(&loans(json!([]))).await;
    let folder = world.root().join("quarantine/loans");
    let path = staged.quarantine.write(&folder).unwrap();
    // The same rows are one file; others are another.
    assert_eq!(world.stage(&loans(json!([]))).await.quarantine.write(&folder).unwrap(), path);
    let rule = json!([{"check": "range", "column": "amount", "min": 30}]);
    assert_ne!(world.stage(&loans(rule)).await.quarantine.write(&folder).unwrap(), path);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap());
    let batches: Vec<_> = reader.unwrap().build().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(
        crate::world::printed(&batches),
        [r#"loans.csv|2|amount|x|read|not a float|{"id":"1","amount":"x","status":"ok","day":""}"#]
    );
}

#[tokio::test]
async fn bounds_of_times_may_move_with_the_delivery() {
    let world = World::new().await;
    // Day 20,000 is 2024-10-04.
    world.write(
        "b.csv",
        "id,born,seen\n1,2014-10-04,2024-10-04 00:00:00\n2,2014-10-03,2024-10-04 00:00:01\n3,2024-10-05,\n4,,\n",
    );
    let source = source(json!({
        "name": "b", "path": "b.csv", "keys": ["id"], "columns": [["id", "int"], ["born", "date"], ["seen", "timestamp"]],
        "contract": [
            {"check": "range", "column": "born", "min": "-10 years", "max": "now"},
            {"check": "range", "column": "seen", "max": "now", "action": "warn"},
        ],
    }));
    let staged = world.stage(&source).await;
    assert_eq!(
        quarantined(&staged),
        [
            "b.csv:3 born=2014-10-03 range: outside -10 years to now",
            "b.csv:4 born=2024-10-05 range: outside -10 years to now"
        ]
    );
    assert_eq!(staged.report.rules[1].failed, 0);
    let later = world.try_stage_on(&source, Occasion::first(day(20_001))).await.unwrap();
    assert_eq!(quarantined(&later)[0], "b.csv:2 born=2014-10-04 range: outside -10 years to now");
}

#[tokio::test]
async fn a_delivery_is_fresh_and_of_the_usual_volume() {
    let world = World::new().await;
    world.write("f.csv", "id,day\n1,2024-10-01\n2,2024-10-02\n3,\n");
    let checked = |contract: serde_json::Value, earlier: Vec<u64>| {
        let world = &world;
        async move {
            let source = source(json!({
                "name": "f", "path": "f.csv", "keys": ["id"], "time_zone": "Europe/Prague",
                "columns": [["id", "int"], ["day", "date"]], "contract": [contract],
            }));
            let report = world.try_stage_on(&source, Occasion { at: day(20_000), earlier }).await.unwrap().report;
            (report.rules[0].failed, report.refusal().unwrap_or_else(|| report.rules[0].reason.clone()))
        }
    };
    let fresh = |within: &str| {
        checked(json!({"check": "freshness", "column": "day", "within": within, "action": "fail"}), vec![])
    };
    assert_eq!(fresh("51 hours").await, (0, "the newest value is 2024-10-01T22:00:00Z".to_owned()));
    assert_eq!(
        fresh("2 days").await,
        (1, "freshness on day (rule 1): the newest value, 2024-10-01T22:00:00Z, is older than 2 days before 2024-10-04T00:00:00Z".to_owned())
    );
    let volume = |earlier: Vec<u64>| {
        checked(json!({"check": "volume", "last": 2, "tolerance": 0.25, "action": "fail"}), earlier)
    };
    assert_eq!(volume(vec![]).await, (0, "there is no delivery to compare with yet".to_owned()));
    assert_eq!(volume(vec![4]).await, (0, "3 rows, where the delivery before had 4 on average".to_owned()));
    assert_eq!(volume(vec![1000, 3, 4]).await.0, 0, "the oldest of three is not looked at");
    assert_eq!(
        volume(vec![5, 5]).await,
        (
            1,
            "volume (rule 1): 3 rows, where the 2 deliveries before had 5 on average: off by more than 25 %".to_owned()
        )
    );
    world.write("f.csv", "id,day\n1,\n");
    assert_eq!(fresh("51 hours").await.0, 1);
}

#[tokio::test]
async fn lengths_count_characters() {
    let world = World::new().await;
    world.write("l.csv", "id,code\n1,ab\n2,čřž\n3,abcd\n4,\n5,a\n");
    let source = source(json!({
        "name": "l", "path": "l.csv", "keys": ["id"], "columns": [["id", "int"], ["code", "text"]],
        "contract": [{"check": "length", "column": "code", "min": 2, "max": 3, "action": "set_null"}],
    }));
    let staged = world.stage(&source).await;
    assert_eq!(accepted(&staged), ["1|ab|1", "2|čřž|2", "3|null|3", "4|null|4", "5|null|5"]);
    assert_eq!(staged.report.rules[0].reason, "not of 2 to 3 characters");
}

#[tokio::test]
async fn a_relation_bears_a_share_of_misses() {
    let mut world = World::new().await;
    world.write("words.csv", "word\nok\n");
    let words = source(json!({"name": "words", "path": "words.csv", "keys": ["word"], "columns": [["word", "text"]]}));
    world.ingest(&words, day(1)).await;
    world.publish(&words).await;
    let rows: String = (0..20_000).map(|id| format!("{id},{}\n", if id % 100 == 0 { "new" } else { "ok" })).collect();
    world.write("rows.csv", format!("id,word\n{rows}"));
    for (tolerance, action, kept, refused) in [
        (0.01, "quarantine", 20_000, false),
        (0.009, "quarantine", 19_800, false),
        (0.009, "set_null", 20_000, false),
        (0.01, "fail", 20_000, false),
        (0.009, "fail", 20_000, true),
    ] {
        let source = source(json!({
            "name": "rows", "path": "rows.csv", "keys": ["id"], "columns": [["id", "int"], ["word", "text"]],
            "contract": [
                {"check": "relation", "column": "word", "source": "words", "tolerance": tolerance, "action": action},
                {"check": "not_null", "column": "word", "action": "warn"},
            ],
        }));
        let staged = world.stage(&source).await;
        let report = &staged.report;
        assert_eq!((report.accepted, report.refusal().is_some()), (kept, refused), "{tolerance} {action}");
        assert_eq!((report.rules[0].failed, report.rules[0].examined), (200, 20_000));
        assert_eq!(report.rules[1].failed, if action == "set_null" { 200 } else { 0 });
        assert_eq!(report.rules[1].examined, kept);
        assert_eq!(report.rules[0].examples[1].line, 102);
    }
}

#[tokio::test]
async fn fractions_bound_whole_numbers_by_those_within() {
    let world = World::new().await;
    world.write("n.csv", "n\n-1\n0\n1\n2\n3\n");
    let numbers =
        |rule: Json| source(json!({"name": "n", "path": "n.csv", "columns": [["n", "int"]], "contract": [rule]}));
    let staged = world.stage(&numbers(json!({"check": "range", "column": "n", "min": 0.5, "max": 2.5}))).await;
    assert_eq!(crate::world::accepted(&staged), ["1|3", "2|4"]);
    assert_eq!(staged.report.rules[0].reason, "outside 0.5 to 2.5");
    let staged = world.stage(&numbers(json!({"check": "range", "column": "n", "min": -0.5, "max": 1e30}))).await;
    assert_eq!(crate::world::accepted(&staged), ["0|2", "1|3", "2|4", "3|5"]);
    let staged = world.stage(&numbers(json!({"check": "range", "column": "n", "min": -1.0, "max": -0.5}))).await;
    assert_eq!(crate::world::accepted(&staged), ["-1|1"]);
}
