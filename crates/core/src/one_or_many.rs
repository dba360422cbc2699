//! Serde of lists that mostly have one item, which then stands alone: `client`, or `[client, employer]`. An empty list is
//! refused.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub fn serialize<T: Serialize, S: Serializer>(items: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    match items {
        [one] => one.serialize(serializer),
        many => serializer.collect_seq(many),
    }
}

pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        Many(Vec<T>),
        One(T),
    }
    match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(many) if many.is_empty() => Err(D::Error::custom("a list of none")),
        OneOrMany::Many(many) => Ok(many),
        OneOrMany::One(one) => Ok(vec![one]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Of(#[serde(with = "super")] Vec<crate::Column>);

    #[test]
    fn one_stands_alone_and_several_in_a_list() {
        let column = |name: &str| crate::Column::new(name, crate::DataType::Int);
        for (of, form) in [
            (Of(vec![column("a")]), json!({"name": "a", "type": "int"})),
            (Of(vec![column("a"), column("b")]), json!([{"name": "a", "type": "int"}, {"name": "b", "type": "int"}])),
        ] {
            assert_eq!(serde_json::to_value(&of).unwrap(), form);
            assert_eq!(serde_json::from_value::<Of>(form).unwrap(), of);
        }
        assert!(serde_json::from_value::<Of>(json!([])).is_err());
        assert!(serde_json::from_value::<Of>(json!("a")).is_err());
    }
}
