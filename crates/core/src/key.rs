//! Keys as people and programs write them: the value alone where the key is one column, every column by its name where it
//! is several: `client_id=5,employer_id=7`, and `{"client_id": 5, "employer_id": 7}` in JSON.

use std::fmt;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value as Json;

use crate::value::{AsJson, ValueError};
use crate::{Column, Value, Zone};

/// Why a text or a JSON value is no key of these columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("`{column}`: {error}")]
    Value { column: String, error: ValueError },
    /// It is not of the form of a key of several columns.
    #[error("{problem}: write the key as {form}")]
    Form { column: Option<String>, problem: String, form: String },
}

impl KeyError {
    /// The column that is wrong, missing or unknown.
    pub fn column(&self) -> Option<&str> {
        match self {
            KeyError::Value { column, .. } => Some(column),
            KeyError::Form { column, .. } => column.as_deref(),
        }
    }
}

/// A key written as text. Of several columns each is named once, in any order; a value that holds a comma or a quotation
/// mark stands in quotation marks, as JSON has it.
pub fn parse(columns: &[Column], text: &str) -> Result<Vec<Value>, KeyError> {
    let value = |column: &Column, text: &str| {
        Value::parse(text, column.data_type, &Zone::utc())
            .map_err(|error| KeyError::Value { column: column.name.clone(), error })
    };
    if let [column] = columns {
        return Ok(vec![value(column, text)?]);
    }
    let mut given: Vec<Option<Value>> = vec![None; columns.len()];
    let mut rest = text;
    loop {
        let wrong = |problem: String| form(columns, None, problem);
        let Some((name, after)) = rest.split_once('=') else {
            return Err(wrong(format!("`{rest}` names no column of the key")));
        };
        let place = columns.iter().position(|column| column.name == name.trim());
        let Some(place) = place else {
            return Err(form(columns, Some(name), format!("`{name}` is no column of the key")));
        };
        let (written, after) = match after.strip_prefix('"') {
            Some(_) => quoted(after).ok_or_else(|| wrong(format!("`{after}` is not JSON text and then a comma")))?,
            None => match after.split_once(',') {
                Some((written, after)) => (written.to_owned(), Some(after)),
                None => (after.to_owned(), None),
            },
        };
        if given[place].replace(value(&columns[place], &written)?).is_some() {
            return Err(form(columns, Some(name), format!("`{name}` is given twice")));
        }
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    whole(columns, given)
}

/// JSON text at the beginning, and what follows the comma after it.
fn quoted(text: &str) -> Option<(String, Option<&str>)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let written = values.next()?.ok()?;
    match &text[values.byte_offset()..] {
        "" => Some((written, None)),
        rest => rest.strip_prefix(',').map(|after| (written, Some(after))),
    }
}

/// A key as [`to_json`] has it; of one column also as an object.
pub fn from_json(columns: &[Column], json: &Json) -> Result<Vec<Value>, KeyError> {
    let value = |column: &Column, json: &Json| {
        Value::from_json(json, column.data_type).map_err(|error| KeyError::Value { column: column.name.clone(), error })
    };
    let object = match (columns, json) {
        (_, Json::Object(object)) => object,
        ([column], json) => return Ok(vec![value(column, json)?]),
        _ => return Err(form(columns, None, format!("{json} is not a key of {} columns", columns.len()))),
    };
    if let Some(unknown) = object.keys().find(|name| columns.iter().all(|column| column.name != **name)) {
        return Err(form(columns, Some(unknown), format!("`{unknown}` is no column of the key")));
    }
    let given = columns.iter().map(|column| object.get(&column.name).map(|json| value(column, json)).transpose());
    let given = given.collect::<Result<_, _>>()?;
    whole(columns, given)
}

fn whole(columns: &[Column], given: Vec<Option<Value>>) -> Result<Vec<Value>, KeyError> {
    let missing = columns.iter().zip(&given).find(|(_, value)| value.is_none());
    if let Some((column, _)) = missing {
        return Err(form(columns, Some(&column.name), format!("`{}` is missing", column.name)));
    }
    Ok(given.into_iter().flatten().collect())
}

fn form(columns: &[Column], column: Option<&str>, problem: String) -> KeyError {
    let form = match columns {
        [only] => format!("a {}", only.data_type),
        columns => {
            let parts: Vec<String> = columns.iter().map(|column| format!("{}=…", column.name)).collect();
            format!("`{}`", parts.join(","))
        }
    };
    KeyError::Form { column: column.map(str::to_owned), problem, form }
}

/// A key with its columns: shown as [`parse`] reads it, serialised as [`to_json`] has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyView<'k> {
    columns: &'k [Column],
    values: &'k [Value],
}

impl<'k> KeyView<'k> {
    /// One value for each column.
    pub fn new(columns: &'k [Column], values: &'k [Value]) -> KeyView<'k> {
        KeyView { columns, values }
    }

    pub fn values(self) -> &'k [Value] {
        self.values
    }
}

pub fn to_json(columns: &[Column], values: &[Value]) -> Json {
    match values {
        [value] => value.to_json(),
        values => columns.iter().zip(values).map(|(column, value)| (column.name.clone(), value.to_json())).collect(),
    }
}

impl fmt::Display for KeyView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [value] = self.values {
            return value.fmt(f);
        }
        for (place, (column, value)) in self.columns.iter().zip(self.values).enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let written = value.to_string();
            match written.contains([',', '"']) {
                true => write!(f, "{comma}{}={}", column.name, Json::from(written))?,
                false => write!(f, "{comma}{}={written}", column.name)?,
            }
        }
        Ok(())
    }
}

impl Serialize for KeyView<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [value] = self.values {
            return AsJson(value).serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (column, value) in self.columns.iter().zip(self.values) {
            map.serialize_entry(&column.name, &AsJson(value))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataType;

    fn columns() -> Vec<Column> {
        vec![
            Column::new("branch", DataType::Text),
            Column::new("account_no", DataType::Int),
            Column::new("opened", DataType::Date),
        ]
    }

    fn refused(text: &str) -> String {
        parse(&columns(), text).unwrap_err().to_string()
    }

    #[test]
    fn one_column_is_its_value_and_several_are_named() {
        let one = [Column::new("name", DataType::Text)];
        assert_eq!(parse(&one, "a=1,b=2").unwrap(), [Value::text("a=1,b=2")]);
        let key = [Value::text("Brno, \"1\""), Value::Int(-7), Value::Date(0)];
        let written = r#"branch="Brno, \"1\"",account_no=-7,opened=1970-01-01"#;
        assert_eq!(KeyView::new(&columns(), &key).to_string(), written);
        assert_eq!(parse(&columns(), written).unwrap(), key);
        let other_order = r#"opened=1970-01-01,branch=Brno,account_no=-7"#;
        assert_eq!(parse(&columns(), other_order).unwrap()[0], Value::text("Brno"));
    }

    #[test]
    fn what_is_no_key_is_told_with_the_form() {
        let form = "write the key as `branch=…,account_no=…,opened=…`";
        assert_eq!(refused("5"), format!("`5` names no column of the key: {form}"));
        assert_eq!(refused("branch=a,account_no=1"), format!("`opened` is missing: {form}"));
        assert_eq!(refused("branch=a,branch=b"), format!("`branch` is given twice: {form}"));
        assert_eq!(refused("brnch=a"), format!("`brnch` is no column of the key: {form}"));
        assert_eq!(refused("branch=\"a"), format!("`\"a` is not JSON text and then a comma: {form}"));
        assert_eq!(refused("branch=a,account_no=x"), "`account_no`: `x` is not an int");
        let json = |json: serde_json::Value| from_json(&columns(), &json).unwrap_err().to_string();
        assert_eq!(json(serde_json::json!(5)), format!("5 is not a key of 3 columns: {form}"));
        assert_eq!(json(serde_json::json!({"branch": "a"})), format!("`account_no` is missing: {form}"));
        assert_eq!(json(serde_json::json!({"b": "a"})), format!("`b` is no column of the key: {form}"));
        assert_eq!(json(serde_json::json!({"branch": 1})), "`branch`: 1 is not a text");
    }
}
