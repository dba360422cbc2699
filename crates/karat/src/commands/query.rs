//! `karat query`: SQL over the sources' current rows and the table `predictions`.

use std::process::ExitCode;

use anyhow::Result;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use karat_jobs::query::{self, Answered};
use serde_json::{Map, Value as Json, json};

use super::Context;
use crate::output::{Sheet, note, thousands};

/// The widest cell a table shows whole.
const MOST_CHARACTERS: usize = 100;

pub async fn run(context: &Context, sql: &str, limit: usize) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    let answered = query::run(&workspace, sql).await?;
    let total: usize = answered.batches.iter().map(|batch| batch.num_rows()).sum();
    let shown = if limit == 0 { total } else { limit.min(total) };
    let rows = rows(&answered, shown)?;
    let document = json!({
        "columns": answered.schema.fields().iter().map(|field| field.name()).collect::<Vec<_>>(),
        "rows": rows,
        "total_rows": total,
    });
    context.output.print_list(&document, |_| human(&answered, &rows), |_| sheet(&answered, &rows))?;
    if shown < total {
        note(&format!("{} of {} rows; --limit 0 shows all", thousands(shown as u64), thousands(total as u64)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The first rows, each an object by column.
fn rows(answered: &Answered, shown: usize) -> Result<Vec<Map<String, Json>>> {
    // Timestamps are UTC inside; they are shown as such.
    let options = FormatOptions::default().with_null("").with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
    let mut rows = Vec::with_capacity(shown);
    for batch in &answered.batches {
        let formatters: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows().min(shown - rows.len()) {
            let mut object = Map::new();
            for ((field, column), formatter) in answered.schema.fields().iter().zip(batch.columns()).zip(&formatters) {
                object.insert(field.name().clone(), cell(column, row, formatter));
            }
            rows.push(object);
        }
    }
    Ok(rows)
}

fn cell(column: &dyn Array, row: usize, formatter: &ArrayFormatter<'_>) -> Json {
    if column.is_null(row) {
        return Json::Null;
    }
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => float(f64::from(column.as_primitive::<Float32Type>().value(row))),
        data_type if data_type.is_integer() => {
            let text = formatter.value(row).to_string();
            serde_json::from_str(&text).unwrap_or(Json::String(text))
        }
        _ => formatter.value(row).to_string().into(),
    }
}

/// NaN and the infinities as text, which JSON has no numbers for.
fn float(value: f64) -> Json {
    karat_core::Value::Float(value).to_json()
}

fn human(answered: &Answered, rows: &[Map<String, Json>]) -> String {
    let fields = answered.schema.fields();
    let mut table = comfy_table::Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_content_arrangement(comfy_table::ContentArrangement::Disabled)
        .set_header(fields.iter().map(|field| field.name()));
    for row in rows {
        table.add_row(fields.iter().map(|field| shortened(&row[field.name()])));
    }
    for (place, field) in fields.iter().enumerate() {
        if let (true, Some(column)) = (field.data_type().is_numeric(), table.column_mut(place)) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    let lines: Vec<String> =
        table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    if rows.is_empty() { format!("{}\n(no rows)", lines.join("\n")) } else { lines.join("\n") }
}

fn sheet(answered: &Answered, rows: &[Map<String, Json>]) -> Sheet {
    let header: Vec<String> = answered.schema.fields().iter().map(|field| field.name().clone()).collect();
    let rows = rows.iter().map(|row| header.iter().map(|name| told(&row[name])).collect()).collect();
    Sheet { header, rows }
}

fn told(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shortened(value: &Json) -> String {
    let text = told(value);
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
