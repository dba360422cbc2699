use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Files or globs, one or several; read in the order of their paths within each, and each once. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Paths(Vec<String>);

impl Paths {
    /// `None` of none.
    pub fn new(paths: Vec<String>) -> Option<Paths> {
        (!paths.is_empty()).then_some(Paths(paths))
    }

    pub fn iter(&self) -> std::slice::Iter<'_, String> {
        self.0.iter()
    }
}

impl From<&str> for Paths {
    fn from(path: &str) -> Paths {
        Paths(vec![path.to_owned()])
    }
}

impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// One path is written as text, as every path was before there could be several.
impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => serializer.serialize_str(only),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Paths, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Several(Vec<String>),
        }
        let paths = match Form::deserialize(deserializer)? {
            Form::One(path) => vec![path],
            Form::Several(paths) => paths,
        };
        Paths::new(paths).ok_or_else(|| serde::de::Error::custom("`path` is an empty list"))
    }
}

impl schemars::JsonSchema for Paths {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Paths".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A file or a glob, or a list of them.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        })
    }
}
