//! A feature view pinned: everything that can change one of its values, and nothing else.
//!
//! Models keep definitions; endpoints and replays compile theirs from the model, never from today's folder.

mod error;

use karat_core::{Column, DataType, Digest, Name, Schema, Window, Zone};
use karat_project::spec::{Entity, Feature, FeatureView, key_columns};
use serde::{Deserialize, Serialize};

pub use error::DefinitionError;

use crate::expression::SEMANTICS;
use crate::view::CompiledView;

/// What a view needs to know of its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceDefinition {
    pub name: Name,
    /// The columns of its history. A [`Definition`] keeps only those that its features, keys and order use.
    pub columns: Schema,
    pub keys: Vec<String>,
    /// `None` for a record of facts.
    pub event_time: Option<String>,
    pub known_time: Option<String>,
    pub available_after: Option<Window>,
    pub include_as_of: bool,
    pub time_zone: Zone,
    pub sequence: Option<String>,
    pub identity: Identity,
    /// Digests how the rows come about, of these columns: identity, times, `prepare`, `set_null` and SQL of this source and
    /// of those it reads. Histories are read only as far as the rows were made so.
    pub upstream: Digest,
}

/// What makes two records of a history the same row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    Keys(Vec<String>),
    EventId(String),
    /// The delivering file and the row in it: the hidden columns `_file` and `_row`.
    FileRow,
}

/// A feature under its name. Words, descriptions and checks do not change values and are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedFeature {
    pub name: String,
    pub feature: Feature,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// For messages; not digested.
    pub view: Name,
    /// The [`SEMANTICS`] it was made with.
    pub semantics: u32,
    /// The entities' key columns, each once, in the order of the view's entities.
    pub keys: Vec<Column>,
    pub source: SourceDefinition,
    /// The window of features that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Window>,
    /// In the order of the view, which is the order of its values.
    pub features: Vec<NamedFeature>,
}

impl Definition {
    /// Pins a view and checks that it compiles. Fails with the first problem; [`Definition::check`] tells them all.
    pub fn new(
        view: &FeatureView,
        entities: &[Entity],
        source: SourceDefinition,
    ) -> Result<Definition, DefinitionError> {
        Definition::check(view, entities, source).map_err(DefinitionError::first)
    }

    /// As [`Definition::new`], with every problem of the view.
    pub fn check(
        view: &FeatureView,
        entities: &[Entity],
        source: SourceDefinition,
    ) -> Result<Definition, Vec<DefinitionError>> {
        let mut problems = Vec::new();
        // As declared, so that the features are looked at whatever is wrong with them.
        let keys = key_columns(entities);
        for key in &keys {
            problems.extend(key_problem(key, entities, &source));
        }
        let features = view
            .features
            .iter()
            .map(|(name, feature)| NamedFeature {
                name: name.clone(),
                feature: Feature {
                    kind: feature.kind.clone(),
                    rows: feature.rows.clone(),
                    words: None,
                    description: None,
                    checks: Vec::new(),
                },
            })
            .collect();
        let whole = Definition { view: view.name.clone(), semantics: SEMANTICS, keys, source, ttl: view.ttl, features };
        let needed = match CompiledView::compile_all(whole.clone()) {
            Ok(compiled) if problems.is_empty() => compiled.source_columns().clone(),
            Ok(_) => return Err(problems),
            // What a wrong key leads to is no problem of its own.
            Err(more) => {
                let is_new = |problem: &DefinitionError| {
                    problems.is_empty() || matches!(problem, DefinitionError::Feature { .. })
                };
                let more: Vec<DefinitionError> = more.into_iter().filter(is_new).collect();
                return Err(problems.into_iter().chain(more).collect());
            }
        };
        let source = SourceDefinition { columns: needed, ..whole.source };
        Ok(Definition { source, ..whole })
    }

    pub fn digest(&self) -> Digest {
        #[derive(Serialize)]
        struct Pinned<'a> {
            semantics: u32,
            keys: &'a [Column],
            source: &'a SourceDefinition,
            #[serde(skip_serializing_if = "Option::is_none")]
            ttl: Option<Window>,
            features: &'a [NamedFeature],
        }
        Digest::of_json(&Pinned {
            semantics: self.semantics,
            keys: &self.keys,
            source: &self.source,
            ttl: self.ttl,
            features: &self.features,
        })
    }
}

/// What keeps a column of the source from being a key, or part of one.
fn key_problem(key: &Column, entities: &[Entity], source: &SourceDefinition) -> Option<DefinitionError> {
    let of: Vec<&str> =
        entities.iter().filter(|entity| entity.keys.contains(key)).map(|entity| entity.name.as_str()).collect();
    let of = of.join(", ");
    let Some(column) = source.columns.column(&key.name) else {
        let hint = match karat_core::nearest(&key.name, source.columns.names()) {
            Some(nearest) => format!("; did you mean `{nearest}`?"),
            None => String::new(),
        };
        return Some(DefinitionError::View(format!(
            "source `{}` has no column `{}`, the key of entity `{of}`{hint}",
            source.name, key.name
        )));
    };
    (column.data_type != key.data_type).then(|| {
        DefinitionError::View(format!(
            "column `{}` of source `{}` is {}, and the key of entity `{of}` is {}: declare the same type in both",
            key.name,
            source.name,
            typed(column.data_type),
            typed(key.data_type)
        ))
    })
}

fn typed(data_type: DataType) -> String {
    match data_type {
        DataType::Int => "an int".to_owned(),
        other => format!("a {other}"),
    }
}
