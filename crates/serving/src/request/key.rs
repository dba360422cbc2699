//! The key of a request: whom its decision is about.

use karat_core::{Column, Value};

use super::json::{Json, Object};
use super::{field, typed, unknown_field};
use crate::ServingError;

/// A key of one column as itself or as `{"client_id": 5008806}`, one of several as an object of all of them.
pub(super) fn read(json: &Json<'_>, keys: &[Column], path: &dyn Fn() -> String) -> Result<Vec<Value>, ServingError> {
    match (json, keys) {
        (Json::Object(columns), _) => columns_of(columns, keys, &path()),
        (json, [key]) => Ok(vec![value(json, key, path)?]),
        (_, keys) => {
            let path = path();
            let form: Vec<String> = keys.iter().map(|key| format!("\"{}\": …", key.name)).collect();
            Err(field(&path, format!("`{path}` is an object of the key's columns: {{{}}}", form.join(", "))))
        }
    }
}

fn columns_of(columns: &Object<'_>, keys: &[Column], path: &str) -> Result<Vec<Value>, ServingError> {
    if let Some(unknown) = columns.names().find(|name| keys.iter().all(|key| key.name != **name)) {
        return Err(unknown_field(path, unknown, keys.iter().map(|key| key.name.as_str())));
    }
    if let [key] = keys {
        let inner = columns.get(&key.name).unwrap_or(&Json::Null);
        return Ok(vec![value(inner, key, &|| format!("{path}.{}", key.name))?]);
    }
    let values = keys.iter().map(|key| match columns.get(&key.name) {
        Some(json) => part(json, key, &|| format!("{path}.{}", key.name)),
        None => Err(missing(key, path)),
    });
    let values = values.collect::<Result<Vec<Value>, ServingError>>()?;
    if values.iter().all(Value::is_null) {
        return Err(field(path, format!("every column of `{path}` is null: a decision is about somebody")));
    }
    Ok(values)
}

/// The key that a full row carries: all of its columns, or none.
pub(super) fn of_row(row: &Object<'_>, keys: &[Column], path: &str) -> Result<Option<Vec<Value>>, ServingError> {
    if keys.iter().all(|key| row.get(&key.name).is_none()) {
        return Ok(None);
    }
    let values = keys.iter().map(|key| {
        let path_of = || format!("{path}.{}", key.name);
        match (row.get(&key.name), keys.len()) {
            (Some(json), 1) => read(json, keys, &path_of).map(|mut values| values.remove(0)),
            (Some(json), _) => part(json, key, &path_of),
            (None, _) => Err(missing(key, path)),
        }
    });
    values.collect::<Result<Vec<Value>, ServingError>>().map(Some)
}

fn missing(key: &Column, path: &str) -> ServingError {
    let path = format!("{path}.{}", key.name);
    field(&path, format!("`{path}` is missing: send {}, or null where there is none", key.data_type.with_article()))
}

/// A key on its own.
fn value(json: &Json<'_>, key: &Column, path: &dyn Fn() -> String) -> Result<Value, ServingError> {
    match part(json, key, path)? {
        Value::Null => {
            let path = path();
            Err(field(&path, format!("`{path}` is null: a key has a value")))
        }
        value => Ok(value),
    }
}

/// One column of a key: null stands for none, which has no history, as in the rows of a spine.
fn part(json: &Json<'_>, key: &Column, path: &dyn Fn() -> String) -> Result<Value, ServingError> {
    if matches!(json, Json::Object(_)) {
        let path = path();
        return Err(field(&path, format!("`{path}`: an object is not {}", key.data_type.with_article())));
    }
    typed(json, key.data_type, path)
}
