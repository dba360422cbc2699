//! What a service answers, and what stands in for it, as rows of its source.

use anyhow::{Context, Result};
use indexmap::IndexMap;
use karat_core::{Column, Instant, Name, Value};
use karat_outbound::Failure;
use karat_project::spec::{Lookup, Source};
use karat_query::{RowFault, SourcePlan, value_at};
use serde_json::{Map, Value as Json};

#[derive(Debug, Clone)]
pub(super) struct Rows {
    source: Source,
    /// The columns a service is asked by.
    pub key: Vec<Column>,
    event_time: String,
    pub lookup: Lookup,
}

impl Rows {
    /// `None` for a source that is not looked up.
    pub fn of(plan: &SourcePlan) -> Result<Option<Rows>> {
        let source = plan.source();
        let Some(lookup) = &source.lookup else { return Ok(None) };
        let column = |name: String| {
            let column = plan.schema().columns().iter().find(|column| column.name == name).cloned();
            column.with_context(|| format!("source {} has no column `{name}`", source.name))
        };
        let key = lookup.asked_by().into_iter().map(column).collect::<Result<_>>()?;
        let event_time = source.event_time.clone().context("a look-up has an `event_time`")?;
        Ok(Some(Rows { source: source.clone(), key, event_time, lookup: lookup.clone() }))
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    pub fn name(&self) -> &Name {
        &self.source.name
    }

    /// The key's values in the order of the columns asked by; `None` where one is missing.
    pub fn key_of(&self, columns: &[(&str, &Value)]) -> Option<Vec<Value>> {
        let value =
            |column: &Column| columns.iter().find(|(name, _)| *name == column.name).map(|(_, value)| (*value).clone());
        self.key.iter().map(value).collect()
    }

    /// As a service is asked.
    pub fn named<'k>(&'k self, key: &'k [Value]) -> Vec<(&'k str, &'k Value)> {
        self.key.iter().map(|column| column.name.as_str()).zip(key).collect()
    }

    /// The row of what a service answered, an answer being also that it does not know the key, where the source says so.
    pub fn answered(
        &self,
        key: &[Value],
        at: Instant,
        answered: Result<Map<String, Json>, Failure>,
    ) -> Result<Json, Failure> {
        match (answered, &self.lookup.not_found) {
            (Ok(answer), _) => self.of_answer(key, at, answer),
            (Err(Failure::Status(404)), Some(values)) => Ok(self.of_values(key, at, values, None)),
            (Err(failure), _) => Err(failure),
        }
    }

    /// What a service said of a key, at an instant: of all it said, the columns that the source declares.
    fn of_answer(&self, key: &[Value], at: Instant, answer: Map<String, Json>) -> Result<Json, Failure> {
        let answer = Json::Object(answer);
        let mut row = self.known(key, at, Json::Null);
        let mut said = false;
        for (name, spec) in self.source.columns.iter() {
            let place = spec.file_name(name);
            if !row.contains_key(place)
                && let Some(value) = value_at(&answer, place)
            {
                said = true;
                row.insert(place.to_owned(), value.clone());
            }
        }
        match said {
            true => Ok(Json::Object(row)),
            false => Err(Failure::Answer("its answer has none of the source's columns".to_owned())),
        }
    }

    /// What stands in for an answer. `failure` is why, unless it is what the service meant.
    pub fn of_values(
        &self,
        key: &[Value],
        at: Instant,
        values: &IndexMap<String, Json>,
        failure: Option<&str>,
    ) -> Json {
        let mut row = self.known(key, at, failure.map_or(Json::Null, Json::from));
        for (name, value) in values {
            let place = self.source.columns.get(name).map_or(name.as_str(), |spec| spec.file_name(name));
            row.insert(place.to_owned(), value.clone());
        }
        Json::Object(row)
    }

    fn known(&self, key: &[Value], at: Instant, failure: Json) -> Map<String, Json> {
        let place = |name: &str| self.source.columns.get(name).map_or(name, |spec| spec.file_name(name)).to_owned();
        let mut row: Map<String, Json> =
            self.key.iter().zip(key).map(|(column, value)| (place(&column.name), value.to_json())).collect();
        row.insert(place(&self.event_time), at.to_string().into());
        row.insert(place(Lookup::FAILURE), failure);
        row
    }

    /// Why a row was not accepted, without its values: they are a service's.
    pub fn words(&self, faults: &[RowFault]) -> String {
        let Some(fault) = faults.first() else { return "its answer was not accepted".to_owned() };
        let column = fault.column.as_deref().unwrap_or("answer");
        match self.source.columns.get(column) {
            Some(spec) if fault.check == "read" => format!("its `{column}` is no {}", spec.data_type()),
            _ => format!("its `{column}` fails the check `{}`", fault.check),
        }
    }
}
