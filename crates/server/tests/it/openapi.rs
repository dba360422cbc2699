use std::path::Path;

use karat_server::openapi;

/// The committed document is what the server answers; `KARAT_BLESS=1` writes it anew for review.
#[test]
fn the_document_is_as_committed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    let mut document = openapi().to_pretty_json().unwrap();
    document.push('\n');
    if std::env::var_os("KARAT_BLESS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), document, "KARAT_BLESS=1 writes it anew");
}

#[test]
fn every_operation_has_words_and_names_its_errors() {
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["summary"].is_string() || operation["description"].is_string(), "{method} {path}");
            assert!(operation["responses"]["200"].is_object(), "{method} {path}");
        }
    }
}
