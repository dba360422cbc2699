use std::fmt;
use std::str::FromStr;

use karat_core::{Digest, DigestWriter, Instant};
use serde::Serialize;
use serde_json::Value as Json;

/// What an entry is about; never a client's key (see the module).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Subject {
    pub fn new(kind: &str, name: &str) -> Subject {
        Subject { kind: kind.to_owned(), name: name.to_owned(), version: None }
    }

    pub fn versioned(kind: &str, name: &str, version: impl fmt::Display) -> Subject {
        Subject { version: Some(version.to_string()), ..Subject::new(kind, name) }
    }
}

/// An entry before it has a place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry<'a> {
    pub at: Instant,
    pub actor: &'a str,
    /// Noun and verb: `model.approve`, `release.record`.
    pub action: &'a str,
    pub subject: Subject,
    pub details: Json,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    pub id: i64,
    pub at: Instant,
    pub actor: String,
    pub action: String,
    pub subject: Subject,
    pub details: Json,
    pub previous: Digest,
    pub hash: Digest,
}

/// The end of the chain at some moment: the number of entries and the hash of the last. Written `12:9f86d0…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub id: i64,
    pub hash: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an audit head: expected NUMBER:HASH as `karat audit head` prints it")]
pub struct HeadError(String);

impl Head {
    /// The head of an empty chain; to verify against it is to verify without a kept head.
    pub fn genesis() -> Head {
        Head { id: 0, hash: Digest::of("karat audit, version 1") }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.hash)
    }
}

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Head, HeadError> {
        let parse = || {
            let (id, hash) = text.trim().split_once(':')?;
            let head = Head { id: id.parse().ok().filter(|id| *id >= 0)?, hash: Digest::parse(hash)? };
            (head.id > 0 || head == Head::genesis()).then_some(head)
        };
        parse().ok_or_else(|| HeadError(text.to_owned()))
    }
}

/// An entry's columns exactly as stored: what is hashed, with nothing parsed and printed again in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub id: i64,
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub subject_kind: String,
    pub subject_name: String,
    pub subject_version: Option<String>,
    pub details: String,
    pub previous: String,
    pub hash: String,
}

impl Stored {
    /// SHA-256 over every column and the previous hash, each piece preceded by its length.
    pub fn hash(&self) -> Digest {
        let version = match &self.subject_version {
            Some(version) => format!("={version}"),
            None => String::new(),
        };
        DigestWriter::new()
            .piece(self.id.to_le_bytes())
            .piece(self.at.to_le_bytes())
            .piece(&self.actor)
            .piece(&self.action)
            .piece(&self.subject_kind)
            .piece(&self.subject_name)
            .piece(version)
            .piece(&self.details)
            .piece(&self.previous)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_print_and_parse() {
        let head = Head { id: 12, hash: Digest::of("x") };
        assert_eq!(head.to_string().parse(), Ok(head));
        assert_eq!(Head::genesis().to_string().parse(), Ok(Head::genesis()));
        for bad in ["", "12", "12:ab", "-1:", &format!("0:{}", Digest::of("x"))] {
            assert!(bad.parse::<Head>().is_err(), "{bad}");
        }
    }
}
