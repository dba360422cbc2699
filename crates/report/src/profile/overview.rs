//! All columns in one table, and how many rows each month brought.

use karat_core::profile::{ColumnProfile, Summary};
use serde_json::Value as Json;

use super::Page;
use super::columns::drawn;
use crate::chart::{Bar, Bars, spark_bars};
use crate::document::{Block, Cell, Figure, Section, Table};
use crate::words::{number, percent, thousands};

impl Page<'_> {
    pub(super) fn overview(&self) -> Section {
        let has_label = self.profile.label.is_some();
        let has_months = self.profile.months.len() > 1;
        let mut header = vec!["column", "type", "missing", "distinct", "least … greatest", "typical", "shape"];
        let mut numbers = vec![3];
        if has_label {
            numbers.push(header.len());
            header.push("IV");
        }
        if has_months {
            numbers.push(header.len());
            header.push("max PSI");
        }
        let rows = self.profile.columns.iter().map(|column| {
            let mut cells = column_cells(column);
            if has_label {
                cells.push(information(column));
            }
            if has_months {
                cells.push(worst_shift(column, self));
            }
            cells
        });
        let table = Table {
            caption: String::new(),
            header: header.into_iter().map(str::to_owned).collect(),
            numbers,
            rows: rows.collect(),
        };
        let mut blocks = vec![Block::Table(table)];
        let telling = self.profile.columns.iter().filter(|column| column.label.as_ref().is_some_and(|l| l.gives_away));
        let telling: Vec<&str> = telling.map(|column| column.name.as_str()).collect();
        if let (Some(label), false) = (&self.profile.label, telling.is_empty()) {
            blocks.insert(
                0,
                Block::Note {
                    text: format!(
                        "{} tell {} almost alone. What a row's own label is made of is known only afterwards: a feature may see \
                         it of earlier rows, never of its own.",
                        telling.join(", "),
                        label.column
                    ),
                    style: "bad",
                },
            );
        }
        Section {
            id: "columns".to_owned(),
            title: "Columns at a glance".to_owned(),
            lead: "Accepted rows, after prepare and the contract; typical is the median, of texts and flags the most frequent \
                   value. Each name leads to its details."
                .to_owned(),
            blocks,
        }
    }

    pub(super) fn over_time(&self) -> Option<Section> {
        let months = &self.profile.months;
        if months.len() < 2 {
            return None;
        }
        let chart = Bars {
            title: "Accepted rows by month".to_owned(),
            size: (1040.0, 240.0),
            x_label: "month of event time".to_owned(),
            y_label: "rows".to_owned(),
            bars: months
                .iter()
                .map(|month| Bar {
                    label: month.month.clone(),
                    value: month.rows as f64,
                    tip: format!("{}: {} rows", month.month, thousands(month.rows)),
                    style: "first",
                })
                .collect(),
            overlay: None,
        };
        let rows = months.iter().map(|month| vec![Cell::from(month.month.as_str()), thousands(month.rows).into()]);
        Some(Section {
            id: "months".to_owned(),
            title: "Rows over time".to_owned(),
            lead: "By month of event time.".to_owned(),
            blocks: vec![
                Block::Figure(Figure { svg: chart.draw(), caption: String::new() }),
                Block::Folded {
                    title: "Month by month".to_owned(),
                    blocks: vec![Block::Table(Table {
                        caption: String::new(),
                        header: vec!["month".to_owned(), "rows".to_owned()],
                        numbers: vec![1],
                        rows: rows.collect(),
                    })],
                },
            ],
        })
    }
}

/// The summary to show: of the accepted values, or of those read where the column is dropped.
pub(super) fn shown(column: &ColumnProfile) -> Option<&Summary> {
    column.accepted.as_ref().or(column.as_read.as_ref())
}

/// A place on the page.
pub(super) fn anchor(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    format!("column-{}", name.chars().map(plain).collect::<String>())
}

/// A value as a reader wants it: numbers in a few digits.
pub(super) fn plain(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.strip_suffix("T00:00:00Z").unwrap_or(text).to_owned(),
        Json::Number(found) => match found.as_i64() {
            Some(whole) => whole.to_string(),
            None => found.as_f64().map_or_else(|| found.to_string(), number),
        },
        other => other.to_string(),
    }
}

/// As [`plain`], cut to what a cell holds.
pub(super) fn short_plain(value: &Json, most: usize) -> String {
    let text = plain(value);
    if text.chars().count() <= most {
        return text;
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}

pub(super) fn distinct(summary: &Summary) -> String {
    let about = if summary.distinct_exact { "" } else { "≈ " };
    format!("{about}{}", thousands(summary.distinct))
}

fn column_cells(column: &ColumnProfile) -> Vec<Cell> {
    let roles = match column.roles.is_empty() {
        true => String::new(),
        false => format!(" · {}", column.roles.join(", ").replace('_', " ")),
    };
    let name = Cell { text: column.name.clone(), style: "strong", link: anchor(&column.name), ..Cell::default() };
    let mut cells = vec![name, format!("{}{roles}", column.data_type).into()];
    let Some(summary) = shown(column) else { return cells };
    cells.push(Cell::bar(percent(summary.null_share()), summary.null_share()));
    cells.push(distinct(summary).into());
    let is_ordered = !summary.quantiles.is_empty();
    cells.push(match is_ordered {
        true => format!("{} … {}", short_plain(&summary.min, 19), short_plain(&summary.max, 19)).into(),
        false => Cell::default(),
    });
    let typical = match summary.quantile(0.5) {
        Some(median) => short_plain(median, 19),
        None => summary.top.first().map(|top| short_plain(&top.value, 19)).unwrap_or_default(),
    };
    cells.push(typical.into());
    let bars = drawn(column).map(|bin| (bin.rows as f64, format!("{}: {}", bin.name, thousands(bin.rows))));
    let bars: Vec<(f64, String)> = bars.collect();
    cells.push(Cell {
        svg: if bars.is_empty() { String::new() } else { spark_bars(&format!("Shape of {}", column.name), &bars) },
        ..Cell::default()
    });
    cells
}

fn information(column: &ColumnProfile) -> Cell {
    let Some(label) = &column.label else { return Cell::default() };
    let style = if label.gives_away || label.information_value > 0.5 { "bad" } else { "" };
    Cell { style, ..Cell::bar(format!("{:.3}", label.information_value), label.information_value) }
}

fn worst_shift(column: &ColumnProfile, page: &Page<'_>) -> Cell {
    let worst = column.months.iter().zip(&page.profile.months).max_by(|a, b| a.0.psi.total_cmp(&b.0.psi));
    match worst {
        Some((shift, month)) => {
            let style = if shift.psi > 0.25 { "bad" } else { "" };
            Cell::styled(format!("{:.3} in {}", shift.psi, month.month), style)
        }
        None => Cell::default(),
    }
}
