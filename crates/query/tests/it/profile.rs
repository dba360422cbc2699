//! Profiles against what a plain count over the same rows says.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use karat_core::profile::{ColumnProfile, Label, Profile};
use karat_query::{NoLabel, NoProgress, Occasion, TrainingLabel, profile};
use serde_json::json;

use crate::world::{World, day, name, source};

/// Every row with an even `id` trains.
#[derive(Default)]
struct Even {
    rows: u64,
    positives: u64,
    left_out: u64,
}

impl TrainingLabel for Even {
    fn described(&self) -> Option<Label> {
        Some(Label {
            model: name("m"),
            column: "late".to_owned(),
            rows: self.rows,
            positives: self.positives,
            left_out: self.left_out,
        })
    }

    fn of(&mut self, batch: &RecordBatch) -> Result<Vec<Option<bool>>, String> {
        let ids = batch.column_by_name("id").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
        let late = batch.column_by_name("late").unwrap().as_boolean();
        let labels = (0..batch.num_rows()).map(|row| (ids.value(row) % 2 == 0).then(|| late.value(row)));
        let labels: Vec<Option<bool>> = labels.collect();
        self.left_out += labels.iter().filter(|label| label.is_none()).count() as u64;
        self.rows += labels.iter().flatten().count() as u64;
        self.positives += labels.iter().flatten().filter(|label| **label).count() as u64;
        Ok(labels)
    }
}

async fn profiled(world: &World, json: serde_json::Value, label: &mut dyn TrainingLabel) -> Profile {
    let source = source(json);
    let plan = world.plan(&source).unwrap();
    let occasion = Occasion::first(day(20_000));
    let profiling = profile(&world.engine, &plan, &world.tables, occasion, Arc::new(NoProgress)).await.unwrap();
    let report = &profiling.staged.report;
    assert_eq!(report.read, report.accepted + report.quarantined);
    profiling.finish(label).unwrap()
}

fn column<'a>(profile: &'a Profile, name: &str) -> &'a ColumnProfile {
    profile.columns.iter().find(|column| column.name == name).unwrap()
}

const ROWS: i64 = 3_000;

/// Amounts 0.5, 1.5 … in a scrambled order, every tenth missing; one amount below 0, one row twice, one unreadable.
fn loans(world: &World) -> serde_json::Value {
    let mut text = "id,month,amount,region,late\n".to_owned();
    for id in 0..ROWS {
        let amount = if id % 10 == 3 { String::new() } else { format!("{}.5", id * 7 % ROWS) };
        let month = 1 + id % 6;
        let region = ["north", "south", "east"][(id % 7 % 3) as usize];
        // Late where the amount is great, or missing every other time.
        let late = if id % 10 == 3 { id % 20 == 3 } else { id * 7 % ROWS >= 2_400 };
        text.push_str(&format!("{id},2021-{month:02}-15,{amount},{region},{late}\n"));
    }
    text.push_str("0,2021-01-15,0.5,north,false\n9001,2021-01-15,-4,north,false\n9002,2021-01-15,much,north,false\n");
    world.write("loans.csv", text);
    json!({
        "name": "loans", "path": "loans.csv",
        "columns": {"id": "int", "month": "date", "amount": "float", "region": "text", "late": "bool"},
        "prepare": {"double": "amount * 2"},
        "keys": ["id"], "event_time": "month",
        "contract": [
            {"check": "unique", "columns": ["id"]},
            {"check": "range", "column": "amount", "min": 0, "action": "quarantine"},
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_rows() {
    let world = World::new().await;
    let profile = profiled(&world, loans(&world), &mut NoLabel).await;
    let rows = ROWS as u64;
    assert_eq!((profile.readable, profile.accepted, profile.repeated_rows), (rows + 2, rows, 1));
    assert_eq!(profile.repeated_keys.as_ref().unwrap().rows, 1);
    let months: Vec<(&str, u64)> = profile.months.iter().map(|month| (month.month.as_str(), month.rows)).collect();
    assert_eq!(months[0], ("2021-01", 500));
    assert_eq!(months.len(), 6);

    let amount = column(&profile, "amount");
    let (read, accepted) = (amount.as_read.as_ref().unwrap(), amount.accepted.as_ref().unwrap());
    assert_eq!((read.min.clone(), accepted.min.clone()), (json!(-4.0), json!(0.5)));
    assert_eq!((accepted.nulls, accepted.distinct, accepted.distinct_exact), (300, 2_700, true));
    let values: Vec<f64> = (0..ROWS).filter(|id| id % 10 != 3).map(|id| (id * 7 % ROWS) as f64 + 0.5).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!((accepted.mean.unwrap() / mean - 1.0).abs() < 1e-12);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
    assert!((accepted.std.unwrap() / variance.sqrt() - 1.0).abs() < 1e-12);
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    for quantile in &accepted.quantiles {
        let expected = sorted[((quantile.share * sorted.len() as f64).ceil() as usize).max(1) - 1];
        assert_eq!(quantile.value, json!(expected), "{}", quantile.share);
    }
    assert_eq!(accepted.quantile_error, 0.0);
    assert_eq!(amount.histogram.iter().map(|bin| bin.rows).sum::<u64>(), 2_700);
    for bin in &amount.histogram {
        let (from, to) = (bin.from.as_f64().unwrap(), bin.to.as_f64().unwrap());
        let last = std::ptr::eq(bin, amount.histogram.last().unwrap());
        let held = values.iter().filter(|value| (from..to).contains(*value) || last && **value == to).count();
        assert_eq!(bin.rows, held as u64, "{}", bin.name);
    }
    // What is missing stands in every other month, which tells these apart from the rest.
    for (place, month) in amount.months.iter().enumerate() {
        assert_eq!(month.nulls, [0, 100][place % 2]);
        assert!(if place % 2 == 0 { month.psi > 0.25 } else { month.psi < 0.1 }, "{:?}", amount.months);
    }

    let double = column(&profile, "double");
    assert!(double.as_read.is_none(), "prepare made it");
    assert!((double.accepted.as_ref().unwrap().mean.unwrap() / mean - 2.0).abs() < 1e-12);
    let region = column(&profile, "region").accepted.as_ref().unwrap();
    let tops: Vec<u64> = region.top.iter().map(|top| top.rows).collect();
    assert_eq!((region.distinct, tops.iter().sum::<u64>()), (3, rows));
    assert!(tops.windows(2).all(|pair| pair[0] >= pair[1]));
    assert!(profile.label.is_none() && region.top_error == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_of_training_rows_and_the_labels_own_values_do_not_show() {
    let world = World::new().await;
    let mut even = Even::default();
    let profile = profiled(&world, loans(&world), &mut even).await;
    let label = profile.label.as_ref().unwrap();
    assert_eq!((label.rows, label.left_out), (1_500, 1_500));

    let amount = column(&profile, "amount").label.clone().unwrap();
    let trains = |id: &i64| id % 2 == 0;
    // No even id ends on 3: whatever is missing lies outside the training rows.
    assert!(amount.missing.is_none());
    assert_eq!(amount.bins.iter().map(|bin| bin.rows).sum::<u64>(), 1_500);
    for bin in &amount.bins {
        let (from, to) = (bin.from.as_f64().unwrap(), bin.to.as_f64().unwrap());
        let last = std::ptr::eq(bin, amount.bins.last().unwrap());
        let held: Vec<i64> = (0..ROWS)
            .filter(trains)
            .filter(|id| {
                let value = (id * 7 % ROWS) as f64 + 0.5;
                (from..to).contains(&value) || last && value == to
            })
            .collect();
        let positives = held.iter().filter(|id| *id * 7 % ROWS >= 2_400).count();
        assert_eq!((bin.rows, bin.positives), (held.len() as u64, positives as u64), "{}", bin.name);
    }
    assert!(amount.gives_away && amount.information_value > 0.5, "{amount:?}");
    let region = column(&profile, "region").label.clone().unwrap();
    assert!(!region.gives_away && region.information_value < 0.02, "{region:?}");

    let late = column(&profile, "late");
    assert_eq!(late.roles, ["label"]);
    let told = serde_json::to_value(late).unwrap();
    let keys: BTreeSet<&str> = told["accepted"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["rows", "nulls", "distinct", "distinct_exact", "quantile_error", "top_error"]));
    assert!(late.histogram.is_empty() && late.months.is_empty() && late.label.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_values_are_estimated_within_what_is_said_and_small_memory_changes_no_count() {
    let small = World::with_memory(1 << 20).await;
    let large = World::new().await;
    let rows = 150_000u64;
    let mut text = "id,x,name\n".to_owned();
    for id in 0..rows {
        // Every third name is one of five.
        let name = if id % 3 == 0 { format!("often {}", id % 5) } else { format!("seldom {}", id % 140_000) };
        text.push_str(&format!("{},{}.25,{name}\n", id % 149_990, id * 7_919 % 100_003));
    }
    let json = json!({"name": "many", "path": "many.csv", "columns": {"id": "int", "x": "float", "name": "text"},
                      "delivery": "append"});
    let mut profiles = Vec::new();
    for world in [&small, &large] {
        world.write("many.csv", &text);
        profiles.push(profiled(world, json.clone(), &mut NoLabel).await);
    }
    assert_eq!(profiles[0], profiles[1]);
    let profile = &profiles[0];
    assert_eq!(profile.repeated_rows, 0);
    let x = column(profile, "x").accepted.as_ref().unwrap();
    assert!(!x.distinct_exact && x.distinct.abs_diff(100_003) < 4 * 813, "{}", x.distinct);
    assert!(x.quantile_error > 0.0 && x.quantile_error < 0.003, "{}", x.quantile_error);
    let mut values: Vec<u64> = (0..rows).map(|id| id * 7_919 % 100_003).collect();
    values.sort_unstable();
    for quantile in &x.quantiles {
        let value = quantile.value.as_f64().unwrap().floor() as u64;
        let below = values.partition_point(|other| *other < value) as f64 / rows as f64;
        let upto = values.partition_point(|other| *other <= value) as f64 / rows as f64;
        let slack = x.quantile_error + 1e-9;
        assert!(below - slack <= quantile.share && quantile.share <= upto + slack, "{quantile:?}: {below} {upto}");
    }
    let names = column(profile, "name").accepted.as_ref().unwrap();
    let often: Vec<(String, u64)> =
        names.top.iter().take(5).map(|top| (top.value.as_str().unwrap().to_owned(), top.rows)).collect();
    assert!(often.iter().all(|(name, _)| name.starts_with("often")), "{often:?}");
    for (_, counted) in often {
        assert!(counted <= 10_000 && 10_000 <= counted + names.top_error, "{counted} {}", names.top_error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_columns_have_profiles_too() {
    let world = World::new().await;
    let long = "ž".repeat(5_000);
    world.write("odd.csv", format!("a,b,c,d\n,NaN,{long},3021-09-18\n,inf,{long}x,\n,-inf,,\n,-0.0,,\n"));
    let json = json!({"name": "odd", "path": "odd.csv", "delivery": "append",
                      "columns": {"a": "int", "b": "text", "c": "text", "d": "date"},
                      "prepare": {"b": "CAST(b AS DOUBLE)"}});
    let profile = profiled(&world, json, &mut NoLabel).await;
    let of = |name: &str| column(&profile, name).accepted.as_ref().unwrap();
    assert_eq!((of("a").nulls, of("a").distinct, of("a").mean), (4, 0, None));
    assert_eq!((of("b").nans, of("b").distinct, of("b").min.clone()), (1, 3, json!("-Infinity")));
    assert_eq!(of("b").mean, None, "infinities have none");
    assert_eq!(of("c").distinct, 2, "long texts that differ at their end differ");
    assert!(of("c").top[0].value.as_str().unwrap().len() < 400);
    assert_eq!((of("d").min.clone(), of("d").distinct), (json!("3021-09-18"), 1));
    world.write("none.csv", "a\n");
    let json = json!({"name": "none", "path": "none.csv", "delivery": "append", "columns": {"a": "int"}});
    let profile = profiled(&world, json, &mut NoLabel).await;
    assert_eq!((profile.readable, profile.columns[0].histogram.len()), (0, 0));
}
