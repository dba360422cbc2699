//! What was decoded, complete or not: the cross-checks run on it, so that they are reported along with decoding's
//! mistakes, and it becomes a [`crate::Project`] once nothing is wrong.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use karat_core::Name;

use crate::files::{Files, Span};
use crate::kind::{Kind, ResourceRef};
use crate::problem::Problem;
use crate::spec::{Config, Endpoint, Entity, FeatureService, FeatureView, Model, Source};
use crate::yaml::Node;

#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) files: Files,
    pub(crate) config: Option<Config>,
    pub(crate) config_node: Option<Node>,
    pub(crate) sources: IndexMap<Name, Source>,
    pub(crate) entities: IndexMap<Name, Entity>,
    pub(crate) views: IndexMap<Name, FeatureView>,
    pub(crate) services: IndexMap<Name, FeatureService>,
    pub(crate) models: IndexMap<Name, Model>,
    pub(crate) endpoints: IndexMap<Name, Endpoint>,
    pub(crate) nodes: HashMap<ResourceRef, Node>,
    /// Names of resources that are there, decoded or not; of an unreadable file, its stem.
    pub(crate) names: HashMap<Kind, Vec<String>>,
    /// Resources with mistakes: what seems absent in them may be what was mistaken.
    pub(crate) unsound: HashSet<ResourceRef>,
    /// Where each resource's name stands.
    pub(crate) declared: HashMap<ResourceRef, Span>,
    pub(crate) problems: Vec<Problem>,
}

impl Draft {
    pub(crate) fn names(&self, kind: Kind) -> &[String] {
        self.names.get(&kind).map(Vec::as_slice).unwrap_or_default()
    }
}
