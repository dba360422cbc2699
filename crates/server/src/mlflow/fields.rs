//! The fields of a call, read as MLflow reads them: protobuf's JSON, in which numbers may be text and what is unknown is
//! passed over.

use axum::extract::Query;
use axum::http::Uri;
use serde_json::{Map, Value as Json};

use super::error::MlflowError;

/// Said after what is wrong with a field.
const SEE: &str = " See the API docs for more information about request parameters.";

#[derive(Debug, Default)]
pub struct Fields {
    values: Map<String, Json>,
    /// Where these are, for messages: `metrics[3].`
    within: String,
}

impl Fields {
    /// Anything but an object has no fields.
    pub fn from_body(bytes: &[u8]) -> Result<Fields, MlflowError> {
        let parsed = match serde_json::from_slice(bytes) {
            // Old clients write their JSON as a JSON string.
            Ok(Json::String(text)) => serde_json::from_str(&text).unwrap_or_default(),
            Ok(parsed) => parsed,
            Err(_) if bytes.trim_ascii().is_empty() => Json::Null,
            Err(error) => return Err(MlflowError::invalid(format!("the request's body is not JSON: {error}"))),
        };
        let values = match parsed {
            Json::Object(values) => values,
            _ => Map::new(),
        };
        Ok(Fields { values, within: String::new() })
    }

    /// Of a GET. A name that stands several times is a list.
    pub fn from_query(uri: &Uri) -> Result<Fields, MlflowError> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(pairs) = query.map_err(|error| MlflowError::invalid(error.body_text()))?;
        let mut values: Map<String, Json> = Map::new();
        for (name, value) in pairs {
            match values.get_mut(&name) {
                None => drop(values.insert(name, Json::String(value))),
                Some(Json::Array(list)) => list.push(Json::String(value)),
                Some(first) => *first = Json::Array(vec![first.take(), Json::String(value)]),
            }
        }
        Ok(Fields { values, within: String::new() })
    }

    /// What the path says counts, whatever else says.
    pub fn extend(&mut self, path: Vec<(String, String)>) {
        self.values.extend(path.into_iter().map(|(name, value)| (name, Json::String(value))));
    }

    fn get(&self, name: &str) -> Option<&Json> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.within)
    }

    pub fn missing(&self, name: &str) -> MlflowError {
        MlflowError::invalid(format!("Missing value for required parameter '{}'.{SEE}", self.path(name)))
    }

    pub fn wrong(&self, name: &str, value: &Json) -> MlflowError {
        let kind = match value {
            Json::Null => "NoneType",
            Json::Bool(_) => "bool",
            Json::Number(number) if number.is_f64() => "float",
            Json::Number(_) => "int",
            Json::String(_) => "str",
            Json::Array(_) => "list",
            Json::Object(_) => "dict",
        };
        let path = self.path(name);
        MlflowError::invalid(format!(
            "Invalid value {value} for parameter '{path}' supplied:  Hint: Value was of type '{kind}'.{SEE}"
        ))
    }

    /// [`Fields::wrong`] of what was sent.
    pub fn refused(&self, name: &str) -> MlflowError {
        self.wrong(name, self.get(name).unwrap_or(&Json::Null))
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, MlflowError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    pub fn required(&self, name: &str) -> Result<&str, MlflowError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// `run_id`, or what it was called once.
    pub fn run_id(&self) -> Result<&str, MlflowError> {
        match self.text("run_id")?.filter(|text| !text.is_empty()) {
            Some(run_id) => Ok(run_id),
            None => self.text("run_uuid")?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing("run_id")),
        }
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>, MlflowError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let read = match value {
            Json::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        read.map(Some).ok_or_else(|| self.wrong(name, value))
    }

    pub fn flag(&self, name: &str, otherwise: bool) -> Result<bool, MlflowError> {
        match self.get(name) {
            None => Ok(otherwise),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    pub fn required_int(&self, name: &str) -> Result<i64, MlflowError> {
        self.int(name)?.ok_or_else(|| self.missing(name))
    }

    pub fn required_float(&self, name: &str) -> Result<f64, MlflowError> {
        let value = self.get(name).filter(|value| *value != "").ok_or_else(|| self.missing(name))?;
        let read = match value {
            Json::Number(number) => number.as_f64(),
            // As protobuf takes it.
            Json::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Json::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                text => text.parse().ok().filter(|number: &f64| number.is_finite()),
            },
            _ => None,
        };
        read.ok_or_else(|| self.wrong(name, value))
    }

    /// The strings of a list; one alone stands for a list of one, as it does in a query.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, MlflowError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Json::String(one)) => Ok(vec![one.clone()]),
            Some(Json::Array(items)) => {
                let text = |item: &Json| item.as_str().map(str::to_owned);
                let texts = items.iter().map(text).collect::<Option<Vec<_>>>();
                texts.ok_or_else(|| self.wrong(name, &Json::Array(items.clone())))
            }
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    /// The messages of a list, each with its own fields.
    pub fn messages(&mut self, name: &str) -> Result<Vec<Fields>, MlflowError> {
        let path = self.path(name);
        match self.values.remove(name) {
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(Json::Array(items)) => {
                let each = items.into_iter().enumerate().map(|(number, item)| match item {
                    Json::Object(values) => Ok(Fields { values, within: format!("{path}[{number}].") }),
                    other => Err(self.wrong(name, &other)),
                });
                each.collect()
            }
            Some(other) => Err(self.wrong(name, &other)),
        }
    }

    /// A message of its own fields; one that is missing has none.
    pub fn message(&mut self, name: &str) -> Result<Fields, MlflowError> {
        let within = format!("{}.", self.path(name));
        match self.values.remove(name) {
            None | Some(Json::Null) => Ok(Fields { values: Map::new(), within }),
            Some(Json::Object(values)) => Ok(Fields { values, within }),
            Some(other) => Err(self.wrong(name, &other)),
        }
    }
}

fn whole(number: f64) -> Option<i64> {
    // The largest below which every whole number is exact.
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}
