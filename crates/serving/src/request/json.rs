//! JSON as a caller sent it: borrowed from the body, names in their order, none of them twice.

use std::borrow::Cow;
use std::fmt;

use karat_core::{DataType, Value, ValueError};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'b> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'b, str>),
    List(Vec<Json<'b>>),
    Object(Object<'b>),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Object<'b>(Vec<(Cow<'b, str>, Json<'b>)>);

impl<'b> Object<'b> {
    pub(super) fn get(&self, name: &str) -> Option<&Json<'b>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, json)| json)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The first name that stands here twice.
    fn doubled(&self) -> Option<&str> {
        /// Up to here it is quicker to compare all with all.
        const FEW: usize = 16;
        if self.0.len() <= FEW {
            let mut places = self.0.iter().enumerate();
            return places
                .find(|(at, (name, _))| self.0[..*at].iter().any(|(other, _)| other == name))
                .map(|(_, (name, _))| name.as_ref());
        }
        let mut names: Vec<&str> = self.names().collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

impl Json<'_> {
    /// A value of a known type, as [`Value::from_json`] reads it.
    pub(super) fn value(&self, wanted: DataType) -> Result<Value, ValueError> {
        let json = match self {
            Json::Text(text) if wanted == DataType::Text => return Ok(Value::text(text)),
            Json::Null => serde_json::Value::Null,
            Json::Bool(flag) => serde_json::Value::Bool(*flag),
            Json::Number(number) => serde_json::Value::Number(number.clone()),
            Json::Text(text) => serde_json::Value::String(shorten(text)),
            Json::List(_) => return Err(ValueError { value: "a list".to_owned(), wanted }),
            Json::Object(_) => return Err(ValueError { value: "an object".to_owned(), wanted }),
        };
        Value::from_json(&json, wanted)
    }
}

/// Enough of a text for a message. (No value of another type than text is longer, so what is cut is only ever shown.)
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 100;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json<'de>, E> {
        Number::from_f64(number).map(Json::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut object = Object::default();
        while let Some(Name(name)) = entries.next_key()? {
            object.0.push((name, entries.next_value()?));
        }
        match object.doubled() {
            None => Ok(Json::Object(object)),
            Some(name) => Err(A::Error::custom(format_args!("`{}` stands twice in one object", shorten(name)))),
        }
    }
}

/// Borrowed where it has no escapes; `Cow` by itself never borrows.
struct Name<'b>(Cow<'b, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Json<'_>, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn names_stand_once() {
        assert!(read(r#"{"a": 1, "b": {"a": 1}}"#).is_ok());
        let error = read(r#"{"a": 1, "b": 2, "a": 1}"#).unwrap_err().to_string();
        assert!(error.starts_with("`a` stands twice in one object"), "{error}");
        // However it is written.
        assert!(read(r#"{"a": 1, "\u0061": 1}"#).is_err());
        let many: String = (0..2000).map(|n| format!("\"n{n}\": 0, ")).collect();
        assert!(read(&format!("{{{many}\"m\": 0}}")).is_ok());
        assert!(read(&format!("{{{many}\"n7\": 0}}")).is_err());
    }

    #[test]
    fn what_has_no_escapes_is_borrowed() {
        let Ok(Json::Object(object)) = read(r#"{"key": "plain"}"#) else { panic!("an object") };
        assert!(matches!(object.0[0], (Cow::Borrowed("key"), Json::Text(Cow::Borrowed("plain")))));
    }

    #[test]
    fn what_is_shown_is_short() {
        let long = format!("\"{}\"", "x".repeat(10_000));
        let error = read(&long).unwrap().value(DataType::Int).unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }
}
