//! Values that clients write to a view, as Feast's do: where a view hands on columns of its source as the last event has
//! them, its values at one instant are a row of that source.

use std::collections::{BTreeMap, BTreeSet};

use karat_core::{Column, DataType, Instant, Name, Value, Zone};
use karat_project::spec::{Aggregate, Feature, FeatureKind};
use serde_json::{Map, Value as Json};

use crate::catalog::{PlannedSource, PlannedView};

/// What Feast's clients call the time of a row, and the time from which on it was known.
const EVENT_TIMESTAMP: &str = "event_timestamp";
const CREATED: &str = "created";

/// How values of a view are rows of its source.
#[derive(Debug, Clone)]
pub struct Values {
    pub source: Name,
    /// By the name that a value comes under.
    columns: BTreeMap<String, Column>,
    /// What a row says twice.
    left_out: BTreeSet<String>,
}

impl Values {
    /// An error says why a view's values are no rows.
    pub(super) fn of(view: &PlannedView, source: &PlannedSource) -> Result<Values, String> {
        let (spec, schema) = (source.plan.source(), source.plan.schema());
        if spec.push.is_none() {
            return Err(format!("its source {} takes no pushes: say `push: true` in its file", spec.name));
        }
        let Some(event_time) = &spec.event_time else {
            return Err(format!("its source {} has no `event_time`", spec.name));
        };
        let mut columns = BTreeMap::new();
        let mut left_out = BTreeSet::new();
        for (name, feature) in &view.spec.features {
            let column = handed_on(feature).and_then(|column| schema.column(column));
            let column = column.ok_or_else(|| {
                format!("{name} is computed from events (only `last: COLUMN` hands a value on as it is)")
            })?;
            if spec.prepare.contains_key(&column.name) {
                return Err(format!("`prepare` computes {}, which {name} hands on", column.name));
            }
            if let Some((other, _)) = columns.iter().find(|(_, of): &(_, &Column)| of.name == column.name) {
                return Err(format!("{other} and {name} both hand on {}", column.name));
            }
            match column.name == *event_time {
                true => drop(left_out.insert(name.clone())),
                false => drop(columns.insert(name.clone(), column.clone())),
            }
        }
        let mut time = |name: &str, means: Option<&String>| {
            let is_free = !columns.contains_key(name) && schema.column(name).is_none();
            match means.and_then(|means| schema.column(means)) {
                Some(column) if is_free => drop(columns.insert(name.to_owned(), column.clone())),
                None if is_free => drop(left_out.insert(name.to_owned())),
                _ => {}
            }
        };
        time(EVENT_TIMESTAMP, Some(event_time));
        time(CREATED, spec.known_time.as_ref());
        let keys = view.view.key_columns().iter();
        columns.extend(keys.map(|key| (key.name.clone(), key.clone())));
        Ok(Values { source: spec.name.clone(), columns, left_out })
    }

    pub(super) fn row(&self, values: Map<String, Json>) -> Json {
        let kept = values.into_iter().filter(|(name, _)| !self.left_out.contains(name));
        let cells = kept.map(|(name, value)| match self.columns.get(&name) {
            Some(column) => (column.name.clone(), cell(value, column.data_type)),
            // The source knows its columns, and says what it does not know.
            None => (name, value),
        });
        Json::Object(cells.collect())
    }
}

/// The column that a feature is the last value of.
fn handed_on(feature: &Feature) -> Option<&str> {
    match &feature.kind {
        FeatureKind::Aggregate { aggregate: Aggregate::Last, of: Some(column) } if feature.rows.filter.is_none() => {
            Some(column.trim())
        }
        _ => None,
    }
}

/// Feast counts times in seconds since 1970 and writes others in UTC, without saying so.
fn cell(value: Json, data_type: DataType) -> Json {
    let told = match (data_type, &value) {
        (DataType::Timestamp, Json::Number(seconds)) => {
            let micros = seconds.as_i64().and_then(|seconds| seconds.checked_mul(1_000_000));
            micros.map(|micros| Instant::from_micros(micros).to_string())
        }
        (DataType::Timestamp, Json::String(text)) => {
            Instant::parse_in(text, &Zone::utc()).ok().map(|instant| instant.to_string())
        }
        (DataType::Date, Json::Number(seconds)) => seconds
            .as_i64()
            .and_then(|seconds| i32::try_from(seconds.div_euclid(86_400)).ok())
            .map(|days| Value::Date(days).to_string()),
        _ => None,
    };
    // What cannot be read is named by the source.
    told.map_or(value, Json::String)
}
