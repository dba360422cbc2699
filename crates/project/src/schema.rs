//! JSON Schemas of `karat.yaml` and of every kind, so that editors complete and check as one types.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::spec::{Config, Endpoint, Entity, FeatureService, FeatureView, Model, Source, Test};

/// What [`schema_of`] knows: `karat.yaml` is `Project`, a file of `tests/` is `Test`.
pub const SCHEMA_KINDS: [&str; 8] =
    ["Project", "Source", "Entity", "FeatureView", "FeatureService", "Model", "Endpoint", "Test"];

/// The schema of a file's documents (JSON Schema 2020-12). `None` for an unknown kind.
pub fn schema_of(kind: &str) -> Option<Value> {
    if kind == "Project" {
        let mut schema = generate::<Config>();
        close(&mut schema);
        return Some(finish(schema, kind));
    }
    if kind == "Test" {
        let mut schema = generate::<Test>();
        add_kind_word(&mut schema, kind, "Says that this is a test; its file lives in `tests/`.");
        close(&mut schema);
        return Some(finish(schema, kind));
    }
    let kind = Kind::parse(kind)?;
    let mut schema = match kind {
        Kind::Source => generate::<Source>(),
        Kind::Entity => generate::<Entity>(),
        Kind::FeatureView => generate::<FeatureView>(),
        Kind::FeatureService => generate::<FeatureService>(),
        Kind::Model => generate::<Model>(),
        Kind::Endpoint => generate::<Endpoint>(),
    };
    add_kind(&mut schema, kind);
    close_rules(&mut schema);
    one_view_an_item(&mut schema);
    one_entity_or_several(&mut schema);
    close(&mut schema);
    Some(finish(schema, kind.as_str()))
}

fn generate<T: JsonSchema>() -> Value {
    let generator: SchemaGenerator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

fn finish(mut schema: Value, kind: &str) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), kind.into());
    }
    schema
}

fn object<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Map<String, Value>> {
    value.get_mut(key)?.as_object_mut()
}

fn add_kind(schema: &mut Value, kind: Kind) {
    let description = format!("Says that this is {}; its file lives in `{}/`.", kind.a_words(), kind.folder());
    add_kind_word(schema, kind.as_str(), &description);
}

fn add_kind_word(schema: &mut Value, kind: &str, description: &str) {
    if let Some(properties) = object(schema, "properties") {
        properties.insert("kind".to_owned(), json!({"const": kind, "description": description}));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.insert(0, "kind".into());
    }
}

/// A rule is a check flattened into what every rule has, which JSON Schema cannot close by itself: each check's form is
/// written out with both, and closed.
fn close_rules(schema: &mut Value) {
    let Some(definitions) = object(schema, "$defs") else { return };
    let Some(mut rule) = definitions.remove("Rule") else { return };
    let common = object(&mut rule, "properties").cloned().unwrap_or_default();
    let description = rule.get("description").cloned().unwrap_or_default();
    let forms = rule.get_mut("oneOf").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let mut closed = Vec::with_capacity(forms.len());
    for mut form in forms {
        if let Some(properties) = object(&mut form, "properties") {
            properties.extend(common.clone());
        }
        if let Some(form) = form.as_object_mut() {
            form.insert("additionalProperties".to_owned(), false.into());
        }
        closed.extend(unique_of_one(&form));
        closed.push(form);
    }
    definitions.insert("Rule".to_owned(), json!({"description": description, "oneOf": closed}));
}

/// `entities: [a, b]` may stand for `entity: a`.
fn one_entity_or_several(schema: &mut Value) {
    if let Some(definitions) = object(schema, "$defs") {
        definitions.values_mut().for_each(one_entity_or_several);
    }
    let Some(properties) = object(schema, "properties") else { return };
    let Some(entity) = properties.get("entity") else { return };
    let name = json!({"$ref": entity.get("$ref").cloned().unwrap_or_default()});
    let several = json!({
        "description": "Several entities, in place of `entity`: their key columns together are the key.",
        "type": "array",
        "items": name,
        "minItems": 1,
    });
    properties.insert("entities".to_owned(), several);
    let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) else { return };
    let before = required.len();
    required.retain(|key| key != "entity");
    if required.len() < before
        && let Some(schema) = schema.as_object_mut()
    {
        schema.insert("oneOf".to_owned(), json!([{"required": ["entity"]}, {"required": ["entities"]}]));
    }
}

/// `column: a` may stand for `columns: [a]` in a `unique` check.
fn unique_of_one(form: &Value) -> Option<Value> {
    form.pointer("/properties/columns")?;
    let mut one = form.clone();
    let properties = object(&mut one, "properties")?;
    properties.remove("columns");
    properties.insert("column".to_owned(), json!({"type": "string"}));
    for required in one.get_mut("required").and_then(Value::as_array_mut)? {
        if required == "columns" {
            *required = "column".into();
        }
    }
    Some(one)
}

/// Every object with properties has no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            if object.get("properties").is_some_and(Value::is_object) && object.get("type") == Some(&json!("object")) {
                object.entry("additionalProperties").or_insert(false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn one_view_an_item(schema: &mut Value) {
    if let Some(list) = object(schema, "$defs").and_then(|definitions| definitions.get_mut("FeatureList"))
        && let Some(list) = list.as_object_mut()
    {
        list.insert("minProperties".to_owned(), 1.into());
        list.insert("maxProperties".to_owned(), 1.into());
    }
}
