//! The published schemas agree with what loading accepts: a small evaluator of the JSON Schema words that they use
//! holds every valid file against them, and every key they offer is one that loading knows.

use karat_project::{Project, SCHEMA_KINDS, schema_of};
use regex::Regex;
use serde_json::{Value, json};

use crate::support::{Folder, files_under, tests_folder};

#[test]
fn every_kind_has_a_closed_schema() {
    for kind in SCHEMA_KINDS {
        let schema = schema_of(kind).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false), "{kind}");
        assert_eq!(schema["title"], kind);
        assert!(schema["description"].as_str().is_some_and(|text| !text.is_empty()), "{kind}");
        if kind != "Project" {
            assert_eq!(schema["properties"]["kind"]["const"], kind);
            assert!(schema["required"].as_array().unwrap().contains(&json!("kind")));
        }
        check_words(&schema, kind);
    }
    assert_eq!(schema_of("Pipeline"), None);
    assert_eq!(schema_of("source"), None);
}

#[test]
fn valid_files_satisfy_their_schemas() {
    let mut checked = 0;
    for (path, text) in files_under(&tests_folder().join("lending")) {
        let value = to_json(&text);
        let kind = value["kind"].as_str().unwrap_or("Project").to_owned();
        let schema = schema_of(&kind).unwrap();
        if let Err(why) = validate(&schema, &schema, &value) {
            panic!("{path}: {why}");
        }
        checked += 1;
    }
    assert!(checked >= 9, "{checked}");
}

#[test]
fn mistakes_violate_the_schemas() {
    let source = |rule: Value| json!({"kind": "Source", "name": "s", "path": "a.parquet", "contract": [rule]});
    let check = |value: &Value| {
        let schema = schema_of(value["kind"].as_str().unwrap()).unwrap();
        validate(&schema, &schema, value)
    };
    for good in [
        json!({"check": "unique", "column": "a"}),
        json!({"check": "unique", "columns": ["a", "b"], "action": "warn"}),
        json!({"check": "range", "column": "a", "min": 0, "fail_above": 0.5, "description": "x"}),
        json!({"check": "row_count", "min": 1, "action": "fail"}),
    ] {
        check(&source(good)).unwrap();
    }
    for bad in [
        json!({"check": "unique", "column": "a", "columns": ["a"]}),
        json!({"check": "unique"}),
        json!({"check": "not_null", "columns": ["a"]}),
        json!({"check": "range", "column": "a", "minimum": 0}),
        json!({"check": "rnge", "column": "a"}),
        json!({"check": "not_null", "column": "a", "action": "drop"}),
    ] {
        assert!(check(&source(bad.clone())).is_err(), "{bad}");
    }
    let columns = |spec: Value| json!({"kind": "Source", "name": "s", "path": "a.csv", "columns": {"a": spec}});
    check(&columns(json!({"type": "int", "from": "A"}))).unwrap();
    assert!(check(&columns(json!({"type": "int", "form": "A"}))).is_err());
    let mut model =
        to_json(&std::fs::read_to_string(tests_folder().join("lending/models/credit_default.yaml")).unwrap());
    check(&model).unwrap();
    let events = json!({"source": "payments", "where": "late", "observe": "90 days", "collect": "30 days"});
    for (key, value, is_good) in [
        ("label", events.clone(), true),
        (
            "label",
            json!({"source": "payments", "max": "amount", "at_least": 9, "observe": "1 year", "collect": "0 days"}),
            true,
        ),
        ("label", json!({"source": "payments", "observe": "90 days"}), false),
        ("label", json!({"source": "payments", "observe": "90 days", "collect": "1 day", "mean": "amount"}), false),
        ("keep", json!("last"), true),
        ("keep", json!(3), true),
        ("keep", json!("newest"), false),
        ("keep", json!(0), false),
        ("asof", json!("month"), false),
    ] {
        let mut other = model.clone();
        other["spine"][key] = value.clone();
        assert_eq!(check(&other).is_ok(), is_good, "{key}: {value}");
    }
    model["spine"]["label"] = events;
    check(&model).unwrap();
}

/// Every key that a schema offers at the top of a file is known to loading.
#[test]
fn loading_knows_every_key_of_the_schemas() {
    let files = [
        ("Project", "karat.yaml"),
        ("Source", "sources/payments.yaml"),
        ("Entity", "entities/client.yaml"),
        ("FeatureView", "features/applicant.yaml"),
        ("FeatureService", "services/screening.yaml"),
        ("Model", "models/credit_default.yaml"),
        ("Endpoint", "endpoints/credit-risk.yaml"),
    ];
    for (kind, file) in files {
        let folder = Folder::lending();
        let schema = schema_of(kind).unwrap();
        let keys: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        let head = if kind == "Project" { String::new() } else { format!("kind: {kind}\n") };
        // Wrong on purpose, all of them: what matters is which are called unknown.
        let lines: String = keys.iter().filter(|key| *key != "kind").map(|key| format!("{key}: [[]]\n")).collect();
        folder.write(file, head + &lines + "surely_unknown: 1\n");
        let problems = Project::load(folder.path(), None).unwrap_err();
        let unknown: Vec<&str> = problems
            .iter()
            .map(|problem| problem.message.as_str())
            .filter(|message| message.contains("unknown key"))
            .collect();
        assert_eq!(unknown, ["unknown key `surely_unknown`"], "{kind}");
    }
}

/// The evaluator understands every word used, so that nothing passes unread.
fn check_words(schema: &Value, path: &str) {
    const KNOWN: [&str; 22] = [
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "default",
        "examples",
        "type",
        "const",
        "enum",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "oneOf",
        "anyOf",
        "pattern",
        "format",
        "minimum",
    ];
    const MORE: [&str; 6] =
        ["patternProperties", "maximum", "minProperties", "maxProperties", "minLength", "maxLength"];
    let Some(object) = schema.as_object() else { return };
    let open = object.contains_key("properties") && object.get("additionalProperties") != Some(&json!(false));
    assert!(!open, "{path} takes any key");
    for (word, value) in object {
        assert!(KNOWN.contains(&word.as_str()) || MORE.contains(&word.as_str()), "{path}: {word}");
        match word.as_str() {
            "properties" | "patternProperties" | "$defs" => {
                for (name, value) in value.as_object().unwrap() {
                    check_words(value, &format!("{path}.{name}"));
                }
            }
            "items" | "additionalProperties" => check_words(value, &format!("{path}.{word}")),
            "oneOf" | "anyOf" | "prefixItems" => {
                value.as_array().unwrap().iter().for_each(|value| check_words(value, &format!("{path}.{word}")));
            }
            _ => {}
        }
    }
}

fn validate(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if schema == &json!(true) {
        return Ok(());
    }
    if let Some(reference) = schema["$ref"].as_str() {
        validate(root, root.pointer(reference.trim_start_matches('#')).ok_or(reference)?, value)?;
    }
    let wrong = |why: &str| Err(format!("{value} {why} {schema}"));
    let is_type = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => false,
    };
    let types_ok = match &schema["type"] {
        Value::String(name) => is_type(name),
        Value::Array(names) => names.iter().any(|name| is_type(name.as_str().unwrap())),
        _ => true,
    };
    if !types_ok {
        return wrong("is not of the type of");
    }
    if schema.get("const").is_some_and(|constant| constant != value)
        || schema["enum"].as_array().is_some_and(|values| !values.contains(value))
    {
        return wrong("is not among");
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !Regex::new(pattern).unwrap().is_match(text)
    {
        return wrong("does not match");
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        return wrong("is less than");
    }
    for (word, all) in [("oneOf", false), ("anyOf", true)] {
        if let Some(forms) = schema[word].as_array() {
            let fitting = forms.iter().filter(|form| validate(root, form, value).is_ok()).count();
            if fitting == 0 || (fitting > 1 && !all) {
                return wrong(&format!("fits {fitting} forms of"));
            }
        }
    }
    if let Some(object) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(required.as_str().unwrap()) {
                return wrong(&format!("lacks {required} of"));
            }
        }
        for (key, value) in object {
            let patterns = schema["patternProperties"].as_object().into_iter().flatten();
            let by_pattern =
                patterns.filter(|(pattern, _)| Regex::new(pattern).unwrap().is_match(key)).map(|(_, form)| form).next();
            let form = schema["properties"].get(key).or(by_pattern).or(schema.get("additionalProperties"));
            match form {
                Some(Value::Bool(false)) => return wrong(&format!("has the unknown key {key}, says")),
                Some(inner) => validate(root, inner, value)?,
                None => {}
            }
        }
        if schema["maxProperties"].as_u64().is_some_and(|most| object.len() as u64 > most) {
            return wrong("has too many keys for");
        }
    }
    for item in value.as_array().into_iter().flatten() {
        if let Some(items) = schema.get("items") {
            validate(root, items, item)?;
        }
    }
    Ok(())
}

/// YAML as an editor's validator reads it.
fn to_json(yaml: &str) -> Value {
    crate::support::yaml_to_json(yaml)
}
