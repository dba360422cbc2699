//! Deliveries against a naive model of what they mean.

use std::collections::BTreeMap;

use karat_core::Instant;
use karat_project::spec::Source;
use karat_query::{Delivered, DeliveryCounts, QueryError, Redefined, Table, Tables};
use proptest::prelude::*;
use serde_json::json;

use crate::model::{HistoryRecord, Model, Row, Told, visible_by_entity};
use crate::world::{World, day, source};

fn rows_source(delivery: &str) -> Source {
    let mut json = json!({
        "name": "rows", "path": "rows.csv", "keys": ["id"], "delivery": delivery,
        "columns": [["id", "int"], ["entity", "int"], ["value", "int"], ["event", "timestamp"], ["known", "date"], ["op", "text"]],
        "drop": ["op"], "event_time": "event", "known_time": "known",
    });
    if delivery == "changes" {
        json["deleted"] = json!("op = 'D'");
    }
    if delivery == "append" {
        json["event_id"] = json!("id");
        json.as_object_mut().unwrap().remove("keys");
    }
    source(json)
}

/// The same files by another definition: it happened when it was known, and every value is one more.
fn redefined() -> Source {
    let mut source = rows_source("full");
    source.columns["event"] = serde_json::from_value(json!({"type": "timestamp", "from": "known"})).unwrap();
    source.prepare.insert("value".to_owned(), "value + 1".to_owned());
    source
}

fn as_redefined(row: &Row) -> Row {
    Row { value: row.value + 1, event: row.known, ..row.clone() }
}

fn line(key: u8, row: &Row) -> String {
    let Row { entity, value, event, known } = row;
    format!("{key},{entity},{value},{},{},\n", day(*event), karat_core::time::format_date(*known as i32))
}

fn row() -> impl Strategy<Value = Row> {
    (0..3u8, 0..2u8, 0..4i64, 0..6i64).prop_map(|(entity, value, event, known)| Row { entity, value, event, known })
}

const HEADER: &str = "id,entity,value,event,known,op\n";

fn told(delivered: &Delivered) -> Told {
    let counts = &delivered.counts;
    Told {
        new: counts.new,
        revised: counts.revised,
        removed: counts.removed,
        unchanged: counts.unchanged,
        superseded: counts.superseded,
    }
}

async fn records(world: &World, source: &Source, up_to: Option<u64>) -> Vec<HistoryRecord> {
    let Some(snapshot) = world.history.snapshot(&source.name, up_to).await.unwrap() else { return Vec::new() };
    let plan = world.plan(source).unwrap();
    let mut tables = Tables::new();
    tables.insert("h", Table::history(plan.schema(), snapshot));
    let day = karat_core::time::MICROS_PER_DAY;
    let sql = format!(
        "SELECT id, entity, value, CAST(event AS BIGINT) / {day}, CAST(known AS INT), _event_time / {day}, \
         _known_time / {day}, _commit, CAST(_removed AS INT) FROM h WHERE _event_time IS NOT NULL"
    );
    let parse = |row: &String| {
        let n: Vec<i64> = row.split('|').map(|cell| cell.parse().unwrap()).collect();
        HistoryRecord {
            key: n[0] as u8,
            row: Row { entity: n[1] as u8, value: n[2] as u8, event: n[3], known: n[4] },
            event: n[5],
            known: n[6],
            commit: n[7] as u64,
            removed: n[8] == 1,
        }
    };
    world.query(&sql, &tables).await.iter().map(parse).collect()
}

async fn agrees(world: &World, source: &Source, model: &Model) -> Result<(), TestCaseError> {
    let current: Vec<String> =
        model.current().iter().map(|(key, row)| format!("{key}|{}|{}", row.entity, row.value)).collect();
    prop_assert_eq!(world.current(source, "id, entity, value").await, current);
    agrees_up_to(world, source, model, None).await
}

async fn agrees_up_to(world: &World, source: &Source, model: &Model, up_to: Option<u64>) -> Result<(), TestCaseError> {
    let records = records(world, source, up_to).await;
    for as_of in 0..5 {
        for known_at in (0..8).chain([20]) {
            let wanted: Vec<(u8, Row)> = model.visible(as_of, known_at).into_iter().collect();
            prop_assert_eq!(
                visible_by_entity(&records, as_of, known_at),
                wanted,
                "as of {} known at {}",
                as_of,
                known_at
            );
        }
    }
    Ok(())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn full_deliveries_become_their_differences(
        deliveries in proptest::collection::vec(proptest::collection::btree_map(0..5u8, row(), 0..5), 1..5),
    ) {
        block_on(async {
            let (world, source, mut model) = (World::new().await, rows_source("full"), Model::default());
            for (index, rows) in deliveries.iter().enumerate() {
                let at = 2 + index as i64;
                world.write("rows.csv", HEADER.to_owned() + &rows.iter().map(|(k, r)| line(*k, r)).collect::<String>());
                let wanted = model.full(rows, at);
                prop_assert_eq!(told(&world.ingest(&source, day(at)).await), wanted);
                agrees(&world, &source, &model).await?;
                let again = world.ingest(&source, day(at + 1)).await;
                prop_assert_eq!(again.commit, None);
                prop_assert_eq!(again.counts.unchanged, rows.len() as u64);
                prop_assert_eq!(world.snapshot(&source).await.map_or(0, |snapshot| snapshot.commit), model.commits);
            }
            Ok(())
        })?;
    }

    /// In the middle of a history the source says otherwise when its rows happened and what is in them.
    #[test]
    fn a_history_begins_anew_where_its_rows_are_defined_otherwise(
        before in proptest::collection::vec(proptest::collection::btree_map(0..5u8, row(), 0..5), 1..4),
        after in proptest::collection::vec(proptest::collection::btree_map(0..5u8, row(), 0..5), 1..4),
        repeats in any::<bool>(),
    ) {
        block_on(async {
            let (world, old, mut model) = (World::new().await, rows_source("full"), Model::default());
            let write = |rows: &BTreeMap<u8, Row>| {
                world.write("rows.csv", HEADER.to_owned() + &rows.iter().map(|(k, r)| line(*k, r)).collect::<String>());
            };
            for (index, rows) in before.iter().enumerate() {
                write(rows);
                prop_assert_eq!(told(&world.ingest(&old, day(2 + index as i64)).await), model.full(rows, 2 + index as i64));
            }
            let (old_model, commits) = (model, world.snapshot(&old).await.map_or(0, |snapshot| snapshot.commit));
            let new = redefined();
            let mut after = after.clone();
            if repeats {
                after[0] = before[before.len() - 1].clone();
            }
            let mut model = old_model.anew();
            for (index, rows) in after.iter().enumerate() {
                let at = 10 + index as i64;
                write(rows);
                let rows: BTreeMap<u8, Row> = rows.iter().map(|(key, row)| (*key, as_redefined(row))).collect();
                if index == 0 {
                    // Only a history of one delivery, which comes again, or of no rows, begins anew by itself.
                    let newest = world.snapshot(&old).await.unwrap();
                    let comes_again = newest.delivery == world.stage(&new).await.delivery;
                    let settled = newest.rows() == 0 || newest.first == newest.commit && comes_again;
                    match world.try_take(&new, day(at), Redefined::Settled).await {
                        Ok(delivered) => {
                            prop_assert!(settled);
                            prop_assert!(delivered.anew.is_some());
                            prop_assert_eq!(told(&delivered), model.full(&rows, at));
                        }
                        Err(error) => {
                            prop_assert!(!settled, "{}", error);
                            prop_assert!(matches!(error, QueryError::Redefined { .. }), "{}", error);
                            agrees_up_to(&world, &old, &old_model, None).await?;
                            let delivered = world.try_take(&new, day(at), Redefined::Rebuild).await.unwrap();
                            prop_assert_eq!(told(&delivered), model.full(&rows, at));
                        }
                    }
                    model.commits = commits + 1;
                } else {
                    prop_assert_eq!(told(&world.ingest(&new, day(at)).await), model.full(&rows, at));
                }
                prop_assert_eq!(world.snapshot(&new).await.map_or(0, |snapshot| snapshot.commit), model.commits);
                agrees(&world, &new, &model).await?;
                agrees_up_to(&world, &old, &old_model, Some(commits)).await?;
                prop_assert_eq!(world.ingest(&new, day(at + 1)).await.commit, None);
            }
            Ok(())
        })?;
    }

    #[test]
    fn changes_are_taken_at_their_word(
        deliveries in proptest::collection::vec(
            proptest::collection::vec((0..3u8, row(), proptest::bool::weighted(0.2)), 0..6), 1..4,
        ),
    ) {
        block_on(async {
            let (world, source, mut model) = (World::new().await, rows_source("changes"), Model::default());
            for rows in &deliveries {
                let lines = rows.iter().map(|(key, row, removes)| {
                    if *removes { line(*key, row).replace(",\n", ",D\n") } else { line(*key, row) }
                });
                world.write("rows.csv", HEADER.to_owned() + &lines.collect::<String>());
                let rows: Vec<(u8, i64, Option<Row>)> =
                    rows.iter().map(|(key, row, removes)| (*key, row.known, (!removes).then(|| row.clone()))).collect();
                let wanted = model.changes(&rows);
                prop_assert_eq!(told(&world.ingest(&source, day(100)).await), wanted);
                agrees(&world, &source, &model).await?;
                let again = world.ingest(&source, day(100)).await;
                prop_assert_eq!(again.commit, None);
                prop_assert_eq!(again.counts.accepted, again.counts.superseded);
            }
            Ok(())
        })?;
    }

    #[test]
    fn appended_events_are_told_apart_by_their_id(
        deliveries in proptest::collection::vec(proptest::collection::vec((0..4u8, row()), 0..6), 1..4),
    ) {
        block_on(async {
            let (world, source, mut model) = (World::new().await, rows_source("append"), Model::default());
            for rows in &deliveries {
                world.write("rows.csv", HEADER.to_owned() + &rows.iter().map(|(k, r)| line(*k, r)).collect::<String>());
                let rows: Vec<_> = rows.iter().map(|(key, row)| (*key, row.known, Some(row.clone()))).collect();
                prop_assert_eq!(told(&world.ingest(&source, day(100)).await), model.changes(&rows));
                agrees(&world, &source, &model).await?;
                prop_assert_eq!(world.ingest(&source, day(100)).await.commit, None);
            }
            Ok(())
        })?;
    }

    #[test]
    fn appended_files_enter_once_each(deliveries in proptest::collection::vec(proptest::collection::vec(0..6u8, 1..4), 1..4)) {
        block_on(async {
            let world = World::new().await;
            let source = source(json!({
                "name": "log", "path": "log/*.csv", "columns": [["value", "int"]],
                "contract": [{"check": "range", "column": "value", "max": 4}],
            }));
            let mut wanted: BTreeMap<u8, u64> = BTreeMap::new();
            for (number, files) in deliveries.iter().enumerate() {
                let _ = std::fs::remove_dir_all(world.root().join("log"));
                let mut fresh = 0;
                for (index, content) in files.iter().enumerate() {
                    // File `n` has n rows of n, and one that the contract refuses.
                    let lines = format!("{content}\n").repeat(usize::from(*content)) + "5\n";
                    world.write(&format!("log/{index}.csv"), format!("value\n{lines}"));
                    let good = u64::from(*content) * u64::from(*content <= 4);
                    if wanted.insert(*content, good).is_none() {
                        fresh += good;
                    }
                }
                let delivered = world.ingest(&source, day(1)).await;
                prop_assert_eq!(delivered.counts.new, fresh);
                prop_assert_eq!(delivered.commit.is_some(), fresh > 0 || number == 0);
                let rows: u64 = wanted.values().sum();
                prop_assert_eq!(world.current(&source, "value").await.len() as u64, rows);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn facts_are_always_known_first_and_later_from_their_ingest() {
    let world = World::new().await;
    let source = source(json!({
        "name": "clients", "path": "clients.csv", "keys": ["id"], "columns": [["id", "int"], ["car", "text"]],
    }));
    let times = || async {
        let mut tables = Tables::new();
        tables
            .insert("h", Table::history(world.plan(&source).unwrap().schema(), world.snapshot(&source).await.unwrap()));
        let sql = "SELECT id, car, _event_time, _known_time, _commit, _removed, _row FROM h ORDER BY _commit, id, _removed DESC";
        world.query(sql, &tables).await
    };
    world.write("clients.csv", "id,car\n1,Y\n2,N\n3,N\n");
    world.ingest(&source, day(10)).await;
    world.write("clients.csv", "id,car\n4,Y\n2,Y\n1,Y\n");
    let counts = world.ingest(&source, day(20)).await.counts;
    assert_eq!((counts.new, counts.revised, counts.removed, counts.unchanged), (1, 1, 1, 1));
    world.write("clients.csv", "id,car\n4,Y\n2,Y\n1,Y\n3,N\n");
    world.ingest(&source, day(15)).await;
    let (always, later, last) = (Instant::ALWAYS.micros(), day(20).micros(), day(20).micros());
    assert_eq!(
        times().await,
        [
            format!("1|Y|null|{always}|1|false|1"),
            format!("2|N|null|{always}|1|false|2"),
            format!("3|N|null|{always}|1|false|3"),
            format!("2|N|null|{later}|2|true|2"),
            format!("2|Y|null|{later}|2|false|2"),
            format!("3|N|null|{later}|2|true|3"),
            format!("4|Y|null|{always}|2|false|1"),
            // The clock went back; the row still wins over its removal.
            format!("3|N|null|{last}|3|false|4"),
        ]
    );
    assert_eq!(world.current(&source, "id, car, _row").await, ["1|Y|1", "2|Y|2", "3|N|4", "4|Y|1"]);
}

#[tokio::test]
async fn known_times_follow_the_source() {
    let world = World::new().await;
    world.write("e.csv", "id,day\n1,2021-01-31\n");
    let ingested = |extra: serde_json::Value| {
        let world = &world;
        async move {
            let mut json = json!({"name": "e", "path": "e.csv", "keys": ["id"], "columns": [["id", "int"], ["day", "date"]], "event_time": "day"});
            json.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            json["name"] = json!(format!("e{}", extra.as_object().unwrap().len()));
            let source = source(json);
            world.ingest(&source, day(100)).await;
            let mut tables = Tables::new();
            tables.insert(
                "h",
                Table::history(world.plan(&source).unwrap().schema(), world.snapshot(&source).await.unwrap()),
            );
            let rows = world.query("SELECT _event_time, _known_time FROM h", &tables).await;
            let times: Vec<String> =
                rows[0].split('|').map(|cell| Instant::from_micros(cell.parse().unwrap()).to_string()).collect();
            times.join(" ")
        }
    };
    assert_eq!(ingested(json!({})).await, "2021-01-31T00:00:00Z 2021-01-31T00:00:00Z");
    assert_eq!(ingested(json!({"available_after": "1 month"})).await, "2021-01-31T00:00:00Z 2021-02-28T00:00:00Z");
    assert_eq!(
        ingested(json!({"available_after": "1 month", "time_zone": "Europe/Prague"})).await,
        "2021-01-30T23:00:00Z 2021-02-27T23:00:00Z"
    );
}

#[tokio::test]
async fn a_key_twice_in_a_full_delivery_is_an_error_that_says_what_to_do() {
    let world = World::new().await;
    world.write("d.csv", "id,k,v\n1,a,1\n2,b,1\n1,a,2\n");
    let mut source = source(
        json!({"name": "d", "path": "d.csv", "keys": ["id", "k"], "columns": [["id", "int"], ["k", "text"], ["v", "int"]]}),
    );
    let error = world.try_ingest(&source, day(1)).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "source `d`: the key id=1, k=a comes twice in this full delivery (d.csv:2 and d.csv:4); say which row stays with \
         `- {check: unique, columns: [id, k]}` in the contract"
    );
    assert!(world.snapshot(&source).await.is_none());
    source.contract = serde_json::from_value(json!([{"check": "unique", "columns": ["id", "k"]}])).unwrap();
    assert_eq!(world.ingest(&source, day(1)).await.counts.accepted, 2);
}

#[tokio::test]
async fn a_delivery_larger_than_memory_gives_the_same_history() {
    let rows: String = (0..40_000).map(|id| format!("{id},{},2021-01-{:02}\n", id % 97, id % 28 + 1)).collect();
    let source = source(json!({
        "name": "big", "path": "big.csv", "keys": ["id"], "columns": [["id", "int"], ["v", "int"], ["day", "date"]],
        "event_time": "day", "contract": [{"check": "unique", "columns": ["id"]}],
    }));
    let mut seen = Vec::new();
    for memory in [1 << 16, 256 << 20] {
        let world = World::with_memory(memory).await;
        world.write("big.csv", format!("id,v,day\n{rows}"));
        assert_eq!(world.ingest(&source, day(30_000)).await.counts.new, 40_000);
        let changed = rows.replacen("\n7,7,", "\n7,8,", 1).replacen("\n9,9,2021-01-10\n", "\n", 1);
        world.write("big.csv", format!("id,v,day\n{changed}"));
        let counts = world.ingest(&source, day(30_001)).await.counts;
        assert_eq!((counts.revised, counts.removed, counts.unchanged), (1, 1, 39_998));
        let plan = world.plan(&source).unwrap();
        let snapshot = world.snapshot(&source).await.unwrap();
        let batches: Vec<_> =
            futures::TryStreamExt::try_collect(snapshot.stream(plan.schema(), &karat_core::hidden::ALL, None))
                .await
                .unwrap();
        seen.push(crate::world::printed(&batches));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn rows_of_known_files_that_were_quarantined_come_in_later() {
    let world = World::new().await;
    world.write("log/a.csv", "value\n1\n7\n2\n");
    world.write("log/b.csv", "value\n1\n7\n2\n");
    let log = |max: u8| {
        source(json!({
            "name": "log", "path": "log/*.csv", "columns": [["value", "int"]],
            "contract": [{"check": "range", "column": "value", "max": max}],
        }))
    };
    let first = world.ingest(&log(5), day(1)).await.counts;
    // The second file has the content of the first: it is the same file.
    assert_eq!((first.new, first.unchanged, first.quarantined), (2, 2, 2));
    let second = world.ingest(&log(9), day(2)).await.counts;
    assert_eq!((second.new, second.unchanged, second.quarantined), (1, 5, 0));
    assert_eq!(world.current(&log(9), "value").await, ["1", "2", "7"]);
    assert_eq!(world.ingest(&log(9), day(3)).await.commit, None);
}

/// What is said of a change, and what is none.
#[tokio::test]
async fn definitions_differ_by_what_can_change_a_row() {
    use karat_query::RowsDefinition;
    let mut world = World::new().await;
    world.write("a.csv", "id,day,amount,unit\n");
    let upstream = BTreeMap::new();
    let base = json!({
        "name": "a", "path": "a.csv", "keys": ["id"], "event_time": "day",
        "columns": [["id", "int"], ["day", "date"], ["amount", "float"], ["unit", "text"]],
        "prepare": [["euros", "amount * 2"], ["many", "euros > 10"]],
    });
    let changed = |change: serde_json::Value| {
        let mut json = base.clone();
        json.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        source(json)
    };
    let definition = |source: &Source| RowsDefinition::of(&world.plan(source).unwrap(), &upstream);
    let old = definition(&source(base.clone()));
    let changes = |change: serde_json::Value| definition(&changed(change)).changes_since(&old).join("; ");
    let none = [
        json!({"description": "words", "owner": "me"}),
        json!({"contract": [{"check": "not_null", "column": "amount"}, {"check": "row_count", "min": 1, "action": "fail"}]}),
        json!({"drop": ["unit"]}),
        json!({"include_as_of": true}),
        json!({"path": "b*.csv"}),
    ];
    for change in none {
        assert_eq!(changes(change.clone()), "", "{change}");
    }
    let some = [
        (json!({"time_zone": "Europe/Prague"}), "time_zone: UTC -> Europe/Prague"),
        (json!({"keys": ["id", "unit"]}), "identity: id -> id, unit"),
        (json!({"delivery": "changes"}), "delivery: full -> changes"),
        (json!({"known_time": "day"}), "known_time: none -> day"),
        (
            json!({"prepare": [["euros", "amount * 3"], ["many", "euros > 10"]]}),
            "euros: `amount * 2` -> `amount * 3`; column many",
        ),
        (
            json!({"contract": [{"check": "allowed", "column": "unit", "values": ["kg"], "action": "set_null"}]}),
            "set_null on unit",
        ),
        (
            json!({"prepare": [["euros", "amount * 2"], ["many", "euros > 10"], ["few", "euros < 10"]]}),
            "column few is new",
        ),
        (json!({"csv": {"decimal": ","}}), "csv"),
    ];
    for (change, said) in some {
        assert_eq!(changes(change.clone()), said, "{change}");
    }
    // A column that is left out comes back only by a rebuild: the rows meanwhile have none.
    assert_eq!(old.changes_since(&definition(&changed(json!({"drop": ["unit"]})))), ["column unit is new"]);

    // A query is made of the columns that it uses.
    world.write("rows.csv", "");
    let sql = source(
        json!({"name": "s", "keys": ["id"], "sql": "SELECT id, count(*) AS n, sum(euros) AS total FROM a GROUP BY id"}),
    );
    let of_query = |world: &World, above: &Source| {
        RowsDefinition::of(
            &world.plan(&sql).unwrap(),
            &BTreeMap::from([(above.name.clone(), RowsDefinition::of(&world.plan(above).unwrap(), &upstream))]),
        )
    };
    let first = source(base.clone());
    world.upstream.insert(first.name.clone(), world.plan(&first).unwrap().schema().clone());
    let before = of_query(&world, &first);
    let unused = changed(json!({"prepare": [["euros", "amount * 2"], ["many", "euros > 99"]]}));
    let used = changed(json!({"prepare": [["euros", "amount * 9"], ["many", "euros > 10"]]}));
    assert_eq!(of_query(&world, &unused).changes_since(&before), Vec::<String>::new());
    assert_eq!(of_query(&world, &used).changes_since(&before), ["rows of a"]);
}

/// The removal was known in May and came first; the row was known in April.
#[tokio::test]
async fn a_removal_that_comes_before_its_row_holds() {
    let world = World::new().await;
    let source = rows_source("changes");
    let told = |delivered: &Delivered| {
        let DeliveryCounts { read, accepted, new, removed, unchanged, .. } = delivered.counts;
        (read, accepted, new, removed, unchanged)
    };
    let deliver = async |lines: &str| {
        world.write("rows.csv", format!("{HEADER}{lines}"));
        let delivered = world.ingest(&source, day(30)).await;
        assert_eq!(world.ingest(&source, day(31)).await.commit, None);
        told(&delivered)
    };
    assert_eq!(deliver("7,1,1,1970-01-02,1970-01-06,D\n").await, (1, 1, 0, 1, 0));
    assert_eq!(deliver("7,1,1,1970-01-02,1970-01-04,U\n").await, (1, 1, 1, 0, 0));
    assert_eq!(deliver("7,1,1,1970-01-02,1970-01-06,D\n").await, (1, 0, 0, 0, 1));
    // Removed once more, later; then comes a row that was known in between.
    assert_eq!(deliver("7,1,1,1970-01-02,1970-01-10,D\n").await, (1, 1, 0, 1, 0));
    assert_eq!(deliver("7,2,3,1970-01-02,1970-01-08,U\n").await, (1, 1, 1, 0, 0));
    assert_eq!(world.current(&source, "id").await, Vec::<String>::new());
    let records = records(&world, &source, None).await;
    let entities = |known_at| {
        let visible = visible_by_entity(&records, 20, known_at);
        visible.into_iter().map(|(_, row)| row.entity).collect::<Vec<_>>()
    };
    assert_eq!(
        [2, 3, 4, 5, 6, 7, 8, 9, 20].map(entities),
        [vec![], vec![1], vec![1], vec![], vec![], vec![2], vec![2], vec![], vec![]]
    );
}

/// A removal that does not say when it was known removes what is there; a key without rows has its first one to come.
#[tokio::test]
async fn a_removal_without_a_time_of_its_own_removes_what_is_there() {
    let world = World::new().await;
    let source = source(json!({
        "name": "c", "path": "c.csv", "keys": ["id"], "delivery": "changes", "deleted": "op = 'D'",
        "columns": [["id", "int"], ["op", "text"]],
    }));
    let deliver = async |lines: &str, at: i64| {
        world.write("c.csv", format!("id,op\n{lines}"));
        world.ingest(&source, day(at)).await
    };
    assert_eq!(deliver("1,D\n", 1).await.counts.unchanged, 1);
    assert_eq!(deliver("1,D\n", 2).await.commit, None);
    assert_eq!(deliver("1,U\n", 3).await.counts.new, 1);
    assert_eq!(deliver("1,D\n", 4).await.counts.removed, 1);
    let again = deliver("1,D\n", 5).await;
    assert_eq!((again.commit, again.counts.unchanged), (None, 1));
    assert_eq!(deliver("1,U\n", 6).await.counts.new, 1);
    assert_eq!(world.current(&source, "id").await, ["1"]);
}

/// The key was delivered, in whatever state: only one that is missing is removed.
#[tokio::test]
async fn a_quarantined_row_takes_away_no_other() {
    let world = World::new().await;
    let source = source(json!({
        "name": "c", "path": "c.csv", "keys": ["id"], "event_time": "day",
        "columns": [["id", {"type": "int", "from": "ID"}], ["day", "date"], ["v", "int"], ["text", "text"]],
        "prepare": [["number", "CAST(text AS BIGINT)"]],
        "contract": [{"check": "range", "column": "v", "min": 0}],
    }));
    world.write("c.csv", "ID,day,v,text\n1,2021-01-01,1,1\n2,2021-01-01,1,1\n3,2021-01-01,1,1\n4,2021-01-01,1,1\n5,2021-01-01,1,1\n6,2021-01-01,1,1\n");
    assert_eq!(world.ingest(&source, day(20_000)).await.counts.new, 6);
    // By the contract, without its time, where `prepare` fails, unreadable; 6 is missing, 7 was never there.
    world.write("c.csv", "ID,day,v,text\n1,2021-01-01,1,1\n2,2021-01-01,-1,1\n3,,1,1\n4,2021-01-01,1,x\n5,2021-01-01,much,1\n7,2021-01-01,-1,1\n");
    let counts = world.ingest(&source, day(20_001)).await.counts;
    assert_eq!((counts.unchanged, counts.removed, counts.kept, counts.quarantined), (1, 1, 4, 5));
    assert_eq!(world.current(&source, "id, v").await, ["1|1", "2|1", "3|1", "4|1", "5|1"]);
    assert_eq!(world.ingest(&source, day(20_002)).await.commit, None);
}

/// A row whose key nobody can read may be anybody's: nobody is removed for want of one.
#[tokio::test]
async fn no_key_is_removed_while_a_row_has_one_that_cannot_be_read() {
    let read = json!({"name": "c", "path": "c.csv", "keys": ["id"], "columns": [["id", "int"], ["v", "float"]]});
    let prepared = json!({
        "name": "p", "path": "c.csv", "keys": ["id"],
        "columns": [["word", {"type": "text", "from": "id"}], ["v", "float"]],
        "prepare": [["id", "CAST(word AS BIGINT)"]],
    });
    for source in [source(read), source(prepared)] {
        let world = World::new().await;
        world.write("c.csv", "id,v\n1,1\n2,2\n3,3\n");
        assert_eq!(world.ingest(&source, day(20_000)).await.counts.new, 3);
        for (place, unread) in ["2,2,9", "x2,2", "2,\"2\"x"].into_iter().enumerate() {
            world.write("c.csv", format!("id,v\n1,{place}.5\n{unread}\n"));
            let counts = world.ingest(&source, day(20_001 + place as i64)).await.counts;
            assert_eq!((counts.revised, counts.removed, counts.kept, counts.quarantined), (1, 0, 2, 1), "{unread}");
        }
        // Nor while one names nobody.
        world.write("c.csv", "id,v\n1,1\n,2\n3,much\n");
        let counts = world.ingest(&source, day(20_009)).await.counts;
        assert_eq!((counts.revised, counts.removed, counts.kept, counts.quarantined), (1, 0, 2, 2));
    }
}

/// As many partitions as one row needs, then rows for many.
#[tokio::test]
async fn a_history_that_began_small_is_compared_in_slices() {
    let world = World::with_memory(64 << 20).await;
    let source =
        source(json!({"name": "g", "path": "g.csv", "keys": ["id"], "columns": [["id", "int"], ["v", "int"]]}));
    world.write("g.csv", "id,v\n7,7\n");
    world.ingest(&source, day(1)).await;
    let rows: String = (0..620_000).map(|id| format!("{id},{}\n", id % 97)).collect();
    world.write("g.csv", format!("id,v\n{rows}"));
    let counts = world.ingest(&source, day(2)).await.counts;
    assert_eq!((counts.new, counts.unchanged), (619_999, 1));
    let changed = rows.replacen("\n9,9\n", "\n9,8\n", 1).replacen("\n11,11\n", "\n", 1);
    world.write("g.csv", format!("id,v\n{changed}"));
    let counts = world.ingest(&source, day(3)).await.counts;
    assert_eq!((counts.revised, counts.removed, counts.unchanged), (1, 1, 619_998));
    assert_eq!(world.snapshot(&source).await.unwrap().partitions, 1);
    let sql = "SELECT count(*), sum(v) FROM t";
    let mut tables = Tables::new();
    tables.insert("t", Table::current(world.plan(&source).unwrap().shape(), world.snapshot(&source).await));
    let sum: i64 = (0..620_000).map(|id| id % 97).sum::<i64>() - 1 - 11;
    assert_eq!(world.query(sql, &tables).await, [format!("619999|{sum}")]);
}
