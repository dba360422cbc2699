//! What a caller may send. JSON comes in as a tree, so that a wrong field is named whatever else is wrong.

mod json;
mod key;

use karat_core::{DataType, Instant, Value, nearest};

use crate::reasons::Which;
use crate::{Input, InputOrigin, Pinned, ServingError};
pub(crate) use json::shorten;
use json::{Json, Object};

/// A whole request: who or what is asked about, and as of when.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    pub subjects: Vec<Subject>,
    /// The request-time fields in the order of the inputs, for subjects that are keys.
    pub fields: Vec<Value>,
    /// Whether one decision was asked for (`key`), so that one is answered, not a list.
    pub single: bool,
    /// Default: now.
    pub as_of: Option<Instant>,
    /// Default: as the endpoint says.
    pub reasons: Option<Which>,
}

/// What one decision is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// Features come from the online store: a value for each of the model's key columns.
    Key(Vec<Value>),
    /// Every input was sent, in the order of the signature.
    Row { key: Option<Vec<Value>>, values: Vec<Value> },
}

pub(crate) fn keys(subjects: &[Subject]) -> impl Iterator<Item = &[Value]> {
    subjects.iter().filter_map(|subject| match subject {
        Subject::Key(key) => Some(key.as_slice()),
        Subject::Row { .. } => None,
    })
}

const EXAMPLE: &str = "{\"key\": 5008806}";

impl Body {
    /// `{"key": 1}` (`{"key": {"client_id": 1, "employer_id": 2}}` of several columns), `{"keys": [1, 2]}` or `{"rows": [{…}]}`; with `as_of`, `reasons`, and with `fields` where the model
    /// declares request-time fields. At most `most` keys or rows.
    pub fn parse(bytes: &[u8], pinned: &Pinned, most: u32) -> Result<Body, ServingError> {
        let json: Json<'_> = read(bytes)?;
        let Json::Object(body) = json else {
            return Err(field("", format!("the body is a JSON object such as {EXAMPLE}")));
        };
        let known = ["key", "keys", "rows", "as_of", "fields", "reasons"];
        if let Some(unknown) = body.names().find(|name| !known.contains(name)) {
            return Err(unknown_field("", unknown, known));
        }
        let given = |name: &str| body.get(name).filter(|json| **json != Json::Null);
        let as_of = given("as_of").map(as_of).transpose()?;
        let reasons = given("reasons").map(reasons).transpose()?;
        let fields = || request_fields(body.get("fields"), pinned);
        let (subjects, fields, single) = match (body.get("key"), body.get("keys"), body.get("rows")) {
            (Some(key), None, None) => {
                (vec![Subject::Key(key::read(key, &pinned.keys, &|| "key".to_owned())?)], fields()?, true)
            }
            (None, Some(keys), None) => {
                let keys = list(keys, "keys", most)?.iter().enumerate();
                let keys = keys.map(|(i, key)| key::read(key, &pinned.keys, &|| format!("keys[{i}]")));
                (keys.map(|key| key.map(Subject::Key)).collect::<Result<_, _>>()?, fields()?, false)
            }
            (None, None, Some(rows)) => {
                if body.get("fields").is_some() {
                    return Err(field(
                        "fields",
                        "`fields` goes with `key` or `keys`; a row carries every input itself",
                    ));
                }
                let rows = list(rows, "rows", most)?.iter().enumerate();
                let rows = rows.map(|(i, row)| full_row(row, pinned, &format!("rows[{i}]")));
                (rows.collect::<Result<_, ServingError>>()?, Vec::new(), false)
            }
            _ => return Err(field("key", "send exactly one of `key`, `keys` and `rows`")),
        };
        Ok(Body { subjects, fields, single, as_of, reasons })
    }

    /// Those whose features come from the online store: all subjects, or none.
    pub fn keys(&self) -> impl Iterator<Item = &[Value]> {
        keys(&self.subjects)
    }
}

/// Text that is JSON; the message of an error says where it stops being that.
fn read(bytes: &[u8]) -> Result<Json<'_>, ServingError> {
    let malformed = |problem: String| Err(ServingError::Malformed(problem));
    // Some programs write it before UTF-8; RFC 8259 lets readers pass over it.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return malformed(format!("the body is empty: send JSON such as {EXAMPLE}"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            return malformed(format!("the body is not UTF-8: byte {at} is 0x{:02x}", bytes[at]));
        }
    };
    match serde_json::from_str(text) {
        Ok(json) => Ok(json),
        // Our own finding, on text that is JSON.
        Err(error) if error.is_data() => malformed(format!("the body is ambiguous: {error}")),
        Err(error) => malformed(format!("the body is not JSON: {error}")),
    }
}

fn field(name: impl Into<String>, message: impl Into<String>) -> ServingError {
    ServingError::Field { field: name.into(), message: message.into() }
}

/// `within` is where the name stands: `` for the body itself, `fields`, `rows[3]`.
fn unknown_field<'a>(within: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> ServingError {
    let name = shorten(name);
    let path = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
    let known: Vec<&str> = known.into_iter().collect();
    let hint = match nearest(&name, known.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None => format!("known are {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")),
    };
    field(&path, format!("unknown field `{path}`: {hint}"))
}

fn list<'a, 'b>(json: &'a Json<'b>, name: &str, most: u32) -> Result<&'a Vec<Json<'b>>, ServingError> {
    let Json::List(list) = json else { return Err(field(name, format!("`{name}` is a list"))) };
    match list.len() {
        0 => Err(field(name, format!("`{name}` is empty"))),
        n if n > most as usize => Err(field(name, format!("`{name}` has {n} entries; send at most {most} at once"))),
        _ => Ok(list),
    }
}

fn as_of(json: &Json<'_>) -> Result<Instant, ServingError> {
    let Json::Text(text) = json else {
        return Err(field("as_of", "`as_of` is text such as \"2021-10-01T00:00:00Z\""));
    };
    as_of_text(text)
}

/// An instant with its offset, as `as_of` has it.
pub(crate) fn as_of_text(text: &str) -> Result<Instant, ServingError> {
    // What is too long to be shown is no instant either way.
    let parsed = Instant::parse_with_offset(text).or_else(|_| Instant::parse_with_offset(&shorten(text)));
    parsed.map_err(|e| field("as_of", format!("`as_of`: {e}")))
}

fn reasons(json: &Json<'_>) -> Result<Which, ServingError> {
    let known = Which::WORDS.iter().find(|(word, _)| matches!(json, Json::Text(text) if text == word));
    known.map(|(_, which)| *which).ok_or_else(|| field("reasons", "`reasons` is \"all\", \"adverse\" or \"none\""))
}

fn typed(json: &Json<'_>, wanted: DataType, path: &dyn Fn() -> String) -> Result<Value, ServingError> {
    json.value(wanted).map_err(|error| {
        let path = path();
        field(&path, format!("`{path}`: {error}"))
    })
}

fn request_fields(json: Option<&Json<'_>>, pinned: &Pinned) -> Result<Vec<Value>, ServingError> {
    let empty = Object::default();
    let sent = match json {
        None => &empty,
        Some(Json::Object(map)) => map,
        Some(_) => return Err(field("fields", "`fields` is an object of request-time fields by name")),
    };
    let is_known = |name: &str| pinned.request_fields().any(|(_, input)| input.name == name);
    if let Some(unknown) = sent.names().find(|name| !is_known(name)) {
        let names: Vec<&str> = pinned.request_fields().map(|(_, input)| input.name.as_str()).collect();
        if names.is_empty() {
            return Err(field(
                format!("fields.{}", shorten(unknown)),
                "this model has no request-time fields: leave `fields` out",
            ));
        }
        return Err(unknown_field("fields", unknown, names));
    }
    let fields = pinned.request_fields().map(|(_, input)| {
        let path = || format!("fields.{}", input.name);
        match sent.get(&input.name) {
            Some(json) => typed(json, input.data_type, &path),
            None => {
                let path = path();
                Err(field(&path, format!("`{path}` is missing: send a {} or null", input.data_type)))
            }
        }
    });
    fields.collect()
}

fn full_row(json: &Json<'_>, pinned: &Pinned, path: &str) -> Result<Subject, ServingError> {
    let Json::Object(row) = json else {
        return Err(field(path, format!("`{path}` is an object of the model's inputs by name")));
    };
    let is_input = |name: &str| pinned.inputs.iter().any(|input| input.name == name);
    let is_key = |name: &str| pinned.keys.iter().any(|key| key.name == name);
    if let Some(unknown) = row.names().find(|name| !is_input(name) && !is_key(name)) {
        let keys = pinned.keys.iter().map(|key| key.name.as_str());
        let known = pinned.inputs.iter().map(|input| input.name.as_str()).chain(keys);
        return Err(unknown_field(path, unknown, known));
    }
    let key = key::of_row(row, &pinned.keys, path)?;
    let values = pinned.inputs.iter().map(|input| {
        let path = || format!("{path}.{}", input.name);
        match row.get(&input.name) {
            Some(json) => typed(json, input.data_type, &path),
            None => {
                let path = path();
                Err(field(&path, format!("`{path}` is missing: a full row has every input; send null for none")))
            }
        }
    });
    Ok(Subject::Row { key, values: values.collect::<Result<_, _>>()? })
}

impl Subject {
    pub fn key(&self) -> Option<&[Value]> {
        match self {
            Subject::Key(key) => Some(key),
            Subject::Row { key, .. } => key.as_deref(),
        }
    }

    /// Whether the caller sent the features, so that no history stands behind them.
    pub fn is_row(&self) -> bool {
        matches!(self, Subject::Row { .. })
    }
}

impl Input {
    /// Places of the view's output this input reads; `None` for a request field.
    pub fn view_output(&self) -> Option<(usize, usize)> {
        match self.origin {
            InputOrigin::View { view, output } => Some((view, output)),
            InputOrigin::Request => None,
        }
    }
}
