use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use karat_core::Name;

use crate::draft::Draft;
use crate::files::Files;
use crate::kind::{Kind, ResourceRef};
use crate::problem::{Place, Problem};
use crate::spec::{Config, Endpoint, Entity, FeatureService, FeatureView, Model, Source, Stores};
use crate::yaml::{Aim, Node, locate};

/// A project whose every resource is valid, as far as names and types tell. Resources stand in the order of their
/// files' paths.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    pub(crate) config: Config,
    pub(crate) sources: IndexMap<Name, Source>,
    pub(crate) entities: IndexMap<Name, Entity>,
    pub(crate) views: IndexMap<Name, FeatureView>,
    pub(crate) services: IndexMap<Name, FeatureService>,
    pub(crate) models: IndexMap<Name, Model>,
    pub(crate) endpoints: IndexMap<Name, Endpoint>,
    places: Arc<Places>,
}

/// Where everything stands; empty for a project rebuilt from a Release.
#[derive(Debug, Default)]
struct Places {
    files: Files,
    config: Option<Node>,
    nodes: HashMap<ResourceRef, Node>,
}

impl Project {
    /// The same project with other stores, as a command line names them.
    pub fn with_stores(mut self, change: impl FnOnce(&mut Stores)) -> Project {
        change(&mut self.config.stores);
        self
    }

    /// The folder. Relative paths in specs are relative to it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn sources(&self) -> &IndexMap<Name, Source> {
        &self.sources
    }

    pub fn entities(&self) -> &IndexMap<Name, Entity> {
        &self.entities
    }

    pub fn views(&self) -> &IndexMap<Name, FeatureView> {
        &self.views
    }

    pub fn models(&self) -> &IndexMap<Name, Model> {
        &self.models
    }

    pub fn services(&self) -> &IndexMap<Name, FeatureService> {
        &self.services
    }

    pub fn endpoints(&self) -> &IndexMap<Name, Endpoint> {
        &self.endpoints
    }

    /// The place of a value such as `contract[2].column` or `features.age.expression`; where the file does not go that
    /// deep, of the last part that is there. `None` for a resource without a file.
    pub fn place(&self, resource: &ResourceRef, path: &str) -> Option<Place> {
        let node = self.places.nodes.get(resource)?;
        Some(self.places.files.place(locate(node, path, Aim::Value)))
    }

    /// A problem found after loading, with its place and lines; without a file, the message says where instead.
    pub fn problem(&self, resource: &ResourceRef, path: &str, message: impl Into<String>) -> Problem {
        match self.places.nodes.get(resource) {
            Some(node) => self.places.files.problem(locate(node, path, Aim::Value), message),
            None => Problem::new(format!("{resource}, `{path}`: {}", message.into())),
        }
    }

    /// As [`Project::problem`], of a path in `karat.yaml`.
    pub fn config_problem(&self, path: &str, message: impl Into<String>) -> Problem {
        match &self.places.config {
            Some(node) => self.places.files.problem(locate(node, path, Aim::Value), message),
            None => Problem::new(format!("karat.yaml, `{path}`: {}", message.into())),
        }
    }

    /// Names the resources there are.
    pub fn resources(&self) -> Vec<ResourceRef> {
        let sources = self.sources.keys().map(|name| (Kind::Source, name));
        let entities = self.entities.keys().map(|name| (Kind::Entity, name));
        let views = self.views.keys().map(|name| (Kind::FeatureView, name));
        let services = self.services.keys().map(|name| (Kind::FeatureService, name));
        let models = self.models.keys().map(|name| (Kind::Model, name));
        let endpoints = self.endpoints.keys().map(|name| (Kind::Endpoint, name));
        let all = sources.chain(entities).chain(views).chain(services).chain(models).chain(endpoints);
        all.map(|(kind, name)| ResourceRef::new(kind, name.clone())).collect()
    }

    /// The same definitions, but for one source: for runs over other rows.
    pub fn with_source(mut self, source: Source) -> Project {
        self.sources.insert(source.name.clone(), source);
        self
    }

    /// The same definitions on a folder and its stores: for a project rebuilt from a Release.
    pub fn located(self, root: impl Into<PathBuf>, config: Config) -> Project {
        Project { root: root.into(), config, ..self }
    }

    /// A draft in which nothing is wrong.
    pub(crate) fn from_draft(root: PathBuf, config: Config, draft: Draft) -> Project {
        let places = Places { files: draft.files, config: draft.config_node, nodes: draft.nodes };
        Project {
            root,
            config,
            sources: draft.sources,
            entities: draft.entities,
            views: draft.views,
            services: draft.services,
            models: draft.models,
            endpoints: draft.endpoints,
            places: Arc::new(places),
        }
    }

    pub(crate) fn without_files(config: Config) -> Project {
        Project::from_draft(PathBuf::new(), config, Draft::default())
    }
}
