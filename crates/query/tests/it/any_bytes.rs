//! Whatever bytes a file holds, reading it ends in rows, each accounted for, or in an error: never in a panic.

use karat_project::spec::{Csv, Format, Source};
use proptest::prelude::*;
use serde_json::json;

use crate::world::{World, source};

/// Pieces that parsers trip over, and bytes that nothing expects.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"id",
        b"name",
        b"at",
        b",",
        b";",
        b"\t",
        b"\"",
        b"\"\"",
        b"'",
        b"\n",
        b"\r\n",
        b"\r",
        b"1",
        b"-",
        b"1.5",
        b"1,5",
        b"1.234",
        b"2021-10-01",
        b"31.02.2021",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"\"id\"",
        b"null",
        b"\\u0000",
        b"\\",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x81",
        "é".as_bytes(),
        b"id,name,at\n",
        b"{\"id\": 1, \"name\": {\"x\": []}}\n",
    ];
    let piece = prop_oneof![
        9 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn dialect() -> impl Strategy<Value = Csv> {
    let encodings = proptest::sample::select(vec!["utf-8", "macroman", "utf-16", "shift_jis", "gb18030"]);
    let marks = proptest::sample::select(vec![('.', None), (',', Some('.')), (',', Some(' ')), ('.', Some(','))]);
    let delimiters = proptest::sample::select(vec![',', ';', '\t']);
    (encodings, delimiters, marks, any::<bool>()).prop_map(|(encoding, delimiter, (decimal, thousands), header)| Csv {
        encoding: encoding.to_owned(),
        delimiter,
        decimal,
        thousands,
        header,
        date_format: header.then(|| karat_core::TimeFormat::new("%d.%m.%Y").unwrap()),
        ..Csv::default()
    })
}

fn reads(format: Format, csv: Option<Csv>) -> Source {
    let mut source = source(json!({
        "name": "any", "path": "any.txt", "delivery": "append",
        "columns": [["id", "int"], ["name", "text"], ["amount", {"type": "float", "from": "name.x"}], ["at", "date"]],
    }));
    if format == Format::Csv {
        source.columns.shift_remove("amount");
    }
    source.format = Some(format);
    source.csv = csv;
    source
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_file_is_rows_or_an_error(bytes in bytes(), csv in dialect()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.write("any.txt", &bytes);
            for source in [reads(Format::Csv, Some(csv)), reads(Format::Json, None)] {
                match world.try_stage(&source).await {
                    Ok(staged) => {
                        let report = &staged.report;
                        prop_assert_eq!(report.read, report.accepted + report.quarantined);
                        prop_assert_eq!(staged.quarantine.rows(), report.quarantined);
                    }
                    Err(error) => prop_assert!(
                        !matches!(error, karat_query::QueryError::Internal(_)) && error.to_string().contains("any.txt"),
                        "{}", error
                    ),
                }
            }
            Ok(())
        })?;
    }
}
