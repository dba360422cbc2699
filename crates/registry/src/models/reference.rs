use std::fmt;
use std::str::FromStr;

use karat_core::Name;

use crate::RegistryError;

/// How people name a version: `NAME@ALIAS`, `NAME/VERSION`, or `NAME` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    Alias { model: String, alias: Name },
    Version { model: String, version: u64 },
    Model { model: String },
}

impl FromStr for Reference {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Reference, RegistryError> {
        let text = text.trim();
        let named = |model: &str| match model.trim() {
            "" => Err(RegistryError::Invalid(format!(
                "`{text}` names no model: expected NAME, NAME@ALIAS or NAME/VERSION"
            ))),
            model => Ok(model.to_owned()),
        };
        if let Some((model, alias)) = text.rsplit_once('@') {
            let alias = Name::new(alias).map_err(|error| RegistryError::Invalid(format!("alias {error}")))?;
            return Ok(Reference::Alias { model: named(model)?, alias });
        }
        if let Some((model, version)) = text.rsplit_once('/') {
            let version = version.parse().ok().filter(|version| *version > 0).ok_or_else(|| {
                RegistryError::Invalid(format!("`{version}` in `{text}` is not a version: versions are numbers from 1"))
            })?;
            return Ok(Reference::Version { model: named(model)?, version });
        }
        Ok(Reference::Model { model: named(text)? })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Alias { model, alias } => write!(f, "{model}@{alias}"),
            Reference::Version { model, version } => write!(f, "{model}/{version}"),
            Reference::Model { model } => f.write_str(model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_and_print() {
        for text in ["credit_default", "credit_default@champion", "credit_default/12"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        assert!(matches!("m/3".parse(), Ok(Reference::Version { version: 3, .. })));
        for bad in ["", "@champion", "m@", "m/", "m/0", "m/-1", "m/x", "/3", "m@a b"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
