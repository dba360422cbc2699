//! Maps that name nothing twice, where serde would take the last.

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// For `deserialize_with`.
pub fn map<'de, V, D>(deserializer: D) -> Result<IndexMap<String, V>, D::Error>
where
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(MapVisitor(PhantomData))
}

struct MapVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
    type Value = IndexMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = IndexMap::new();
        while let Some(name) = entries.next_key::<String>()? {
            match map.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(entries.next_value()?);
                }
                Entry::Occupied(there) => {
                    let shown: String = there.key().chars().take(SHOWN).collect();
                    return Err(A::Error::custom(format_args!("`{shown}` stands twice in one object")));
                }
            }
        }
        Ok(map)
    }
}

/// Characters of a name that an error repeats.
const SHOWN: usize = 100;
