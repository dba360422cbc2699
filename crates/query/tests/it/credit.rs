//! The real data: its traps are caught and counted.

use std::path::PathBuf;
use std::time::Instant;

use karat_query::LeftOutBy;
use serde_json::json;

use crate::world::{World, day, source};

#[tokio::test(flavor = "multi_thread")]
async fn the_traps_in_the_whole_example_are_caught() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/credit-risk/data");
    let data = PathBuf::from(std::env::var("KARAT_CREDIT_DATA").unwrap_or_else(|_| example.to_owned()));
    if !data.join("application_record.csv.zst").exists() {
        assert!(std::env::var_os("CI").is_none(), "the example's data lie in the repository");
        eprintln!("SKIPPED: no credit data in {} (set KARAT_CREDIT_DATA)", data.display());
        return;
    }
    let mut world = World::with_memory(1 << 30).await;
    let started = Instant::now();
    let lap = |what: &str| eprintln!("{what}: {:.1} s", started.elapsed().as_secs_f64());
    let applications = source(json!({
        "name": "applications", "path": data.join("application_record.csv.zst"), "keys": ["client_id"],
        "columns": [["client_id", {"type": "int", "from": "ID"}], ["gender", {"type": "text", "from": "CODE_GENDER"}], ["flag_own_car", {"type": "text", "from": "FLAG_OWN_CAR"}], ["flag_own_realty", {"type": "text", "from": "FLAG_OWN_REALTY"}], ["children", {"type": "int", "from": "CNT_CHILDREN"}], ["income", {"type": "float", "from": "AMT_INCOME_TOTAL"}], ["income_type", {"type": "text", "from": "NAME_INCOME_TYPE"}], ["education", {"type": "text", "from": "NAME_EDUCATION_TYPE"}], ["family_status", {"type": "text", "from": "NAME_FAMILY_STATUS"}], ["housing", {"type": "text", "from": "NAME_HOUSING_TYPE"}], ["days_birth", {"type": "int", "from": "DAYS_BIRTH"}], ["days_employed", {"type": "int", "from": "DAYS_EMPLOYED"}], ["flag_mobil", {"type": "bool", "from": "FLAG_MOBIL"}], ["flag_work_phone", {"type": "bool", "from": "FLAG_WORK_PHONE"}], ["flag_phone", {"type": "bool", "from": "FLAG_PHONE"}], ["flag_email", {"type": "bool", "from": "FLAG_EMAIL"}], ["occupation_type", {"type": "text", "from": "OCCUPATION_TYPE"}], ["family_members", {"type": "float", "from": "CNT_FAM_MEMBERS"}]],
        "prepare": [["birthday", "add_days(DATE '2021-09-17', days_birth)"], ["job_start_date", "add_days(DATE '2021-09-17', days_employed)"]],
        "drop": ["days_birth", "days_employed"],
        "contract": [
            {"check": "unique", "columns": ["client_id"]},
            {"check": "range", "column": "job_start_date", "max": "2021-09-17", "action": "set_null"},
        ],
    }));
    let delivered = world.ingest(&applications, day(18_900)).await;
    lap("applications ingested");
    assert_eq!(
        (delivered.counts.read, delivered.counts.accepted, delivered.counts.quarantined),
        (438_557, 438_510, 47)
    );
    let report = world.stage(&applications).await.report;
    lap("applications checked");
    assert_eq!((report.rules[0].failed, report.rules[1].failed), (47, 75_324));
    world.publish(&applications).await;

    let credit = source(json!({
        "name": "credit", "path": data.join("credit_record.csv.zst"), "keys": ["client_id", "month"],
        "columns": [["client_id", {"type": "int", "from": "ID"}], ["month", {"type": "int", "from": "MONTHS_BALANCE"}], ["status", {"type": "text", "from": "STATUS"}]],
        "contract": [
            {"check": "allowed", "column": "status", "values": ["C", "X", "0", "1", "2", "3", "4", "5"], "action": "fail"},
            {"check": "relation", "column": "client_id", "source": "applications", "action": "warn"},
        ],
    }));
    let staged = world.stage(&credit).await;
    assert_eq!(staged.report.rules[1].failed, 270_860);
    assert_eq!(world.ingest(&credit, day(18_900)).await.counts.new, 1_048_575);
    lap("credit ingested");
    world.publish(&credit).await;

    let loans = source(json!({
        "name": "loans", "keys": ["loan_id"],
        "sql": "SELECT 999 + row_number() OVER (ORDER BY a._row, c._row) AS loan_id, client_id, month, \
                CASE WHEN status IN ('1', '2', '3', '4', '5') THEN 1 ELSE 0 END AS late, birthday, job_start_date, flag_own_car \
                FROM applications a JOIN credit c USING (client_id)",
        "contract": [{"check": "row_count", "min": 777_715, "max": 777_715, "action": "fail"}],
    }));
    let staged = world.stage(&loans).await;
    lap("loans joined");
    assert_eq!(staged.report.refusal(), None);
    let left_out = &staged.report.left_out;
    assert!(left_out.iter().all(|left_out| left_out.by == LeftOutBy::Join && left_out.key_columns == ["client_id"]));
    let find = |side: &str| left_out.iter().find(|left_out| left_out.side == side).unwrap();
    assert_eq!((find("credit").rows, find("credit").keys, find("credit").of_rows), (270_860, 9_528, 1_048_575));
    let applications_left = find("applications");
    assert_eq!((applications_left.rows, applications_left.keys), (438_510 - 36_457, 438_510 - 36_457));
    assert_eq!(world.ingest(&loans, day(18_900)).await.counts.new, 777_715);
    lap("loans ingested");
    assert_eq!(world.ingest(&loans, day(18_901)).await.commit, None);
    lap("loans ingested again");
    world.publish(&loans).await;
    let sql = "SELECT count(*) AS n, count(DISTINCT client_id) AS c, avg(late) AS late, min(client_id) AS a, max(client_id) AS b FROM loans";
    assert_eq!(world.query(sql, &world.tables).await, ["777715|36457|0.01488334415563542|5008804|5150487"]);
    lap("done");
}
