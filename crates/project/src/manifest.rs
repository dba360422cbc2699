//! A project's content as one canonical JSON document: what a Release records, and what servers and replays read back
//! instead of files. Stores and ports are not part of it: they belong to where the project runs.

use indexmap::IndexMap;
use karat_core::{Digest, ErrorKind, Name};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Project;
use crate::kind::{Kind, ResourceRef};
use crate::spec::Config;

/// Written into every manifest; one of a later version is refused.
const FORMAT_VERSION: u64 = 1;

#[derive(Debug)]
pub enum ManifestError {
    /// Written by a later version of Karat.
    Newer { format_version: u64 },
    /// Not a manifest, or one that was changed.
    Unreadable { part: String, message: String },
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ManifestError::Newer { format_version } => write!(
                f,
                "the release is in format {format_version}, and this version of Karat reads up to {FORMAT_VERSION}: update Karat"
            ),
            ManifestError::Unreadable { part, message } => write!(f, "{part} of the release cannot be read: {message}"),
        }
    }
}

impl std::error::Error for ManifestError {}

impl ManifestError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            ManifestError::Newer { .. } => ErrorKind::Refused,
            ManifestError::Unreadable { .. } => ErrorKind::Corrupt,
        }
    }
}

impl Project {
    /// `{"format_version", "project": {"name", "description"}, "resources": {KIND: {NAME: spec}}}`. Equal for projects
    /// that mean the same, whatever their files are called and however they are laid out.
    pub fn manifest(&self) -> Value {
        let mut resources = Map::new();
        for kind in Kind::ALL {
            let specs = self.specs(kind);
            // Kinds that came after the first version stand where there are any: digests of before go on.
            if !(specs.is_empty() && kind == Kind::FeatureService) {
                resources.insert(kind.as_str().to_owned(), Value::Object(specs));
            }
        }
        let mut project = Map::new();
        project.insert("name".to_owned(), Value::from(self.config.name.as_str()));
        if let Some(description) = &self.config.description {
            project.insert("description".to_owned(), Value::from(description.as_str()));
        }
        let mut manifest = Map::new();
        manifest.insert("format_version".to_owned(), Value::from(FORMAT_VERSION));
        manifest.insert("project".to_owned(), Value::Object(project));
        manifest.insert("resources".to_owned(), Value::Object(resources));
        Value::Object(manifest)
    }

    /// Of [`Project::manifest`].
    pub fn digest(&self) -> Digest {
        Digest::of_json(&self.manifest())
    }

    /// One resource as the manifest has it.
    pub fn spec(&self, resource: &ResourceRef) -> Option<Value> {
        let name = &resource.name;
        match resource.kind {
            Kind::Source => self.sources.get(name).map(json),
            Kind::Entity => self.entities.get(name).map(json),
            Kind::FeatureView => self.views.get(name).map(json),
            Kind::FeatureService => self.services.get(name).map(json),
            Kind::Model => self.models.get(name).map(json),
            Kind::Endpoint => self.endpoints.get(name).map(json),
        }
    }

    fn specs(&self, kind: Kind) -> Map<String, Value> {
        match kind {
            Kind::Source => all(&self.sources),
            Kind::Entity => all(&self.entities),
            Kind::FeatureView => all(&self.views),
            Kind::FeatureService => all(&self.services),
            Kind::Model => all(&self.models),
            Kind::Endpoint => all(&self.endpoints),
        }
    }

    /// The project of a manifest: no folder, default stores (see [`Project::located`]), no places.
    pub fn from_manifest(manifest: &Value) -> Result<Project, ManifestError> {
        let format_version = manifest.get("format_version").and_then(Value::as_u64).unwrap_or_default();
        if format_version > FORMAT_VERSION {
            return Err(ManifestError::Newer { format_version });
        }
        let ManifestForm { project, resources } = read("the form", manifest)?;
        let config = Config {
            name: project.name,
            description: project.description,
            stores: Default::default(),
            engine: Default::default(),
            server: Default::default(),
        };
        let empty = Value::Object(Map::new());
        let of = |kind: Kind| resources.get(kind.as_str()).unwrap_or(&empty);
        let mut rebuilt = Project::without_files(config);
        rebuilt.sources = specs(Kind::Source, of(Kind::Source))?;
        rebuilt.entities = specs(Kind::Entity, of(Kind::Entity))?;
        rebuilt.views = specs(Kind::FeatureView, of(Kind::FeatureView))?;
        rebuilt.services = specs(Kind::FeatureService, of(Kind::FeatureService))?;
        rebuilt.models = specs(Kind::Model, of(Kind::Model))?;
        rebuilt.endpoints = specs(Kind::Endpoint, of(Kind::Endpoint))?;
        Ok(rebuilt)
    }
}

#[derive(Deserialize)]
struct ManifestForm {
    project: ProjectForm,
    resources: Map<String, Value>,
}

#[derive(Deserialize)]
struct ProjectForm {
    name: Name,
    #[serde(default)]
    description: Option<String>,
}

fn all(specs: &IndexMap<Name, impl Serialize>) -> Map<String, Value> {
    specs.iter().map(|(name, spec)| (name.to_string(), json(spec))).collect()
}

fn json(spec: &impl Serialize) -> Value {
    serde_json::to_value(spec).expect("specs are made of text, numbers, lists and maps with text for keys")
}

fn specs<T: DeserializeOwned>(kind: Kind, value: &Value) -> Result<IndexMap<Name, T>, ManifestError> {
    let Value::Object(entries) = value else {
        return Err(ManifestError::Unreadable { part: kind.to_string(), message: "not an object".to_owned() });
    };
    let mut specs = IndexMap::new();
    for (name, value) in entries {
        let part = || format!("{} `{name}`", kind.words());
        let read_name =
            Name::new(name).map_err(|error| ManifestError::Unreadable { part: part(), message: error.to_string() })?;
        specs.insert(read_name, read(&part(), value)?);
    }
    Ok(specs)
}

fn read<T: DeserializeOwned>(part: &str, value: &Value) -> Result<T, ManifestError> {
    T::deserialize(value)
        .map_err(|error| ManifestError::Unreadable { part: part.to_owned(), message: error.to_string() })
}
