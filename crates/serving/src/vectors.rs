//! Features of many keys at once, in columns: of views of one entity or of several.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use karat_core::{Instant, Name, OnlineError, StateOf, Value, WithEach, nearest};
use karat_features::encode_key;
use serde_json::Value as Json;

use crate::deployment::unknown;
use crate::known::TOGETHER;
use crate::request::shorten;
use crate::{Deployment, ServedView, ServingError};

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

/// What is to be read, as of when.
struct Plan {
    readings: IndexMap<Name, Reading>,
    /// The key columns that the views need.
    columns: IndexMap<String, Vec<Value>>,
    rows: usize,
    as_of: Instant,
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
        let plan = self.plan(wanted, keys)?;
        let mut features = plan.features(wanted);
        for rows in plan.stretches() {
            plan.with_states(&rows, |states| {
                plan.fold(&rows, &mut features, |take| self.online().read_each(states, take))
            })?;
        }
        Ok(Vectors { keys: plan.columns, features })
    }

    /// As [`Deployment::vectors`], without keeping the thread while a network is waited for.
    pub async fn fetch_vectors(
        &self,
        wanted: &[FeatureRef],
        keys: &IndexMap<String, Vec<Json>>,
    ) -> Result<Vectors, ServingError> {
        let plan = self.plan(wanted, keys)?;
        let mut features = plan.features(wanted);
        for rows in plan.stretches() {
            let fetched = plan.with_states(&rows, |states| self.online().fetch(states)).await?;
            plan.fold(&rows, &mut features, |take| {
                fetched.each(take);
                Ok(())
            })?;
        }
        Ok(Vectors { keys: plan.columns, features })
    }

    fn plan(&self, wanted: &[FeatureRef], keys: &IndexMap<String, Vec<Json>>) -> Result<Plan, ServingError> {
        let served = self.served();
        let mut readings: IndexMap<Name, Reading> = IndexMap::new();
        for (place, FeatureRef { view: name, feature }) in wanted.iter().enumerate() {
            let view = served.views.get(name).ok_or_else(|| unknown("feature view", name, served.views.keys()))?;
            let output = output(view, feature)?;
            let reading = || Reading { view: view.clone(), outputs: Vec::new() };
            readings.entry(name.clone()).or_insert_with(reading).outputs.push((place, output));
        }
        let rows = row_count(keys)?;
        let columns = key_columns(&readings, keys)?;
        Ok(Plan { readings, columns, rows, as_of: self.now() })
    }
}

impl Plan {
    /// Those asked for, without their values.
    fn features(&self, wanted: &[FeatureRef]) -> Vec<FeatureVector> {
        wanted.iter().map(|wanted| FeatureVector::of(wanted, self.rows)).collect()
    }

    /// Rows whose states are read at once, of one moment of the online store.
    fn stretches(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.rows;
        (0..rows).step_by(TOGETHER).map(move |start| start..rows.min(start + TOGETHER))
    }

    /// Calls `read` with what the states of some rows lie under, one view after the other: what a store knows of a definition is
    /// looked up once.
    fn with_states<T>(&self, rows: &Range<usize>, read: impl FnOnce(&[StateOf<'_>]) -> T) -> T {
        let mut keys = Vec::with_capacity(rows.len() * self.readings.len());
        for Reading { view, .. } in self.readings.values() {
            let own: Vec<_> = view.key_columns().iter().map(|column| &self.columns[column.name.as_str()]).collect();
            keys.extend(rows.clone().map(|row| encode_key(own.iter().map(|column| &column[row]))));
        }
        let asked = keys.iter().enumerate().map(|(place, key)| {
            let definition = &self.readings[place / rows.len()].view.read.definition;
            StateOf { definition, key }
        });
        read(&asked.collect::<Vec<_>>())
    }

    /// The features of some rows, each view's by its own key, from what `each` is called with.
    fn fold(
        &self,
        rows: &Range<usize>,
        features: &mut [FeatureVector],
        each: impl FnOnce(WithEach<'_>) -> Result<(), OnlineError>,
    ) -> Result<(), ServingError> {
        let mut folded = 0;
        let mut failed = None;
        each(&mut |place, note, state| {
            if failed.is_some() || place != folded {
                return;
            }
            let (reading, row) = (&self.readings[place / rows.len()], rows.start + place % rows.len());
            match reading.view.read.fold(note, state, self.as_of) {
                Ok((found, _)) => {
                    folded += 1;
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
        match (failed, self.readings.get_index(folded / rows.len())) {
            (Some(error), _) => Err(error),
            (None, Some((view, _))) => Err(ServingError::NotMaterialized { view: view.to_string() }),
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
    readings: &IndexMap<Name, Reading>,
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
