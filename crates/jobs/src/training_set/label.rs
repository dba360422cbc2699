//! Labels that later events define: what happened in the performance window after as_of, as it was known when collecting
//! ended. A label is then known by construction only after everything it rests on.

use std::sync::Arc;

use anyhow::{Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use indexmap::IndexMap;
use karat_core::{DataType, Instant, Name, Zone};
use karat_features::{CompiledView, Definition, DefinitionError, Spine};
use karat_project::Project;
use karat_project::spec::{EventLabel, FeatureView, Label, Model};

use super::cases::Cases;
use super::passes::Reach;
use crate::Catalog;
use crate::catalog::entities;

/// A model's label pinned, where later events define it; else `None`. Problems come with their paths in the model's file.
/// Nothing to pin in a source that is not there, or does not compile: that is told elsewhere.
pub(crate) fn define(
    catalog: &Catalog,
    project: &Project,
    model: &Model,
) -> Result<Option<Definition>, Vec<(String, String)>> {
    let Label::Events(label) = &model.spine.label else { return Ok(None) };
    let Some(source) = catalog.sources.get(&label.source) else { return Ok(None) };
    let entities = entities(project, model.spine.label_entities(label));
    let view = FeatureView {
        name: model.name.clone(),
        description: None,
        owner: None,
        tags: IndexMap::new(),
        entities: model.spine.label_entities(label).to_vec(),
        source: label.source.clone(),
        ttl: None,
        stale_after: None,
        online_horizon: None,
        features: IndexMap::from([(Label::OF_EVENTS.to_owned(), label.feature())]),
    };
    let checked = Definition::check(&view, &entities, source.definition.clone());
    let mut definition = checked.map_err(|problems| problems.into_iter().map(placed).collect::<Vec<_>>())?;
    definition.source.upstream = source.rows.narrowed(definition.source.columns.names());
    let compiled = CompiledView::compile(definition.clone()).map_err(|problem| vec![placed(problem)])?;
    let output = compiled.outputs()[0].value_type;
    if !output.one().is_some_and(DataType::is_numeric) {
        let at = label.aggregates().next().map_or_else(String::new, |(key, ..)| format!(".{key}"));
        let problem = format!("`at_least` compares numbers, and this is a {output}");
        return Err(vec![(format!("spine.label{at}"), problem)]);
    }
    Ok(Some(definition))
}

fn placed(problem: DefinitionError) -> (String, String) {
    match problem {
        DefinitionError::Feature { part: "", reason, .. } => ("spine.label".to_owned(), reason),
        DefinitionError::Feature { part, reason, .. } => (format!("spine.label.{part}"), reason),
        other => ("spine.label.source".to_owned(), other.to_string()),
    }
}

/// The performance windows of a spine's rows.
pub(super) struct Windows {
    ends: Int64Array,
    /// When collecting ends and the label is known.
    known: Int64Array,
}

impl Windows {
    /// `zone` is what months step in.
    pub fn new(label: &EventLabel, zone: &Zone, as_of: &Int64Array) -> Windows {
        let end = |as_of: i64| label.observe.end(Instant::from_micros(as_of), zone);
        let ends: Int64Array = as_of.unary(|as_of| end(as_of).micros());
        let known = ends.unary(|end| label.collect.end(Instant::from_micros(end), zone).micros());
        Windows { ends, known }
    }

    /// What a view of the label's events is asked.
    pub fn spine(&self, keys: Vec<ArrayRef>, as_of: &Int64Array) -> Spine {
        Spine { keys, as_of: self.ends.clone(), known_at: Some(self.known.clone()), since: Some(as_of.clone()) }
    }

    /// What the events of each window come to makes the label: a bool, never null; known once the window was over and
    /// collecting too.
    pub fn label(self, label: &EventLabel, rows: RecordBatch, as_of: Int64Array, measured: &ArrayRef) -> Cases {
        Cases { rows, as_of, label: Arc::new(at_least(measured, label.at_least())), label_time: self.known }
    }

    /// Of each row whether the history does not reach that far yet: its label is no more than a beginning.
    pub fn open(&self, reach: Reach) -> Vec<bool> {
        let covered = self.ends.values().iter().zip(self.known.values());
        covered.map(|(end, known)| !reach.covers(*end, *known)).collect()
    }
}

/// Nothing that counts is not enough, whatever is asked for.
fn at_least(measured: &ArrayRef, least: f64) -> BooleanArray {
    let row = |value: Option<f64>| Some(value.is_some_and(|value| value >= least));
    match measured.data_type() {
        arrow::datatypes::DataType::Int64 => {
            measured.as_primitive::<Int64Type>().iter().map(|value| row(value.map(|value| value as f64))).collect()
        }
        _ => measured.as_primitive::<Float64Type>().iter().map(row).collect(),
    }
}

impl Reach {
    /// Whether a window that ends at `end` and is collected until `known` is complete: something happened at its end or
    /// after, and was known at the end of collecting or after. What claims to lie after the newest commit says nothing.
    fn covers(self, end: i64, known: i64) -> bool {
        let reaches = |newest: Option<i64>, to: i64| newest.is_some_and(|newest| to <= newest.min(self.at.micros()));
        reaches(self.happened, end) && reaches(self.known, known)
    }
}

/// Says how far the history reaches, where no row's case is closed.
pub(super) fn all_open<T>(source: &Name, label: &EventLabel, reach: Reach, rows: u64) -> Result<T> {
    let reaches = match reach.happened {
        Some(newest) => format!("its newest event is of {}", Instant::from_micros(newest.min(reach.at.micros()))),
        None => "it has no event".to_owned(),
    };
    bail!(
        "every one of the {rows} rows of {source} is open: a label is known {} and {} after as_of, and {} does not reach \
         that far ({reaches})",
        label.observe,
        label.collect,
        label.source
    )
}
