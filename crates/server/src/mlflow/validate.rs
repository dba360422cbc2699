//! MLflow's rules for names and lengths, in its words.

use karat_registry::{Metric, Stage};
use serde_json::json;

use super::error::{Code, MlflowError};

pub const MOST_RUNS: i64 = 50_000;
const LONGEST_KEY: usize = 250;
const LONGEST_PARAM: usize = 6_000;
const LONGEST_TAG: usize = 8_000;
const LONGEST_EXPERIMENT: usize = 500;
const LONGEST_EXPERIMENT_TAG: usize = 20_000;
const LONGEST_MODEL: usize = 256;
const LONGEST_MODEL_TAG: usize = 100_000;
const LONGEST_ALIAS: usize = 255;

pub fn experiment_id(text: &str) -> Result<i64, MlflowError> {
    let wrong =
        || MlflowError::invalid(format!("Invalid experiment ID '{text}'. Experiment ID must be a valid integer."));
    text.trim().parse().map_err(|_| wrong())
}

pub fn run_id(run_id: &str) -> Result<(), MlflowError> {
    let first = run_id.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = run_id.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) && run_id.chars().count() <= 256;
    match first && rest {
        true => Ok(()),
        false => Err(MlflowError::invalid(format!("Invalid value {} for parameter 'run_id' supplied.", json!(run_id)))),
    }
}

pub fn experiment_name(name: &str) -> Result<(), MlflowError> {
    length("name", LONGEST_EXPERIMENT, name)
}

pub fn experiment_tag(key: &str, value: &str) -> Result<(), MlflowError> {
    name(key, "key")?;
    length("key", LONGEST_EXPERIMENT_TAG_KEY, key)?;
    length("value", LONGEST_EXPERIMENT_TAG, value)
}

const LONGEST_EXPERIMENT_TAG_KEY: usize = LONGEST_KEY;

/// `path`: where the tag stands, with a dot, or nothing.
pub fn tag(key: &str, value: &str, path: &str) -> Result<String, MlflowError> {
    name(key, &format!("{path}key"))?;
    length(&format!("{path}key"), LONGEST_KEY, key)?;
    Ok(shortened(value, LONGEST_TAG))
}

pub fn param(key: &str, value: &str, path: &str) -> Result<String, MlflowError> {
    name(key, &format!("{path}key"))?;
    length("Param key", LONGEST_KEY, key)?;
    Ok(shortened(value, LONGEST_PARAM))
}

pub fn metric(metric: &Metric, path: &str) -> Result<(), MlflowError> {
    name(&metric.key, &format!("{path}name"))?;
    if metric.timestamp_ms < 0 {
        let Metric { key, value, timestamp_ms, .. } = metric;
        return Err(MlflowError::invalid(format!(
            "Invalid value {timestamp_ms} for parameter '{path}timestamp' supplied: metric '{key}' (value={value:?}). \
             Timestamp must be a nonnegative long (64-bit integer) "
        )));
    }
    length("Metric name", LONGEST_KEY, &metric.key)
}

pub fn model_name(text: &str) -> Result<(), MlflowError> {
    if text.trim().is_empty() {
        return Err(MlflowError::invalid("Missing value for required parameter 'name'."));
    }
    if text.contains(['/', ':']) {
        return Err(MlflowError::invalid(format!("Invalid model name '{text}'. Names cannot contain '/' or ':'.")));
    }
    unique(text, "name")?;
    length("name", LONGEST_MODEL, text)
}

pub fn tag_name(key: &str) -> Result<(), MlflowError> {
    name(key, "key")
}

pub fn model_tag(key: &str, value: &str) -> Result<(), MlflowError> {
    tag_name(key)?;
    length("key", LONGEST_KEY, key)?;
    length("value", LONGEST_MODEL_TAG, value)
}

/// A version's number; there is none that is not from 1.
pub fn version(model: &str, text: &str) -> Result<u64, MlflowError> {
    let wrong = || MlflowError::invalid(format!("Parameter 'version' must be an integer, got '{text}'."));
    let number: i64 = text.trim().parse().map_err(|_| wrong())?;
    let missing = || {
        let message = format!("Model Version (name={model}, version={number}) not found");
        MlflowError::new(Code::ResourceDoesNotExist, message)
    };
    u64::try_from(number).map_err(|_| missing())
}

pub fn stage(text: &str) -> Result<Stage, MlflowError> {
    let wrong = || {
        MlflowError::invalid(format!(
            "Invalid Model Version stage: {text}. Value must be one of None, Staging, Production, Archived."
        ))
    };
    Stage::named(text).ok_or_else(wrong)
}

pub fn alias(text: &str) -> Result<(), MlflowError> {
    if !text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        return Err(MlflowError::invalid(format!(
            "Invalid alias name: '{text}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )));
    }
    length("Registered model alias name", LONGEST_ALIAS, text)
}

pub fn alias_not_reserved(text: &str) -> Result<(), MlflowError> {
    if text.eq_ignore_ascii_case("latest") {
        return Err(MlflowError::invalid("'latest' alias name (case insensitive) is reserved."));
    }
    let number = text.strip_prefix(['v', 'V']).unwrap_or_default();
    match !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) {
        true => Err(MlflowError::invalid(format!("Version alias name '{text}' is reserved."))),
        false => Ok(()),
    }
}

/// Infinities are as large as numbers get, as MLflow's databases keep them.
pub fn stored(value: f64) -> f64 {
    if value.is_nan() { value } else { value.clamp(f64::MIN, f64::MAX) }
}

fn length(what: &str, most: usize, text: &str) -> Result<(), MlflowError> {
    match text.chars().count() > most {
        true => Err(MlflowError::invalid(format!("'{what}' exceeds the maximum length of {most} characters"))),
        false => Ok(()),
    }
}

/// As MLflow does unless told not to.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

fn name(name: &str, path: &str) -> Result<(), MlflowError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ' | ':');
    if !name.chars().all(allowed) {
        let why = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) \
                   and slashes (/).";
        return Err(wrong(name, path, why));
    }
    unique(name, path)
}

/// Not a path that stands for another.
fn unique(name: &str, path: &str) -> Result<(), MlflowError> {
    if !name.contains('/') && !matches!(name, "" | ".") && !name.starts_with("..") {
        return Ok(());
    }
    let normal = normal_path(name);
    if normal != name || normal == "." || normal.starts_with("..") || normal.starts_with('/') {
        let why = format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. \
             This name would resolve to '{normal}'"
        );
        return Err(wrong(name, path, &why));
    }
    Ok(())
}

fn wrong(value: &str, path: &str, why: &str) -> MlflowError {
    MlflowError::invalid(format!("Invalid value {} for parameter '{path}' supplied: {why}", json!(value)))
}

/// As Python's `posixpath.normpath`.
fn normal_path(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let slashes = path.len() - path.trim_start_matches('/').len();
    let root = match slashes {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if !root.is_empty() => {}
            part => parts.push(part),
        }
    }
    match format!("{root}{}", parts.join("/")) {
        empty if empty.is_empty() => ".".to_owned(),
        normal => normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_normal_as_python_does() {
        for (path, normal) in [
            ("a/b", "a/b"),
            ("a//b/", "a/b"),
            ("./a", "a"),
            ("a/../..", ".."),
            ("../a", "../a"),
            ("/..", "/"),
            ("//a", "//a"),
            ("///a", "/a"),
            ("", "."),
            ("a/..", "."),
        ] {
            assert_eq!(normal_path(path), normal, "{path}");
        }
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        assert_eq!(shortened("ééé", 2), "éé");
        assert_eq!(stored(f64::INFINITY), f64::MAX);
        assert!(stored(f64::NAN).is_nan());
    }
}
