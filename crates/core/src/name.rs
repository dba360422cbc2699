use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a resource: a letter, then letters, digits, `_` or `-`; at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Name(#[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]{0,62}$"))] Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: a letter, then letters, digits, `_` or `-`, at most 63 characters")]
pub struct NameError(String);

impl Name {
    pub fn new(text: &str) -> Result<Name, NameError> {
        let letter_first = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if letter_first && clean && text.len() <= 63 { Ok(Name(text.into())) } else { Err(NameError(text.to_owned())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Name::new(&text).map_err(serde::de::Error::custom)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The candidate most like `wanted`, if any is like it at all: what an error message suggests.
///
/// Similarity is the normalised Damerau-Levenshtein distance, ignoring case; nothing under 0.5 is suggested.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_validated() {
        assert!(Name::new("credit-risk").is_ok());
        assert!(Name::new("nb_previous_loans").is_ok());
        for bad in ["", "1st", "a b", "a/b", "../x", "é", &"a".repeat(64)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nearest_suggests_only_what_is_alike() {
        let names = ["loans", "credit", "applications"];
        assert_eq!(nearest("laons", names), Some("loans"));
        assert_eq!(nearest("Credits", names), Some("credit"));
        assert_eq!(nearest("zzz", names), None);
    }
}
