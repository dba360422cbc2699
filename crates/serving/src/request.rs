//! What a caller may send. JSON comes in as a tree, so that a wrong field is named whatever else is wrong.

use karat_core::{Column, Instant, Value, nearest};
use serde_json::{Map, Value as Json};

use crate::{Input, InputOrigin, Pinned, ServingError};

/// A whole request: who or what is asked about, and as of when.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    pub subjects: Vec<Subject>,
    /// Whether one decision was asked for (`key`), so that one is answered, not a list.
    pub single: bool,
    /// Default: now.
    pub as_of: Option<Instant>,
}

/// What one decision is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// Features come from the online store; `fields` are the request-time fields in the order of the inputs.
    Key { key: Value, fields: Vec<Value> },
    /// Every input was sent, in the order of the signature.
    Row { key: Option<Value>, values: Vec<Value> },
}

const MOST_SUBJECTS: usize = 10_000;

impl Body {
    /// `{"key": 1}`, `{"keys": [1, 2]}` or `{"rows": [{…}]}`; with `as_of`, and with `fields` where the model declares
    /// request-time fields.
    pub fn parse(json: &Json, pinned: &Pinned) -> Result<Body, ServingError> {
        let body = json.as_object().ok_or_else(|| field("", "the body is a JSON object such as {\"key\": 5008806}"))?;
        let known = ["key", "keys", "rows", "as_of", "fields"];
        if let Some(unknown) = body.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(unknown_field(unknown, unknown, known));
        }
        let as_of = body.get("as_of").filter(|v| !v.is_null()).map(as_of).transpose()?;
        let fields = || request_fields(body.get("fields"), pinned);
        let (subjects, single) = match (body.get("key"), body.get("keys"), body.get("rows")) {
            (Some(key), None, None) => {
                (vec![Subject::Key { key: key_value(key, &pinned.key, "key")?, fields: fields()? }], true)
            }
            (None, Some(keys), None) => {
                let keys = list(keys, "keys")?;
                let fields = fields()?;
                let subjects = keys.iter().enumerate().map(|(i, key)| {
                    let key = key_value(key, &pinned.key, &format!("keys[{i}]"))?;
                    Ok(Subject::Key { key, fields: fields.clone() })
                });
                (subjects.collect::<Result<_, ServingError>>()?, false)
            }
            (None, None, Some(rows)) => {
                if body.contains_key("fields") {
                    return Err(field(
                        "fields",
                        "`fields` goes with `key` or `keys`; a row carries every input itself",
                    ));
                }
                let rows = list(rows, "rows")?;
                let subjects = rows.iter().enumerate().map(|(i, row)| full_row(row, pinned, &format!("rows[{i}]")));
                (subjects.collect::<Result<_, ServingError>>()?, false)
            }
            _ => return Err(field("key", "send exactly one of `key`, `keys` and `rows`")),
        };
        Ok(Body { subjects, single, as_of })
    }
}

fn field(name: impl Into<String>, message: impl Into<String>) -> ServingError {
    ServingError::Field { field: name.into(), message: message.into() }
}

fn unknown_field<'a>(path: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> ServingError {
    let known: Vec<&str> = known.into_iter().collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None => format!("known are {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")),
    };
    field(path, format!("unknown field `{path}`: {hint}"))
}

fn list<'a>(json: &'a Json, name: &str) -> Result<&'a Vec<Json>, ServingError> {
    let list = json.as_array().ok_or_else(|| field(name, format!("`{name}` is a list")))?;
    match list.len() {
        0 => Err(field(name, format!("`{name}` is empty"))),
        n if n > MOST_SUBJECTS => Err(field(name, format!("`{name}` has {n} entries; send at most {MOST_SUBJECTS}"))),
        _ => Ok(list),
    }
}

fn as_of(json: &Json) -> Result<Instant, ServingError> {
    let text = json.as_str().ok_or_else(|| field("as_of", "`as_of` is text such as \"2021-10-01T00:00:00Z\""))?;
    Instant::parse_with_offset(text).map_err(|e| field("as_of", format!("`as_of`: {e}")))
}

/// A key as itself, or as `{"client_id": 5008806}`.
fn key_value(json: &Json, key: &Column, path: &str) -> Result<Value, ServingError> {
    if let Json::Object(columns) = json {
        if let Some(unknown) = columns.keys().find(|name| **name != key.name) {
            return Err(unknown_field(&format!("{path}.{unknown}"), unknown, [key.name.as_str()]));
        }
        let inner = columns.get(&key.name).unwrap_or(&Json::Null);
        return key_value(inner, key, &format!("{path}.{}", key.name));
    }
    match typed(json, key, path)? {
        Value::Null => Err(field(path, format!("`{path}` is null: a key has a value"))),
        value => Ok(value),
    }
}

fn typed(json: &Json, column: &Column, path: &str) -> Result<Value, ServingError> {
    Value::from_json(json, column.data_type).map_err(|e| field(path, format!("`{path}`: {e}")))
}

fn input_column(input: &Input) -> Column {
    Column::new(&input.name, input.data_type)
}

fn request_fields(json: Option<&Json>, pinned: &Pinned) -> Result<Vec<Value>, ServingError> {
    let empty = Map::new();
    let sent = match json {
        None => &empty,
        Some(Json::Object(map)) => map,
        Some(_) => return Err(field("fields", "`fields` is an object of request-time fields by name")),
    };
    let names: Vec<&str> = pinned.request_fields().map(|(_, input)| input.name.as_str()).collect();
    if let Some(unknown) = sent.keys().find(|name| !names.contains(&name.as_str())) {
        if names.is_empty() {
            return Err(field(
                format!("fields.{unknown}"),
                "this model has no request-time fields: leave `fields` out",
            ));
        }
        return Err(unknown_field(&format!("fields.{unknown}"), unknown, names));
    }
    pinned
        .request_fields()
        .map(|(_, input)| {
            let path = format!("fields.{}", input.name);
            let json = sent
                .get(&input.name)
                .ok_or_else(|| field(&path, format!("`{path}` is missing: send a {} or null", input.data_type)))?;
            typed(json, &input_column(input), &path)
        })
        .collect()
}

fn full_row(json: &Json, pinned: &Pinned, path: &str) -> Result<Subject, ServingError> {
    let row =
        json.as_object().ok_or_else(|| field(path, format!("`{path}` is an object of the model's inputs by name")))?;
    let is_input = |name: &str| pinned.inputs.iter().any(|input| input.name == name);
    if let Some(unknown) = row.keys().find(|name| !is_input(name) && **name != pinned.key.name) {
        let known = pinned.inputs.iter().map(|input| input.name.as_str()).chain([pinned.key.name.as_str()]);
        return Err(unknown_field(&format!("{path}.{unknown}"), unknown, known));
    }
    let key = match row.get(&pinned.key.name) {
        Some(json) => Some(key_value(json, &pinned.key, &format!("{path}.{}", pinned.key.name))?),
        None => None,
    };
    let values = pinned.inputs.iter().map(|input| {
        let path = format!("{path}.{}", input.name);
        let json = row.get(&input.name).ok_or_else(|| {
            field(&path, format!("`{path}` is missing: a full row has every input; send null for none"))
        })?;
        typed(json, &input_column(input), &path)
    });
    Ok(Subject::Row { key, values: values.collect::<Result<_, _>>()? })
}

impl Subject {
    pub fn key(&self) -> Option<&Value> {
        match self {
            Subject::Key { key, .. } => Some(key),
            Subject::Row { key, .. } => key.as_ref(),
        }
    }

    /// Whether the caller sent the features, so that no history stands behind them.
    pub fn is_row(&self) -> bool {
        matches!(self, Subject::Row { .. })
    }
}

impl Input {
    /// Places of the view's output this input reads; `None` for a request field.
    pub(crate) fn view_output(&self) -> Option<(usize, usize)> {
        match self.origin {
            InputOrigin::View { view, output } => Some((view, output)),
            InputOrigin::Request => None,
        }
    }
}
