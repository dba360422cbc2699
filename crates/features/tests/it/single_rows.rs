//! A row's values evaluated as they are, beside the same row as a batch: the batch is the oracle.

use arrow::array::{ArrayRef, RecordBatch};
use karat_core::{Column, DataType, Instant, Schema, Value};
use karat_features::Expression;
use proptest::prelude::*;
use proptest::strategy::Union;

const COLUMNS: [(&str, DataType); 10] = [
    ("i", DataType::Int),
    ("j", DataType::Int),
    ("x", DataType::Float),
    ("y", DataType::Float),
    ("late", DataType::Bool),
    ("job", DataType::Text),
    ("birthday", DataType::Date),
    ("since", DataType::Date),
    ("at", DataType::Timestamp),
    ("as_of", DataType::Timestamp),
];

fn schema() -> Schema {
    Schema::new(COLUMNS.iter().map(|(name, data_type)| Column::new(*name, *data_type)).collect())
}

/// Likely ones, and those at the ends.
fn value(data_type: DataType) -> BoxedStrategy<Value> {
    let some = match data_type {
        DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Int => {
            prop_oneof![-3i64..4, Just(i64::MAX), Just(i64::MIN), Just(-1), any::<i64>()].prop_map(Value::Int).boxed()
        }
        DataType::Float => prop_oneof![
            (-3i64..4).prop_map(|int| int as f64),
            Just(-0.0),
            Just(f64::NAN),
            Just(-f64::NAN),
            Just(f64::INFINITY),
            Just(f64::MIN_POSITIVE),
            any::<f64>(),
        ]
        .prop_map(Value::Float)
        .boxed(),
        DataType::Text => {
            prop_oneof![Just(""), Just("Clerk"), Just("clerk"), Just("žena\0")].prop_map(Value::text).boxed()
        }
        DataType::Date => {
            // About where calendars and microseconds end.
            let ends = [90_000_000, 95_026_236, 95_026_237, 96_465_292, 106_751_991, 106_751_992, i32::MAX];
            let ends = proptest::sample::select(ends.map(|day| [day, -day, -day - 1]).concat());
            prop_oneof![-20_000i32..20_000, 18_900i32..18_910, any::<i32>(), ends].prop_map(Value::Date).boxed()
        }
        DataType::Timestamp => {
            let around = (18_900i64..18_910, 0i64..3).prop_map(|(day, hours)| (day * 24 + hours) * 3_600_000_000);
            let micros = prop_oneof![around, any::<i64>(), Just(i64::MAX), Just(i64::MIN), -5i64..5];
            micros.prop_map(|micros| Value::Timestamp(Instant::from_micros(micros))).boxed()
        }
    };
    prop_oneof![1 => Just(Value::Null), 6 => some].boxed()
}

fn row() -> impl Strategy<Value = Vec<Value>> {
    COLUMNS.iter().map(|(_, data_type)| value(*data_type)).collect::<Vec<_>>()
}

/// SQL of a type, of so many levels.
fn sql(data_type: DataType, depth: u32) -> BoxedStrategy<String> {
    let columns = COLUMNS.iter().filter(|(_, of)| *of == data_type).map(|(name, _)| Just((*name).to_owned()).boxed());
    let literal = match data_type {
        DataType::Bool => prop_oneof![Just("TRUE"), Just("FALSE"), Just("CAST(NULL AS BOOLEAN)")].boxed(),
        DataType::Int => {
            prop_oneof![Just("0"), Just("2"), Just("-1"), Just("9223372036854775807"), Just("CAST(NULL AS INT)")]
                .boxed()
        }
        DataType::Float => prop_oneof![Just("0.0"), Just("-2.5"), Just("1e308"), Just("CAST(NULL AS FLOAT)")].boxed(),
        DataType::Text => prop_oneof![Just("'Clerk'"), Just("''")].boxed(),
        DataType::Date => prop_oneof![Just("DATE '2021-10-01'"), Just("DATE '1980-02-29'")].boxed(),
        DataType::Timestamp => Just("TIMESTAMP '2021-10-01T01:00:00'").boxed(),
    };
    let mut leaves: Vec<BoxedStrategy<String>> = columns.collect();
    leaves.push(literal.prop_map(str::to_owned).boxed());
    let leaf = Union::new(leaves).boxed();
    if depth == 0 {
        return leaf;
    }
    let of = |data_type| sql(data_type, depth - 1);
    let two = move |data_type: DataType, operators: &'static [&'static str]| {
        let sides = (of(data_type), proptest::sample::select(operators), of(data_type));
        sides.prop_map(|(left, operator, right)| format!("({left} {operator} {right})")).boxed()
    };
    let case = |data_type| {
        let parts =
            (of(DataType::Bool), of(data_type), of(DataType::Bool), of(data_type), proptest::option::of(of(data_type)));
        parts.prop_map(|(when, then, or, or_then, otherwise)| {
            let otherwise = otherwise.map_or(String::new(), |otherwise| format!(" ELSE {otherwise}"));
            format!("CASE WHEN {when} THEN {then} WHEN {or} THEN {or_then}{otherwise} END")
        })
    };
    let call = |names: &'static [&'static str], first, second| {
        let parts = (proptest::sample::select(names), of(first), of(second));
        parts.prop_map(|(name, first, second)| format!("{name}({first}, {second})")).boxed()
    };
    const EITHER: [&str; 2] = ["coalesce", "nullif"];
    const BETWEEN: [&str; 3] = ["years_between", "months_between", "days_between"];
    const ARITHMETIC: [&str; 5] = ["+", "-", "*", "/", "%"];
    const COMPARE: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];
    let mut choices = vec![leaf, case(data_type).boxed(), call(&EITHER, data_type, data_type)];
    match data_type {
        DataType::Bool => {
            choices
                .extend([DataType::Int, DataType::Float, DataType::Text, DataType::Date].map(|of| two(of, &COMPARE)));
            choices.push(two(DataType::Bool, &["AND", "OR", "=", "<>"]));
            choices.push(of(DataType::Bool).prop_map(|inner| format!("(NOT {inner})")).boxed());
            choices.push(
                (of(DataType::Date), of(DataType::Timestamp)).prop_map(|(day, at)| format!("({day} <= {at})")).boxed(),
            );
            choices.push(of(DataType::Float).prop_map(|inner| format!("({inner} IS NULL)")).boxed());
            choices.push(of(DataType::Int).prop_map(|inner| format!("({inner} IS NOT NULL)")).boxed());
        }
        DataType::Int => {
            choices.push(two(DataType::Int, &ARITHMETIC));
            choices.push(call(&BETWEEN, DataType::Date, DataType::Timestamp));
            choices.push(call(&BETWEEN, DataType::Timestamp, DataType::Timestamp));
            choices.push(call(&BETWEEN, DataType::Date, DataType::Date));
        }
        DataType::Float => {
            choices.push(two(DataType::Float, &ARITHMETIC));
            choices.push(of(DataType::Int).prop_map(|inner| format!("CAST({inner} AS FLOAT)")).boxed());
            choices.push(
                (of(DataType::Int), of(DataType::Float)).prop_map(|(int, float)| format!("({int} * {float})")).boxed(),
            );
        }
        DataType::Text | DataType::Date | DataType::Timestamp => {}
    }
    Union::new(choices).boxed()
}

fn any_sql() -> impl Strategy<Value = String> {
    Union::new(COLUMNS.iter().map(|(_, data_type)| sql(*data_type, 3)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_row_of_values_evaluates_as_its_batch_does(sql in any_sql(), rows in proptest::collection::vec(row(), 24)) {
        // What is of one value whatever the row may be of a type that no column has, and that is refused.
        let Ok(expression) = Expression::compile(&sql, &schema()) else { return Ok(()) };
        for row in rows {
            let value = |name: &String| row[COLUMNS.iter().position(|(column, _)| column == name).unwrap()].clone();
            let values: Vec<Value> = expression.columns().iter().map(value).collect();
            let columns: Vec<ArrayRef> =
                row.iter().zip(COLUMNS).map(|(value, (_, data_type))| Value::to_array(std::slice::from_ref(value), data_type)).collect();
            let batch = RecordBatch::try_new(schema().arrow(), columns).unwrap();
            let expected = expression.evaluate(&batch).map(|column| Value::from_array(&column, 0));
            let found = expression.evaluate_row(&values);
            prop_assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(|error| error.to_string()), "{} of {:?}", sql, values);
        }
    }
}
