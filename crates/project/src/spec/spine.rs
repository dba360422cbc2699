use std::num::NonZeroU32;

use karat_core::{Name, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::feature_view::{Aggregate, Feature, FeatureKind, Rows};

/// The rows a model learns from: who, as of when, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spine {
    pub source: Name,
    /// Whom a row is about; `entities`, where it is about several. Views of each of them, or of some together, are joined
    /// by their own key columns, which are columns of the source.
    #[serde(rename = "entity", alias = "entities", with = "karat_core::one_or_many")]
    #[schemars(with = "Name")]
    pub entities: Vec<Name>,
    /// A date or timestamp column of the source. Left out where the source has no `event_time`: its rows have no time,
    /// and features are read as of the newest commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// Rows without a label are left out and counted.
    pub label: Label,
    /// When the label became known. Default: as_of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_time: Option<String>,
    /// Which rows of each key are learned from, by as_of, among those with a label. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

/// A column of the spine's source (boolean, or an int of 0 and 1), or what later events make of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Label {
    Column(String),
    Events(EventLabel),
}

/// A label that later events define: true where those of the performance window, `observe` from as_of on, come to
/// `at_least` so much by the end of `collect`. At most one of `count`, `sum` and `max`; none counts rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventLabel {
    /// Where the events are.
    pub source: Name,
    /// Whose events they are, some of the spine's entities. Default: all of them together.
    #[serde(
        default,
        rename = "entity",
        alias = "entities",
        skip_serializing_if = "Vec::is_empty",
        with = "karat_core::one_or_many"
    )]
    #[schemars(with = "Name")]
    pub entities: Vec<Name>,
    /// A boolean SQL expression over the source's columns: the events that count.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// `rows`, or an expression whose values that are not null are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// Default, where events are counted: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The performance window: events in `[as_of, as_of + observe)`.
    pub observe: Window,
    /// How long after the window what happened in it may still become known; then the label stands, and is known.
    pub collect: Window,
}

/// `first`, `last`, or a number: so many of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Keep {
    End(KeepEnd),
    Last(NonZeroU32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepEnd {
    First,
    Last,
}

impl Spine {
    /// Whose later events make the label.
    pub fn label_entities<'s>(&'s self, label: &'s EventLabel) -> &'s [Name] {
        if label.entities.is_empty() { &self.entities } else { &label.entities }
    }
}

impl Label {
    /// What training sets call a label that no column of the spine has.
    pub const OF_EVENTS: &str = "label";

    /// What training sets call it.
    pub fn name(&self) -> &str {
        match self {
            Label::Column(column) => column,
            Label::Events(_) => Label::OF_EVENTS,
        }
    }

    /// The column of the spine's source, where it is one.
    pub fn column(&self) -> Option<&str> {
        match self {
            Label::Column(column) => Some(column),
            Label::Events(_) => None,
        }
    }

    pub fn events(&self) -> Option<&EventLabel> {
        match self {
            Label::Column(_) => None,
            Label::Events(events) => Some(events),
        }
    }
}

impl EventLabel {
    /// The aggregates it gives, by their keys.
    pub fn aggregates(&self) -> impl Iterator<Item = (&'static str, Aggregate, &str)> {
        let given = [
            ("count", Aggregate::Count, &self.count),
            ("sum", Aggregate::Sum, &self.sum),
            ("max", Aggregate::Max, &self.max),
        ];
        given.into_iter().filter_map(|(key, aggregate, of)| Some((key, aggregate, of.as_deref()?)))
    }

    /// What is computed over the events of the window.
    pub fn feature(&self) -> Feature {
        let (aggregate, of) = match self.aggregates().next() {
            Some((_, aggregate, of)) => (aggregate, of),
            None => (Aggregate::Count, "rows"),
        };
        let is_rows = aggregate == Aggregate::Count && of == "rows";
        Feature {
            kind: FeatureKind::Aggregate { aggregate, of: (!is_rows).then(|| of.to_owned()) },
            rows: Rows { filter: self.filter.clone(), ..Rows::default() },
            words: None,
            description: None,
            checks: Vec::new(),
        }
    }

    pub fn at_least(&self) -> f64 {
        self.at_least.unwrap_or(1.0)
    }
}

impl Keep {
    /// How many rows of a key are kept, and from which end.
    pub fn rows(self) -> (KeepEnd, usize) {
        match self {
            Keep::End(end) => (end, 1),
            Keep::Last(rows) => (KeepEnd::Last, rows.get() as usize),
        }
    }
}
