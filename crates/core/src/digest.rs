use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    pub fn of(bytes: impl AsRef<[u8]>) -> Digest {
        DigestWriter::new().bytes(bytes).finish()
    }

    /// The digest of a value's JSON with keys in sorted order: equal for equal meanings, whatever the order of fields.
    pub fn of_json(value: &impl Serialize) -> Digest {
        // serde_json's maps are sorted (the `preserve_order` feature is off), so going through `Value` is canonical.
        let value = serde_json::to_value(value).expect("specs and definitions serialise to JSON");
        Digest::of(value.to_string())
    }

    pub fn parse(text: &str) -> Option<Digest> {
        let valid = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Digest(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// Digests several pieces; each is preceded by its length, so that pieces cannot run into each other.
#[derive(Clone, Default)]
pub struct DigestWriter(Sha256);

impl DigestWriter {
    pub fn new() -> DigestWriter {
        DigestWriter::default()
    }

    /// One piece, without a length: for the only piece of a digest, or pieces of fixed length.
    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> DigestWriter {
        self.0.update(bytes.as_ref());
        self
    }

    pub fn piece(mut self, bytes: impl AsRef<[u8]>) -> DigestWriter {
        self.0.update((bytes.as_ref().len() as u64).to_le_bytes());
        self.0.update(bytes.as_ref());
        self
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Digest {
        let mut text = String::with_capacity(64);
        for byte in self.0.finalize() {
            use fmt::Write;
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        }
        Digest(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_plain_sha256() {
        assert_eq!(Digest::of("abc").as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn json_digests_ignore_the_order_of_keys() {
        let a: serde_json::Value = serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":3}}"#).unwrap();
        let b: serde_json::Value = serde_json::from_str(r#"{"b":{"d":3,"c":2},"a":1}"#).unwrap();
        assert_eq!(Digest::of_json(&a), Digest::of_json(&b));
    }

    #[test]
    fn pieces_do_not_run_into_each_other() {
        let ab_c = DigestWriter::new().piece("ab").piece("c").finish();
        let a_bc = DigestWriter::new().piece("a").piece("bc").finish();
        assert_ne!(ab_c, a_bc);
    }
}
