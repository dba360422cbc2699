//! YAML as a tree whose every node knows its place. Decoding into specs happens in [`crate::read`].

mod node;
mod parse;
mod path;
mod text;

pub(crate) use node::{Entry, Node, Scalar, Shape};
pub(crate) use parse::{Parsed, parse};
pub use path::path_key;
pub(crate) use path::{Aim, exists, locate};
pub use text::{yaml_text, yaml_to_json};
