use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes, written `4 MiB`, `500 kB` or `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = ();

    fn from_str(text: &str) -> Result<ByteSize, ()> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| ())?;
        let unit = text[digits..].trim();
        let each = match UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((_, each)) => *each,
            None if unit.is_empty() => 1,
            None => return Err(()),
        };
        number.checked_mul(each).filter(|bytes| *bytes <= i64::MAX as u64).map(ByteSize).ok_or(())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, each)| self.0 > 0 && self.0.is_multiple_of(*each));
        let (unit, each) = whole.copied().unwrap_or(("B", 1));
        write!(f, "{} {unit}", self.0 / each)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom(format!("`{text}` is not a number of bytes")))
    }
}

impl schemars::JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A number of bytes, such as `4 MiB` or `500 kB`.",
            "pattern": r"^\s*[0-9]+\s*([GgMmKk][Ii]?)?[Bb]?\s*$",
            "examples": ["4 MiB", "500 kB"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, written) in
            [("4 MiB", 4 << 20, "4 MiB"), ("4096", 4096, "4 KiB"), ("1gb", 1_000_000_000, "1 GB"), ("7B", 7, "7 B")]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
            assert_eq!(ByteSize(bytes).to_string(), written);
        }
        assert_eq!(ByteSize(0).to_string().parse(), Ok(ByteSize(0)));
        for wrong in ["", "MiB", "-1 B", "1.5 MiB", "4 apples", "99999999999999999999", "9999999999 GiB"] {
            assert_eq!(wrong.parse::<ByteSize>(), Err(()), "{wrong}");
        }
    }
}
