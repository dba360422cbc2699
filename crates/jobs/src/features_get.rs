//! The features of one key, from history: as of any instant, as known at any other.

use anyhow::Result;
use arrow::array::{AsArray, Int64Array};
use indexmap::IndexMap;
use karat_core::{Digest, Instant, Name, Value, key};
use karat_features::Spine;
use serde::Serialize;

use crate::Workspace;
use crate::catalog::key_arrays;
use crate::materialize::check_names;
use crate::training_set::as_of_pass;

#[derive(Debug, Serialize)]
pub struct KeyFeatures {
    pub view: Name,
    pub key: serde_json::Value,
    pub as_of: Instant,
    pub known_at: Instant,
    pub no_history: bool,
    pub features: IndexMap<String, serde_json::Value>,
    pub definition: Digest,
    /// The newest commit of the view's source that was read.
    pub commit: u64,
}

/// Applies and ingests what is new, then reads. `known_at` is as_of when it is left out.
pub async fn run(
    workspace: &Workspace,
    view: &str,
    key: &str,
    as_of: Option<Instant>,
    known_at: Option<Instant>,
) -> Result<KeyFeatures> {
    crate::ingest::ensure_or_say(workspace).await?;
    let catalog = workspace.catalog()?;
    check_names(&catalog, &[view.to_owned()])?;
    let planned = &catalog.views[view];
    let key = planned.key(key)?;
    let as_of = as_of.unwrap_or_else(|| workspace.clock.now());
    let known_at = known_at.unwrap_or(as_of);
    let spine = Spine {
        keys: key_arrays(planned.view.key_columns(), [key.as_slice()]),
        as_of: Int64Array::from(vec![as_of.micros()]),
        known_at: Some(Int64Array::from(vec![known_at.micros()])),
        since: None,
    };
    let (row, commit) = as_of_pass(workspace, &planned.view, &spine, None).await?;
    let outputs = planned.view.outputs();
    let features = outputs.iter().enumerate();
    Ok(KeyFeatures {
        view: planned.spec.name.clone(),
        key: key::to_json(planned.view.key_columns(), &key),
        as_of,
        known_at,
        no_history: row.column(outputs.len()).as_boolean().value(0),
        features: features
            .map(|(i, output)| (output.name.clone(), Value::from_array(row.column(i), 0).to_json()))
            .collect(),
        definition: planned.digest.clone(),
        commit,
    })
}
