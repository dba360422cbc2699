use std::fmt;

use karat_core::Name;
use serde::{Deserialize, Serialize};

/// A kind of resource. Written in files as `kind: Source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Source,
    Entity,
    FeatureView,
    FeatureService,
    Model,
    Endpoint,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::Source, Kind::Entity, Kind::FeatureView, Kind::FeatureService, Kind::Model, Kind::Endpoint];

    /// As files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Source => "Source",
            Kind::Entity => "Entity",
            Kind::FeatureView => "FeatureView",
            Kind::FeatureService => "FeatureService",
            Kind::Model => "Model",
            Kind::Endpoint => "Endpoint",
        }
    }

    /// The folder its files live in.
    pub fn folder(self) -> &'static str {
        match self {
            Kind::Source => "sources",
            Kind::Entity => "entities",
            Kind::FeatureView => "features",
            Kind::FeatureService => "services",
            Kind::Model => "models",
            Kind::Endpoint => "endpoints",
        }
    }

    /// As a sentence calls one.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Entity => "entity",
            Kind::FeatureView => "feature view",
            Kind::FeatureService => "feature service",
            Kind::Model => "model",
            Kind::Endpoint => "endpoint",
        }
    }

    /// With its article: `an entity`.
    pub fn a_words(self) -> &'static str {
        match self {
            Kind::Source => "a source",
            Kind::Entity => "an entity",
            Kind::FeatureView => "a feature view",
            Kind::FeatureService => "a feature service",
            Kind::Model => "a model",
            Kind::Endpoint => "an endpoint",
        }
    }

    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Kinds that the design has and this version has not, each with its folder.
pub(crate) const PLANNED: [(&str, &str); 2] = [("Pipeline", "pipelines"), ("Monitor", "monitors")];

/// Names one resource of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceRef {
    pub kind: Kind,
    pub name: Name,
}

impl ResourceRef {
    pub fn new(kind: Kind, name: Name) -> ResourceRef {
        ResourceRef { kind, name }
    }
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind.words(), self.name)
    }
}
