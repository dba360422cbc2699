//! Uniqueness is exact whether or not it fits in memory.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::json;

use crate::world::{World, accepted, quarantined, source};

fn keys() -> impl Strategy<Value = Vec<(Option<u16>, String)>> {
    proptest::collection::vec((proptest::option::weighted(0.9, 0..400u16), "[ab]{0,2}"), 0..1500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_first_row_stays(rows in keys(), small in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // The smaller budget sends keys and rows to disk after the first batch or two, and splits partitions again.
            let world = World::with_memory(if small { 2048 } else { 64 << 20 }).await;
            // Several files, since a file's rows are a batch at least.
            let mut wanted = Vec::new();
            let mut repeated = Vec::new();
            let mut seen = HashSet::new();
            for (index, chunk) in rows.chunks(100).enumerate() {
                let mut text = "a,b,v\n".to_owned();
                for (line, (a, b)) in chunk.iter().enumerate() {
                    let cell = a.map_or(String::new(), |a| a.to_string());
                    text += &format!("{cell},{b},1\n");
                    let place = format!("in/{index:03}.csv:{}", line + 2);
                    // An empty text is null here, as in the file.
                    if seen.insert((a, b)) { wanted.push(cell) } else { repeated.push(place) }
                }
                world.write(&format!("in/{index:03}.csv"), text);
            }
            if rows.is_empty() {
                world.write("in/000.csv", "a,b,v\n");
            }
            let source = source(json!({
                "name": "u", "path": "in/*.csv", "delivery": "append", "columns": [["a", "int"], ["b", "text"], ["v", "int"]],
                "contract": [
                    {"check": "unique", "columns": ["a", "b"]},
                    {"check": "unique", "columns": ["b", "a"]},
                    {"check": "range", "column": "v", "max": 0, "action": "warn"},
                ],
            }));
            let staged = world.stage(&source).await;
            let got: Vec<String> = accepted(&staged)
                .iter()
                .map(|row| row.split('|').next().unwrap().replace("null", ""))
                .collect();
            prop_assert_eq!(&got, &wanted);
            let places: Vec<String> =
                quarantined(&staged).iter().map(|row| row.split(' ').next().unwrap().to_owned()).collect();
            prop_assert_eq!(&places, &repeated);
            prop_assert_eq!(staged.report.rules[1].failed, 0);
            prop_assert_eq!(staged.report.rules[2].failed, wanted.len() as u64);
            Ok(())
        })?;
    }
}
