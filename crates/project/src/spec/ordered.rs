//! Serde of maps whose order carries meaning (columns, features, request fields): a list of pairs, because JSON objects
//! forget their order in `serde_json::Value`, and with it in Releases and digests. A plain mapping is read, too.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use indexmap::IndexMap;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn serialize<K, V, S>(map: &IndexMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
where
    K: Serialize,
    V: Serialize,
    S: Serializer,
{
    serializer.collect_seq(map)
}

pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<IndexMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Eq + Hash + fmt::Debug,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Pairs(PhantomData))
}

struct Pairs<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for Pairs<K, V>
where
    K: Deserialize<'de> + Eq + Hash + fmt::Debug,
    V: Deserialize<'de>,
{
    type Value = IndexMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pairs, or a mapping")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<IndexMap<K, V>, A::Error> {
        let mut map = IndexMap::new();
        while let Some((key, value)) = pairs.next_element()? {
            insert(&mut map, key, value)?;
        }
        Ok(map)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<IndexMap<K, V>, A::Error> {
        let mut map = IndexMap::new();
        while let Some((key, value)) = entries.next_entry()? {
            insert(&mut map, key, value)?;
        }
        Ok(map)
    }
}

fn insert<K: Eq + Hash + fmt::Debug, V, E: Error>(map: &mut IndexMap<K, V>, key: K, value: V) -> Result<(), E> {
    if map.contains_key(&key) {
        return Err(E::custom(format!("{key:?} stands twice")));
    }
    map.insert(key, value);
    Ok(())
}
