use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use karat_core::{Column, DataType, Schema};
use karat_query::{LeftOut, LeftOutBy, Table, Tables, plan_sql};
use proptest::prelude::*;
use serde_json::json;

use crate::world::{World, accepted, day, name, source};

fn schemas() -> BTreeMap<karat_core::Name, Schema> {
    let column = Column::new;
    BTreeMap::from([
        (
            name("a"),
            Schema::new(vec![column("ID", DataType::Int), column("Born", DataType::Date), column("t", DataType::Text)]),
        ),
        (name("b"), Schema::new(vec![column("ID", DataType::Int), column("x.y", DataType::Float)])),
    ])
}

#[test]
fn queries_are_planned_into_karats_types() {
    let plan = |sql: &str| {
        plan_sql(sql, &schemas()).map(|schema| {
            schema
                .columns()
                .iter()
                .map(|column| format!("{}: {}", column.name, column.data_type))
                .collect::<Vec<_>>()
                .join(", ")
        })
    };
    assert_eq!(plan("SELECT * FROM a").unwrap(), "ID: int, Born: date, t: text");
    assert_eq!(
        plan(
            r#"SELECT a.ID, upper(t) AS T, "x.y", count(*) OVER () AS n, row_number() OVER (ORDER BY a._row) - 1 AS r
                FROM a JOIN b USING (ID)"#
        )
        .unwrap(),
        "ID: int, T: text, x.y: float, n: int, r: float"
    );
    assert_eq!(
        plan("SELECT Born + INTERVAL '1 month' AS later, CAST(t AS INT) AS i FROM a").unwrap(),
        "later: date, i: int"
    );
    let error = |sql: &str| plan(sql).unwrap_err().to_string();
    assert_eq!(error("SELECT a.ID, b.ID FROM a, b"), "two columns are called `ID`: give one another name with AS");
    assert_eq!(
        error("SELECT ID + 1 FROM a"),
        "the column `a.ID + Int64(1)` has no name of its own: add `AS some_name`"
    );
    assert!(error("SELECT [1, 2] AS l FROM a").contains("has no place here: CAST it"));
    assert!(error("SELECT IDD FROM a").contains("IDD"));
    assert!(error("SELECT * FROM c").contains("c"));
    for forbidden in [
        "DROP TABLE a",
        "COPY a TO 'x.csv'",
        "CREATE TABLE z AS SELECT 1 AS x",
        "SET x = 1",
        "INSERT INTO a VALUES (1)",
    ] {
        assert!(plan(forbidden).is_err(), "{forbidden}");
    }
}

/// `None` is null.
type Keys = Vec<Option<i64>>;

fn table(keys: &Keys) -> Table {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("k", Arc::new(Int64Array::from(keys.clone()))),
        ("n", Arc::new(Int64Array::from_iter_values(0..keys.len() as i64))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    Table::batches(batch.schema(), vec![batch]).unwrap()
}

fn keys() -> impl Strategy<Value = Keys> {
    proptest::collection::vec(proptest::option::weighted(0.9, 0..8i64), 0..20)
}

async fn left_out(sql: &str, tables: &[(&str, &Keys)]) -> (usize, Vec<LeftOut>) {
    let mut world = World::new().await;
    world.tables = Tables::new();
    for (table_name, keys) in tables {
        world.tables.insert(*table_name, table(keys));
        let schema = Schema::new(vec![Column::new("k", DataType::Int), Column::new("n", DataType::Int)]);
        world.upstream.insert(name(table_name), schema);
    }
    let source = source(json!({"name": "j", "sql": sql, "keys": ["x", "y"], "keep": false}));
    let staged = world.stage(&source).await;
    (accepted(&staged).len(), staged.report.left_out)
}

/// Rows of `left` without a partner: their number and how many keys they have.
fn without_partner(left: &Keys, right: &Keys) -> (u64, u64) {
    let right: BTreeSet<i64> = right.iter().flatten().copied().collect();
    let alone: Vec<&Option<i64>> = left.iter().filter(|key| key.is_none_or(|key| !right.contains(&key))).collect();
    let distinct: BTreeSet<i64> = alone.iter().filter_map(|key| **key).collect();
    (alone.len() as u64, distinct.len() as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn joins_are_reconciled(left in keys(), right in keys(), form in 0..3usize) {
        let sql = [
            "SELECT a.n AS x, b.n AS y FROM a JOIN b USING (k)",
            "SELECT a.n AS x, b.n AS y FROM a INNER JOIN b ON b.k = a.k",
            "SELECT a.n AS x, b.n AS y FROM a, b WHERE a.k = b.k",
        ][form];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (rows, found) = runtime.block_on(left_out(sql, &[("a", &left), ("b", &right)]));
        let pairs = left.iter().flat_map(|l| right.iter().filter(move |r| l.is_some() && l == *r)).count();
        prop_assert_eq!(rows, pairs);
        let mut wanted = Vec::new();
        for (side, this, other) in [("a", &left, &right), ("b", &right, &left)] {
            let (rows, keys) = without_partner(this, other);
            if rows > 0 {
                wanted.push((side.to_owned(), rows, keys, this.len() as u64));
            }
        }
        prop_assert!(found.iter().all(|f| f.by == LeftOutBy::Join && f.key_columns == ["k"]));
        let mut found: Vec<_> = found.into_iter().map(|f| (f.side, f.rows, f.keys, f.of_rows)).collect();
        found.sort();
        prop_assert_eq!(found, wanted);
    }
}

#[tokio::test]
async fn filters_and_joins_of_joins_are_counted_outer_joins_are_not() {
    let (a, b, c) = (vec![Some(1), Some(2), Some(3), None], vec![Some(2), Some(3), Some(3)], vec![Some(3), Some(9)]);
    let tables = [("a", &a), ("b", &b), ("c", &c)];
    let short = |found: Vec<LeftOut>| -> Vec<String> {
        found.iter().map(|f| format!("{:?} {}: {} of {}, {} keys", f.by, f.side, f.rows, f.of_rows, f.keys)).collect()
    };
    let (rows, found) = left_out("SELECT a.n AS x, b.n AS y FROM a LEFT JOIN b ON a.k = b.k", &tables).await;
    assert_eq!((rows, short(found)), (5, vec![]));
    let (rows, found) = left_out("SELECT a.n AS x, b.n AS y FROM a JOIN b ON a.k = b.k WHERE b.n > 1", &tables).await;
    assert_eq!(rows, 1);
    assert_eq!(short(found), ["Join a: 2 of 4, 1 keys", "Filter a, b: 2 of 3, 0 keys"]);
    let sql = "SELECT a.n AS x, c.n AS y FROM a JOIN b ON a.k = b.k JOIN c ON c.k = b.k";
    let (rows, found) = left_out(sql, &tables).await;
    assert_eq!(rows, 2);
    assert_eq!(short(found), ["Join a, b: 1 of 3, 1 keys", "Join c: 1 of 2, 1 keys", "Join a: 2 of 4, 1 keys"]);
    // Neither side has twelve rows: what the condition drops are pairs.
    for sql in
        ["SELECT a.n AS x, b.n AS y FROM a JOIN b ON a.n < b.n", "SELECT a.n AS x, b.n AS y FROM a, b WHERE a.n < b.n"]
    {
        let (rows, found) = left_out(sql, &tables).await;
        assert_eq!((rows, short(found)), (3, vec!["Pairs a, b: 9 of 12, 0 keys".to_owned()]), "{sql}");
    }
}

#[tokio::test]
async fn sql_sources_read_current_rows_and_go_on_like_files() {
    let mut world = World::new().await;
    world.write("clients.csv", "id,car\n2,N\n1,Y\n3,Y\n");
    let clients = source(
        json!({"name": "clients", "path": "clients.csv", "keys": ["id"], "columns": [["id", "int"], ["car", "text"]]}),
    );
    let loans = source(json!({
        "name": "loans", "keys": ["number"],
        "sql": "SELECT row_number() OVER (ORDER BY _row) AS number, id, car FROM clients ORDER BY _row",
        "prepare": [["has_car", "car = 'Y'"]], "drop": ["car"],
        "contract": [{"check": "range", "column": "number", "max": 3}, {"check": "range", "column": "id", "max": 2}],
    }));
    world.ingest(&clients, day(1)).await;
    world.publish(&clients).await;
    let staged = world.stage(&loans).await;
    assert_eq!(accepted(&staged), ["1|2|false|1", "2|1|true|2"]);
    assert_eq!(crate::world::quarantined(&staged), ["sql:3 id=3 range: above 2"]);
    let first = staged.delivery.clone();
    world.ingest(&loans, day(2)).await;
    assert_eq!(world.ingest(&loans, day(3)).await.commit, None);
    world.write("clients.csv", "id,car\n2,Y\n1,Y\n");
    world.ingest(&clients, day(4)).await;
    world.publish(&clients).await;
    assert_ne!(world.stage(&loans).await.delivery, first);
    let counts = world.ingest(&loans, day(5)).await.counts;
    assert_eq!((counts.revised, counts.unchanged, counts.quarantined), (1, 1, 0));
    assert_eq!(world.current(&loans, "number, id, has_car").await, ["1|2|true", "2|1|true"]);
    world.publish(&loans).await;
    let rows =
        world.query("SELECT count(*) AS n FROM loans JOIN clients USING (id) WHERE has_car", &world.tables).await;
    assert_eq!(rows, ["2"]);
}

#[tokio::test]
async fn a_join_larger_than_memory_goes_to_disk() {
    let world = World::with_memory(64 << 20).await;
    let mut tables = Tables::new();
    for (table_name, step) in [("a", 1), ("b", 2)] {
        let ids: Vec<i64> = (0..200_000).map(|id| id * step).collect();
        let batches = ids.chunks(8192).map(|ids| {
            let texts = ids.iter().map(|id| format!("{id:0300}"));
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("id", Arc::new(Int64Array::from(ids.to_vec()))),
                ("text", Arc::new(arrow::array::StringArray::from_iter_values(texts))),
            ];
            RecordBatch::try_from_iter(columns).unwrap()
        });
        let batches: Vec<RecordBatch> = batches.collect();
        tables.insert(table_name, Table::batches(batches[0].schema(), batches).unwrap());
    }
    let sql = "SELECT count(*) AS n, min(a.text) AS low, max(b.text) AS high FROM a JOIN b ON a.id = b.id AND a.text = b.text";
    let rows = world.query(sql, &tables).await;
    assert_eq!(rows, [format!("100000|{:0300}|{:0300}", 0, 199_998)]);
}
