//! The committed fixtures of `fixtures/python/make.py`: an oracle independent of our build of LightGBM.

use std::path::{Path, PathBuf};

use karat_model::{Explainer, Interleaved, TreeScorer, Trees};

use crate::explaining::assert_close;
use crate::scoring::assert_same_bits;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python")
}

#[derive(serde::Deserialize)]
struct Expected {
    rows: Vec<Vec<Option<f64>>>,
    raw: Vec<Vec<f64>>,
    predicted: Vec<Vec<f64>>,
    contributions: Vec<Vec<f64>>,
}

#[test]
fn pythons_numbers() {
    for name in ["binary", "zero_as_missing", "monotone", "multiclass", "forest", "regression"] {
        let text = std::fs::read_to_string(folder().join(name).with_extension("txt")).unwrap();
        let json = std::fs::read(folder().join(name).with_extension("json")).unwrap();
        let expected: Expected = serde_json::from_slice(&json).unwrap();
        let trees = Trees::parse(&text).unwrap();
        let engine = Interleaved::new(&trees);
        let explainer = Explainer::new(&trees).unwrap();
        assert_eq!(expected.rows.len(), 40, "{name}");
        for (index, row) in expected.rows.iter().enumerate() {
            let row: Vec<f64> = row.iter().map(|cell| cell.unwrap_or(f64::NAN)).collect();
            let mut raw = vec![0.0; trees.outputs()];
            engine.raw(&row, &mut raw);
            assert_same_bits(&raw, &expected.raw[index]);
            trees.convert(&mut raw);
            assert_close(&raw, &expected.predicted[index], 1e-15);
            let mut contributions = vec![0.0; explainer.width()];
            explainer.contributions(&row, &mut contributions);
            assert_close(&contributions, &expected.contributions[index], 1e-9);
        }
    }
}
