//! What expressions mean, one row of a table at a time.

use arrow::array::{ArrayRef, RecordBatch};
use karat_core::{Column, DataType, Schema, Value, Zone};
use karat_features::{Expression, SEMANTICS, function_names};

fn schema() -> Schema {
    Schema::new(vec![
        Column::new("i", DataType::Int),
        Column::new("x", DataType::Float),
        Column::new("late", DataType::Bool),
        Column::new("job", DataType::Text),
        Column::new("birthday", DataType::Date),
        Column::new("as_of", DataType::Timestamp),
        Column::new("nothing", DataType::Int),
    ])
}

fn batch(rows: &[[&str; 7]]) -> RecordBatch {
    let schema = schema();
    let columns: Vec<ArrayRef> = schema
        .columns()
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let values: Vec<Value> = rows
                .iter()
                .map(|row| match row[index] {
                    "null" => Value::Null,
                    text => Value::parse(text, column.data_type, &Zone::utc()).unwrap(),
                })
                .collect();
            Value::to_array(&values, column.data_type)
        })
        .collect();
    RecordBatch::try_new(schema.arrow(), columns).unwrap()
}

fn row() -> RecordBatch {
    batch(&[["7", "2.5", "true", " Clerk ", "1980-03-15", "2021-03-15T08:00:00Z", "null"]])
}

fn evaluate(sql: &str) -> Result<String, String> {
    let expression = Expression::compile(sql, &schema()).map_err(|error| error.to_string())?;
    let array = expression.evaluate(&row()).map_err(|error| error.to_string())?;
    assert_eq!(*array.data_type(), expression.data_type().arrow(), "{sql}");
    Ok(Value::from_array(&array, 0).to_string())
}

#[test]
fn values() {
    for (sql, expected) in [
        ("i", "7"),
        ("i + 1", "8"),
        ("i / 2", "3"),
        ("i / 2.0", "3.5"),
        ("i % 4", "3"),
        ("-i", "-7"),
        ("i * x", "17.5"),
        ("x > 2 AND late", "true"),
        ("NOT late", "false"),
        ("nothing + 1", "null"),
        ("nothing IS NULL", "true"),
        ("coalesce(nothing, i)", "7"),
        ("nullif(i, 7)", "null"),
        ("i / nullif(nothing, 0)", "null"),
        ("CASE WHEN late THEN 'bad' ELSE 'good' END", "bad"),
        ("CASE i WHEN 7 THEN 1 WHEN 8 THEN 2 END", "1"),
        ("CASE WHEN nothing > 0 THEN 1 END", "null"),
        ("i IN (1, 7)", "true"),
        ("i NOT IN (1, 7)", "false"),
        ("i IN (1, NULL)", "null"),
        ("i BETWEEN 1 AND 7", "true"),
        ("job LIKE '%ler%'", "true"),
        ("job ILIKE '%CLERK%'", "true"),
        ("lower(btrim(job))", "clerk"),
        ("trim(job)", "Clerk"),
        ("trim(BOTH 'k' FROM 'kok')", "o"),
        ("job || '!'", " Clerk !"),
        ("substr(trim(job), 1, 2)", "Cl"),
        ("LENGTH(trim(job))", "5"),
        ("CAST('12' AS INT) + 1", "13"),
        ("CAST(i AS TEXT)", "7"),
        ("i::float", "7"),
        ("CAST(late AS INT)", "1"),
        ("TRY_CAST('x' AS INT)", "null"),
        ("CAST(NULL AS DATE)", "null"),
        ("birthday", "1980-03-15"),
        ("years_between(birthday, as_of)", "41"),
        ("years_between(as_of, birthday)", "-41"),
        ("months_between(birthday, as_of)", "492"),
        ("days_between(birthday, DATE '1980-03-20')", "5"),
        ("years_between(CAST(NULL AS DATE), as_of)", "null"),
        ("add_months(birthday, 1)", "1980-04-15"),
        ("add_months(as_of, -1)", "2021-02-15T08:00:00Z"),
        ("add_months(birthday, nothing)", "null"),
        ("date_part('year', as_of) - date_part('year', birthday)", "41"),
        ("extract(month FROM birthday)", "3"),
        ("date_trunc('month', as_of)", "2021-03-01T00:00:00Z"),
        ("CAST(as_of AS DATE)", "2021-03-15"),
        ("CAST(birthday AS TIMESTAMP)", "1980-03-15T00:00:00Z"),
        ("birthday + INTERVAL '1 day'", "1980-03-16"),
        ("as_of - INTERVAL '1 day'", "2021-03-14T08:00:00Z"),
        ("birthday < as_of", "true"),
        // Beyond nanoseconds, on either side of a comparison and inside functions.
        ("DATE '3021-09-18' <= as_of", "false"),
        ("DATE '3021-09-18' > as_of", "true"),
        ("as_of BETWEEN DATE '1600-01-01' AND DATE '3021-09-18'", "true"),
        ("CASE WHEN late THEN DATE '3021-09-18' ELSE as_of END", "3021-09-18T00:00:00Z"),
        ("greatest(as_of, DATE '3021-09-18')", "3021-09-18T00:00:00Z"),
        ("CAST(DATE '3021-09-18' AS TIMESTAMP)", "3021-09-18T00:00:00Z"),
        ("years_between(DATE '3021-09-18', as_of)", "-1000"),
        ("CASE WHEN DATE '3021-09-18' <= as_of THEN years_between(DATE '3021-09-18', as_of) END", "null"),
        ("round(100 + 27 * power(ln(x + 2), 1.07), 2)", "141.79"),
        ("regexp_like(job, 'C.*k')", "true"),
        ("\"i\" + 1", "8"),
        ("1 = 1", "true"),
        ("x / 0", "inf"),
    ] {
        assert_eq!(evaluate(sql).as_deref(), Ok(expected), "{sql}");
    }
}

#[test]
fn mistakes_say_what_to_write() {
    for (sql, expected) in [
        ("Late", "no column `Late` in `Late`; did you mean `late`?"),
        ("lat + 1", "no column `lat` in `lat + 1`; did you mean `late`?"),
        ("zzz", "no column `zzz` in `zzz`; there are i, x, late, job, birthday, as_of, nothing"),
        (
            "job = \"Clerk\"",
            "no column `Clerk` in `job = \"Clerk\"`; there are i, x, late, job, birthday, as_of, nothing (a text is \
             written 'Clerk')",
        ),
        ("lenght(job)", "no function `lenght` in `lenght(job)`; did you mean `length`?"),
        (
            "years_between(birthday, now())",
            "no function `now` in `years_between(birthday, now())`; a value must not depend on when it is computed: use \
             `as_of`",
        ),
        (
            "current_date",
            "no function `current_date` in `current_date`; a value must not depend on when it is computed: use `as_of`",
        ),
        (
            "sum(x)",
            "no function `sum` in `sum(x)`; an expression sees one row: write an aggregate feature such as {mean: amount}",
        ),
        (
            "abs(x) OVER ()",
            "`abs(x) OVER ()` cannot be used: `abs … OVER` is a window function, and an expression sees one row",
        ),
        (
            "(SELECT 1)",
            "`(SELECT 1)` cannot be used: an expression sees one row and cannot query: use a source with `sql:`",
        ),
        (
            "i IN (SELECT 1)",
            "`i IN (SELECT 1)` cannot be used: an expression sees one row and cannot query: use a source with `sql:`",
        ),
        ("loans.i", "`loans.i` cannot be used: write the column's name alone: `i`"),
        ("i + $1", "`i + $1` cannot be used: there are no parameters"),
        ("[1, 2]", "`[1, 2]` cannot be used: `[1, 2]` is not part of the expression language"),
        ("", "`` is not an expression: it is empty"),
        (
            "i AS j",
            "`i AS j` is not an expression: an expression has no alias: its name is the key it is written under",
        ),
        (
            "NULL",
            "`NULL` does not fit together: it is null whatever the row: say of which type, as in CAST(NULL AS INT)",
        ),
        (
            "as_of - birthday",
            "`as_of - birthday` does not fit together: its value is a length of time, which no column holds: use \
             days_between, months_between or years_between",
        ),
        (
            "CAST(x AS DECIMAL(10, 2))",
            "`CAST(x AS DECIMAL(10, 2))` does not fit together: `DECIMAL(10,2)` is not a type here: there are BOOLEAN, \
             INT, FLOAT, TEXT, DATE and TIMESTAMP",
        ),
        (
            "years_between(job, as_of)",
            "`years_between(job, as_of)` does not fit together: years_between takes two dates or timestamps, not (text, \
             timestamp)",
        ),
        ("i / 0", "`i / 0` failed: division by zero"),
        ("i % (i - 7)", "`i % (i - 7)` failed: division by zero"),
    ] {
        assert_eq!(evaluate(sql).unwrap_err(), expected, "{sql}");
    }
    for sql in
        ["i +", "i i", "CAST(job AS INT)", "9223372036854775800 + i + 1", "add_months(birthday, 99999999)", "-job"]
    {
        assert!(evaluate(sql).is_err(), "{sql}: {:?}", evaluate(sql));
    }
    assert_eq!(evaluate(&("1+".repeat(200) + "1")).as_deref(), Ok("201"));
    assert_eq!(evaluate(&("abs(".repeat(16) + "-1" + &")".repeat(16))).as_deref(), Ok("1"));
    let nested = evaluate(&("abs(".repeat(17) + "-1" + &")".repeat(17))).unwrap_err();
    assert!(nested.contains("its parentheses nest more than 16 deep"), "{nested}");
    for deep in [
        "1+".repeat(500) + "1",
        "1+".repeat(16_000) + "1",
        "(".repeat(8_000) + "1" + &")".repeat(8_000),
        "NOT ".repeat(4_000) + "late",
        "x".repeat(100_000),
    ] {
        assert!(evaluate(&deep).is_err());
    }
}

#[test]
fn a_row_fails_alone_or_not_at_all() {
    let shielded = Expression::compile("i <> 0 AND 10 / i > 1", &schema()).unwrap();
    let rows: Vec<[&str; 7]> = (0..100)
        .map(|index| {
            let i = ["0", "1", "7", "5"][index % 4];
            [i, "1", "true", "a", "1980-01-01", "2021-01-01", "null"]
        })
        .collect();
    let array = shielded.evaluate(&batch(&rows)).unwrap();
    let values: Vec<String> = (0..4).map(|row| Value::from_array(&array, row).to_string()).collect();
    assert_eq!(values, ["false", "true", "false", "true"]);

    let bare = Expression::compile("10 / i", &schema()).unwrap();
    let mut rows = vec![["1", "1", "true", "a", "1980-01-01", "2021-01-01", "null"]; 100];
    rows[61][0] = "0";
    let error = bare.evaluate(&batch(&rows)).unwrap_err();
    assert_eq!(error.row(), Some(61));
    assert_eq!(error.to_string(), "`10 / i` failed: division by zero");
    let found = bare.evaluate_or_null(&batch(&rows)).unwrap();
    let nulls: Vec<usize> = (0..100).filter(|row| found.is_null(*row)).collect();
    assert_eq!((nulls, Value::from_array(&found, 99)), (vec![61], Value::Int(10)));
    assert_eq!(bare.evaluate_row_or_null(&[Value::Int(0)]).unwrap(), Value::Null);
    assert_eq!(bare.evaluate_row_or_null(&[Value::Int(3)]).unwrap(), Value::Int(3));
    assert!(bare.evaluate_row(&[Value::Int(0)]).is_err());
}

#[test]
fn columns_are_those_named_in_order() {
    let expression = Expression::compile("CASE WHEN late THEN x ELSE x * i END", &schema()).unwrap();
    assert_eq!(expression.columns(), ["late", "x", "i"]);
    assert_eq!(expression.as_column(), None);
    assert_eq!(Expression::compile("job", &schema()).unwrap().as_column(), Some("job"));
    assert_eq!(Expression::names("a + b * \"A\"").unwrap(), ["a", "b", "A"]);
}

/// Every function that may be called is in the fixture with one of its values, and nothing else is.
#[test]
fn the_allow_list_is_pinned() {
    let fixture = include_str!("../fixtures/functions.txt");
    let mut lines = fixture.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some(format!("semantics {SEMANTICS}").as_str()));
    let mut names = Vec::new();
    for line in lines {
        let [name, sql, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        names.push(name);
        assert!(sql.contains(name), "{line}");
        let value = evaluate(sql);
        assert_eq!(value.as_deref(), Ok(expected), "{sql}");
    }
    names.sort_unstable();
    assert_eq!(names, function_names());
}
