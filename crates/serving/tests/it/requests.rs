use karat_serving::ServingError;
use serde_json::json;

use karat_test_support::serving_app::App;

/// A wrong request, the field that is named, and the exact message.
#[test]
fn wrong_fields_are_named() {
    let app = App::new();
    let fields = json!({"income": 1.0, "age": 40});
    let cases = [
        (json!([]), "", "the body is a JSON object such as {\"key\": 5008806}"),
        (json!({}), "key", "send exactly one of `key`, `keys` and `rows`"),
        (json!({"key": 1, "keys": [1]}), "key", "send exactly one of `key`, `keys` and `rows`"),
        (json!({"kez": 1}), "kez", "unknown field `kez`: did you mean `key`?"),
        (json!({"key": "1", "fields": fields}), "key", "`key`: \"1\" is not an int"),
        (json!({"key": null, "fields": fields}), "key", "`key` is null: a key has a value"),
        (json!({"key": {"id": 1}}), "key.id", "unknown field `key.id`: known are `client_id`"),
        (json!({"keys": []}), "keys", "`keys` is empty"),
        (json!({"keys": 1}), "keys", "`keys` is a list"),
        (json!({"keys": [1, true], "fields": fields}), "keys[1]", "`keys[1]`: true is not an int"),
        (json!({"key": 1}), "fields.income", "`fields.income` is missing: send a float or null"),
        (json!({"key": 1, "fields": []}), "fields", "`fields` is an object of request-time fields by name"),
        (
            json!({"key": 1, "fields": {"income": 1, "age": 2, "incme": 3}}),
            "fields.incme",
            "unknown field `fields.incme`: did you mean `income`?",
        ),
        (
            json!({"key": 1, "fields": {"income": "x", "age": 2}}),
            "fields.income",
            "`fields.income`: \"x\" is not a float",
        ),
        (json!({"key": {"client_id": {"client_id": 1}}}), "key.client_id", "`key.client_id`: an object is not an int"),
        (json!({"key": [1]}), "key", "`key`: a list is not an int"),
        (
            json!({"key": 1, "fields": fields, "reasons": "some"}),
            "reasons",
            "`reasons` is \"all\", \"adverse\" or \"none\"",
        ),
        (json!({"key": 1, "as_of": 5}), "as_of", "`as_of` is text such as \"2021-10-01T00:00:00Z\""),
        (
            json!({"key": 1, "as_of": "2021-10-01"}),
            "as_of",
            "`as_of`: `2021-10-01` has no offset: write 2021-10-01T00:00:00Z, or +02:00 in place of Z",
        ),
        (
            json!({"rows": [{}], "fields": {}}),
            "fields",
            "`fields` goes with `key` or `keys`; a row carries every input itself",
        ),
        (
            json!({"rows": [{"share_late": 1}]}),
            "rows[0].income",
            "`rows[0].income` is missing: a full row has every input; send null for none",
        ),
        (json!({"rows": [{"share": 1}]}), "rows[0].share", "unknown field `rows[0].share`: did you mean `share_late`?"),
    ];
    for (request, field, message) in cases {
        let error = app.endpoint.predict(request.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, ServingError::Field { .. }), "{request}: {error}");
        assert_eq!(error.to_string(), message, "{request}");
        assert_eq!(error.field(), Some(field), "{request}");
    }
    assert!(app.logged().is_empty());
}

#[test]
fn a_key_may_be_an_object_of_its_column() {
    let app = App::new();
    let fields = json!({"income": 1.0, "age": 40});
    let plain = app.predict(json!({"key": 1, "fields": fields}));
    let object = app.predict(json!({"key": {"client_id": 1}, "fields": fields}));
    let scores = [plain, object].map(|decided| decided.iter().next().unwrap().score().to_bits());
    assert_eq!(scores[0], scores[1]);
}
