//! An expression of a stranger's: a value for each row, the same whether the row comes alone, among others, or as values.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch};
use karat_core::{Column, DataType, Instant, Schema, Value};
use karat_features::Expression;

pub(super) const WORDS: &[&str] = &[
    "late",
    "amount",
    "nb",
    "job",
    "day",
    "far",
    "at",
    "as_of",
    "NULL",
    "nullif(",
    "coalesce(",
    "CASE WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST(",
    "TRY_CAST(",
    "AS INT)",
    "AS DATE)",
    "AS TEXT)",
    "AS TIMESTAMP)",
    "date_part('year',",
    "date_trunc('month',",
    "add_months(",
    "add_days(",
    "days_between(",
    "years_between(",
    "months_between(",
    "date_bin(INTERVAL '15 minutes',",
    "to_char(",
    "round(",
    "power(",
    "lpad(",
    "rpad(",
    "substr(",
    "split_part(",
    "regexp_replace(",
    "regexp_like(",
    "chr(",
    "gcd(",
    "lcm(",
    "make_date(",
    "to_timestamp_seconds(",
    "translate(",
    "levenshtein(",
    "replace(",
    "concat(",
    "greatest(",
    "IN (",
    "BETWEEN",
    "AND",
    "OR",
    "NOT",
    "LIKE",
    "IS NULL",
    "INTERVAL '1 month'",
    "DATE '2021-10-01'",
    "'2021-10-01'",
    "9223372036854775807",
    "-9223372036854775808",
    "2147483647",
    "0",
    "0.0",
    "1e308",
    "-",
    "+",
    "*",
    "/",
    "%",
    "||",
    "(",
    ")",
    ",",
    "''",
    "'a'",
    "\"",
    "SELECT",
    "OVER ()",
    "::",
    "[1]",
    "&",
    "<<",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        "late / nullif(nb, 0)",
        "coalesce(amount, 0.0) * 2 + nb",
        "date_part('year', as_of) - date_part('year', day)",
        "CASE WHEN day < as_of THEN years_between(day, as_of) ELSE NULL END",
        "lower(btrim(job)) IN ('a', 'b') AND NOT job LIKE 'x%'",
        "round(100 + 27 * power(ln(amount + 2), 1.07), 2)",
        "add_months(day, nb) BETWEEN DATE '2021-10-01' AND date_trunc('month', at)",
        "TRY_CAST(substr(job, 1, 3) AS INT) + gcd(nb, 12) - days_between(day, at)",
        "CASE WHEN far <= as_of THEN years_between(far, as_of) END",
        "concat(lpad(job, 4, '0'), split_part(job, '.', 1), to_char(day, '%Y/%m'), chr(65))",
        "regexp_replace(translate(job, 'ab', 'xy'), 'x+', 'y') || CAST(make_date(2021, 2, 28) AS TEXT)",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

struct Table {
    schema: Schema,
    batch: RecordBatch,
}

/// Values from the ends of every type, and nulls.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let float = |values: [f64; 4]| values.map(Value::Float);
    let int = |values: [i64; 4]| values.map(Value::Int);
    let at = |values: [i64; 4]| values.map(|micros| Value::Timestamp(Instant::from_micros(micros)));
    let columns: [(&str, DataType, [Value; 4]); 8] = [
        ("late", DataType::Bool, [Value::Bool(true), Value::Bool(false), Value::Null, Value::Bool(true)]),
        ("amount", DataType::Float, float([1.5, f64::NAN, f64::NEG_INFINITY, -0.0])),
        ("nb", DataType::Int, int([3, i64::MAX, i64::MIN, 0])),
        ("job", DataType::Text, [Value::text("a.b"), Value::text("žena\0"), Value::Null, Value::text("")]),
        ("day", DataType::Date, [Value::Date(18_901), Value::Date(i32::MAX), Value::Date(i32::MIN), Value::Null]),
        ("far", DataType::Date, [95_026_237, -96_465_293, 106_751_991, 95_026_236].map(Value::Date)),
        ("at", DataType::Timestamp, at([1_633_046_400_000_000, i64::MAX, i64::MIN, 0])),
        ("as_of", DataType::Timestamp, at([1_633_046_400_000_000, 0, -62_135_596_800_000_000, i64::MAX])),
    ];
    let schema = Schema::new(columns.iter().map(|(name, data_type, _)| Column::new(*name, *data_type)).collect());
    let arrays: Vec<ArrayRef> =
        columns.iter().map(|(_, data_type, values)| Value::to_array(values, *data_type)).collect();
    let batch = RecordBatch::try_new(schema.arrow(), arrays).expect("columns are of the schema's types");
    Table { schema, batch }
});

pub(super) fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Table { schema, batch } = &*TABLE;
    // What no column has at once is what most names are: read without a schema, too.
    let names = Expression::names(text);
    let compiled = match Expression::compile(text, schema) {
        Ok(compiled) => compiled,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(names.as_deref(), Ok(compiled.columns()));
    let whole = compiled.evaluate(batch);
    let mut failed = None;
    for row in 0..batch.num_rows() {
        let alone = compiled.evaluate(&batch.slice(row, 1));
        let values: Vec<Value> =
            compiled.columns().iter().map(|name| Value::from_array(&batch[name.as_str()], row)).collect();
        match (&alone, compiled.evaluate_row(&values)) {
            (Ok(alone), Ok(value)) => {
                assert_eq!(Value::from_array(alone, 0), value, "row {row} of `{text}`, as values");
            }
            (Err(alone), Err(error)) => assert_eq!(alone.to_string(), error.to_string()),
            (alone, error) => panic!("row {row} of `{text}`: {alone:?} alone, {error:?} as values"),
        }
        match (&whole, alone) {
            (Ok(whole), Ok(alone)) => {
                assert_eq!(alone.data_type(), &compiled.data_type().arrow());
                assert_eq!(
                    Value::from_array(&Arc::clone(whole), row),
                    Value::from_array(&alone, 0),
                    "row {row} of `{text}`"
                );
            }
            (Ok(_), Err(error)) => panic!("row {row} of `{text}` fails alone: {error}"),
            (Err(_), Ok(_)) => {}
            (Err(_), Err(_)) => failed = failed.or(Some(row)),
        }
    }
    if let Err(error) = whole {
        assert_eq!(error.row(), failed, "`{text}`: {error}");
    }
}
