//! Reads the project folder into validated specs; publishes their JSON Schemas; reports every mistake with its place.
//!
//! Invariant: opens no data and no store.

mod check;
mod draft;
mod files;
mod kind;
mod load;
mod manifest;
mod problem;
mod project;
mod read;
mod schema;
pub mod spec;
mod sql;
mod suggest;
mod template;
mod upstream;
mod variables;
mod write;
mod yaml;

pub use kind::{Kind, ResourceRef};
pub use load::LocatedTest;
pub use manifest::ManifestError;
pub use problem::{Place, Problem, Problems};
pub use project::Project;
pub use schema::{SCHEMA_KINDS, schema_of};
pub use sql::{TableName, sql_tables};
pub use template::Template;
pub use variables::{VariableError, expand, has_variables};
pub use write::{NewFolder, WriteError};
pub use yaml::{path_key, yaml_text, yaml_to_json};
