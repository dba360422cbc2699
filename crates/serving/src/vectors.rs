//! Features of many keys at once, in columns: of views of one entity or of several.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use karat_core::{Instant, Name, StateOf, Value, nearest};
use karat_features::encode_key;
use serde_json::Value as Json;

use crate::deployment::unknown;
use crate::request::shorten;
use crate::{Deployment, ServedView, ServingError};

/// Rows whose states are read at once: one round trip to a store that is remote, which others wait for.
const ROWS: usize = 256;

/// One feature of a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeatureRef {
    pub view: Name,
    pub feature: String,
}

/// What was asked for, row by row: every column has one cell a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// The key columns by name, in the order given.
    pub keys: IndexMap<String, Vec<Value>>,
    /// In the order asked for.
    pub features: Vec<FeatureVector>,
}

/// One feature of every row.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureVector {
    pub wanted: FeatureRef,
    pub values: Vec<Value>,
    /// By row, the time of the latest visible event; `None` where there is no history, or events have no time.
    pub newest: Vec<Option<Instant>>,
    /// By row, whether the key had a visible event.
    pub found: Vec<bool>,
}

/// A view some of whose features are wanted.
struct Reading {
    view: Arc<ServedView>,
    /// Places among the features asked for, and among the view's outputs.
    outputs: Vec<(usize, usize)>,
}

impl Deployment {
    /// The features of a service, in its order.
    pub fn service(&self, name: &str) -> Result<Vec<FeatureRef>, ServingError> {
        let served = self.served();
        let service = served.services.get(name).cloned();
        service.ok_or_else(|| unknown("feature service", name, served.services.keys()))
    }

    /// The features of each row of keys as of now; `keys` are columns by the names of the entities' keys.
    pub fn vectors(&self, wanted: &[FeatureRef], keys: &IndexMap<String, Vec<Json>>) -> Result<Vectors, ServingError> {
        let served = self.served();
        let mut readings: IndexMap<&Name, Reading> = IndexMap::new();
        for (place, FeatureRef { view: name, feature }) in wanted.iter().enumerate() {
            let view = served.views.get(name).ok_or_else(|| unknown("feature view", name, served.views.keys()))?;
            let output = output(view, feature)?;
            let reading = || Reading { view: view.clone(), outputs: Vec::new() };
            readings.entry(name).or_insert_with(reading).outputs.push((place, output));
        }
        let rows = row_count(keys)?;
        let columns = key_columns(&readings, keys)?;
        let mut features: Vec<FeatureVector> = wanted.iter().map(|wanted| FeatureVector::of(wanted, rows)).collect();
        let as_of = self.now();
        for start in (0..rows).step_by(ROWS) {
            self.read_rows(start..rows.min(start + ROWS), &columns, &readings, as_of, &mut features)?;
        }
        Ok(Vectors { keys: columns, features })
    }

    /// The features of some rows, each view's by its own key, all of one moment of the online store.
    fn read_rows(
        &self,
        rows: Range<usize>,
        columns: &IndexMap<String, Vec<Value>>,
        readings: &IndexMap<&Name, Reading>,
        as_of: Instant,
        features: &mut [FeatureVector],
    ) -> Result<(), ServingError> {
        let mut keys = Vec::with_capacity(rows.len() * readings.len());
        for reading in readings.values() {
            let own: Vec<_> = reading.view.key_columns().iter().map(|column| &columns[column.name.as_str()]).collect();
            keys.extend(rows.clone().map(|row| encode_key(own.iter().map(|column| &column[row]))));
        }
        // One view after the other: what a store knows of a definition is looked up once.
        let asked = keys.iter().enumerate().map(|(place, key)| {
            let definition = &readings[place / rows.len()].view.read.definition;
            StateOf { definition, key }
        });
        let asked: Vec<StateOf<'_>> = asked.collect();
        let mut read = 0;
        let mut failed = None;
        self.online().read_each(&asked, &mut |place, note, state| {
            if failed.is_some() || place != read {
                return;
            }
            let (reading, row) = (&readings[place / rows.len()], rows.start + place % rows.len());
            match reading.view.read.fold(note, state, as_of) {
                Ok((found, _)) => {
                    read += 1;
                    for (feature, output) in &reading.outputs {
                        let vector = &mut features[*feature];
                        vector.values[row] = found.values[*output].clone();
                        vector.newest[row] = found.newest_event;
                        vector.found[row] = !found.no_history;
                    }
                }
                Err(error) => failed = Some(error),
            }
        })?;
        match (failed, readings.get_index(read / rows.len())) {
            (Some(error), _) => Err(error),
            (None, Some((_, missing))) => Err(ServingError::NotMaterialized { view: missing.view.name.to_string() }),
            (None, None) => Ok(()),
        }
    }
}

impl FeatureVector {
    fn of(wanted: &FeatureRef, rows: usize) -> FeatureVector {
        FeatureVector {
            wanted: wanted.clone(),
            values: vec![Value::Null; rows],
            newest: vec![None; rows],
            found: vec![false; rows],
        }
    }
}

fn output(view: &ServedView, feature: &str) -> Result<usize, ServingError> {
    let outputs = view.read.view.outputs();
    outputs.iter().position(|output| output.name == feature).ok_or_else(|| {
        let names = || outputs.iter().map(|output| output.name.as_str());
        let hint = match nearest(feature, names()) {
            Some(like) => format!("did you mean `{like}`?"),
            None => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
        };
        ServingError::UnknownFeature { view: view.name.to_string(), feature: shorten(feature), hint }
    })
}

/// How many rows the columns have, all the same.
fn row_count(keys: &IndexMap<String, Vec<Json>>) -> Result<usize, ServingError> {
    let rows = keys.values().next().map_or(0, Vec::len);
    match keys.iter().find(|(_, column)| column.len() != rows) {
        None => Ok(rows),
        Some((name, column)) => Err(ServingError::Field {
            field: shorten(name),
            message: format!("`{}` has {} values, the first column has {rows}", shorten(name), column.len()),
        }),
    }
}

/// The columns that the views need, as values of their keys' types.
fn key_columns(
    readings: &IndexMap<&Name, Reading>,
    keys: &IndexMap<String, Vec<Json>>,
) -> Result<IndexMap<String, Vec<Value>>, ServingError> {
    let mut columns = IndexMap::new();
    for Reading { view, .. } in readings.values() {
        for column in view.key_columns() {
            if columns.contains_key(&column.name) {
                continue;
            }
            let given = keys.get(&column.name).ok_or_else(|| ServingError::MissingKey {
                view: view.name.to_string(),
                key: column.name.clone(),
                given: keys.keys().map(|name| shorten(name)).collect(),
            })?;
            let value = |json: &Json| {
                let read = Value::from_json(json, column.data_type).ok().filter(|value| !value.is_null());
                read.ok_or_else(|| ServingError::Field {
                    field: column.name.clone(),
                    message: format!("`{}`: {} is no {}", column.name, shorten(&json.to_string()), column.data_type),
                })
            };
            columns.insert(column.name.clone(), given.iter().map(value).collect::<Result<Vec<Value>, _>>()?);
        }
    }
    Ok(columns)
}
