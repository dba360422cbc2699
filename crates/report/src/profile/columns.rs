//! Every column by itself.

use karat_core::DataType;
use karat_core::profile::{Bin, ColumnLabel, ColumnProfile, Label, Summary};

use super::Page;
use super::overview::{anchor, distinct, plain, short_plain, shown};
use crate::chart::{Axis, Bar, Bars, Lines, Series, Tick};
use crate::document::{Block, Cell, Figure, Section, Table};
use crate::words::{number, percent, thousands};

const SIZE: (f64, f64) = (500.0, 250.0);
/// What a profile calls the last bin of a text column that has more values than bins.
const OTHERS: &str = "all others";

impl Page<'_> {
    pub(super) fn columns(&self) -> Section {
        let blocks = self.profile.columns.iter().flat_map(|column| self.column(column)).collect();
        Section {
            id: "details".to_owned(),
            title: "Column by column".to_owned(),
            lead: "Histograms and months are of the accepted rows.".to_owned(),
            blocks,
        }
    }

    fn column(&self, column: &ColumnProfile) -> Vec<Block> {
        let Some(summary) = shown(column) else { return Vec::new() };
        let mut aside = vec![column.data_type.to_string()];
        aside.extend(column.roles.iter().map(|role| role.replace('_', " ")));
        let mut blocks =
            vec![Block::Heading { id: anchor(&column.name), text: column.name.clone(), aside: aside.join(" · ") }];
        if column.roles.iter().any(|role| role == "label") {
            blocks.push(Block::Note {
                text: "The label: its values in the validation and the test part must not be seen, so only counts are told."
                    .to_owned(),
                style: "plain",
            });
        }
        let mut pictures = Vec::new();
        if !column.histogram.is_empty() {
            let caption = match others(column) {
                0 => "How often each value stands.".to_owned(),
                rows => format!("How often the most frequent values stand; all others: {} rows.", thousands(rows)),
            };
            pictures.push(figure(histogram(column), caption));
        }
        if let (Some(label), Some(whose)) = (&column.label, &self.profile.label) {
            let caption = format!(
                "Share {} by bins of about equal size, training rows only; information value {:.3}.",
                whose.column, label.information_value
            );
            pictures.push(figure(rates(column, label, whose), caption));
        }
        if column.months.len() > 1 {
            pictures.extend(self.months(column));
        }
        blocks.push(Block::Facts(facts(column, summary)));
        if !pictures.is_empty() {
            blocks.push(Block::Columns(pictures));
        }
        let mut tables = Vec::new();
        if !summary.quantiles.is_empty() {
            tables.push(Block::Table(quantiles(summary)));
        }
        if !summary.top.is_empty() {
            tables.push(Block::Table(top(summary)));
        }
        if let Some(label) = &column.label {
            tables.push(Block::Table(rates_table(label)));
        }
        if !column.histogram.is_empty() {
            tables.push(Block::Table(histogram_table(column)));
        }
        if !tables.is_empty() {
            blocks.push(Block::Folded {
                title: "Quantiles, values, bins".to_owned(),
                blocks: vec![Block::Columns(tables)],
            });
        }
        blocks
    }

    fn months(&self, column: &ColumnProfile) -> Vec<Block> {
        let months = &self.profile.months;
        let last = (months.len() - 1).max(1) as f64;
        let every = (months.len() / 6).max(1);
        let ticks: Vec<Tick> = months
            .iter()
            .enumerate()
            .step_by(every)
            .map(|(place, month)| Tick { value: place as f64, text: month.month.clone() })
            .collect();
        let nulls: Vec<f64> = column
            .months
            .iter()
            .zip(months)
            .map(|(one, month)| one.nulls as f64 / (month.rows as f64).max(1.0))
            .collect();
        let tips = |of: &dyn Fn(usize) -> String| -> Vec<String> {
            months
                .iter()
                .enumerate()
                .map(|(place, month)| format!("{}: {} ({} rows)", month.month, of(place), thousands(month.rows)))
                .collect()
        };
        let line = |title: &str, y: Axis, values: Vec<(f64, f64)>, tips: Vec<String>| {
            let series = Series { name: title.to_owned(), style: "first", points: values, tips, dots: 0.0 };
            let lines = Lines {
                title: format!("{title} of {} by month", column.name),
                size: (500.0, 190.0),
                x: Axis::at("month", 0.0, last, ticks.clone()),
                y,
                series: vec![series],
                marks: Vec::new(),
                diagonal: None,
            };
            lines.draw()
        };
        let means: Vec<(usize, f64)> =
            column.months.iter().enumerate().filter_map(|(place, month)| Some((place, month.mean?))).collect();
        let first = if means.len() > 1 {
            let (low, high) = means
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, mean)| (low.min(*mean), high.max(*mean)));
            let margin = ((high - low) * 0.1).max(high.abs() * 1e-3).max(1e-9);
            let all = tips(&|place| column.months[place].mean.map(number).unwrap_or_default());
            let tips = means.iter().map(|(place, _)| all[*place].clone()).collect();
            let points = means.iter().map(|(place, mean)| (*place as f64, *mean)).collect();
            line("mean", Axis::round("mean", low - margin, high + margin, number), points, tips)
        } else {
            let most = nulls.iter().copied().fold(0.01, f64::max);
            let tips = tips(&|place| format!("{} missing", percent(nulls[place])));
            let points = nulls.iter().enumerate().map(|(place, share)| (place as f64, *share)).collect();
            line("missing", Axis::round("missing", 0.0, most * 1.1, percent), points, tips)
        };
        let most = column.months.iter().map(|month| month.psi).fold(0.12, f64::max);
        let psi_tips = tips(&|place| format!("PSI {:.3}, {} missing", column.months[place].psi, percent(nulls[place])));
        let points = column.months.iter().enumerate().map(|(place, month)| (place as f64, month.psi)).collect();
        let second = line("PSI", Axis::round("PSI", 0.0, most * 1.1, number), points, psi_tips);
        let what = if means.len() > 1 { "The mean" } else { "The share missing" };
        vec![
            figure(first, format!("{what} by month.")),
            figure(second, "PSI of each month against all rows; above 0.25 is a shift.".to_owned()),
        ]
    }
}

fn figure(svg: String, caption: String) -> Block {
    Block::Figure(Figure { svg, caption })
}

/// The bins to draw: what all rare values have together would dwarf the others.
pub(super) fn drawn(column: &ColumnProfile) -> impl Iterator<Item = &Bin> {
    column.histogram.iter().filter(|bin| !is_rest(column, bin))
}

/// The rows of values that have no bin of their own.
fn others(column: &ColumnProfile) -> u64 {
    column.histogram.iter().filter(|bin| is_rest(column, bin)).map(|bin| bin.rows).sum()
}

fn is_rest(column: &ColumnProfile, bin: &Bin) -> bool {
    let is_last = column.histogram.last().is_some_and(|last| std::ptr::eq(last, bin));
    column.data_type == DataType::Text && is_last && bin.name == OTHERS
}

fn histogram(column: &ColumnProfile) -> String {
    let total: u64 = column.histogram.iter().map(|bin| bin.rows).sum();
    let bars = drawn(column).map(|bin| Bar {
        label: label_of(&bin.name, &bin.from),
        value: bin.rows as f64,
        tip: format!("{}: {} rows ({})", bin.name, thousands(bin.rows), percent(bin.rows as f64 / total.max(1) as f64)),
        style: "first",
    });
    let chart = Bars {
        title: format!("Histogram of {}", column.name),
        size: SIZE,
        x_label: column.name.clone(),
        y_label: "rows".to_owned(),
        bars: bars.collect(),
        overlay: None,
    };
    chart.draw()
}

/// Of a bin with ends, where it begins; else its name.
fn label_of(name: &str, from: &serde_json::Value) -> String {
    if from.is_null() { name.to_owned() } else { short_plain(from, 12) }
}

fn rates(column: &ColumnProfile, label: &ColumnLabel, whose: &Label) -> String {
    let bins = label.bins.iter().map(|bin| (bin, "second")).chain(label.missing.iter().map(|bin| (bin, "faint")));
    let bars = bins.filter_map(|(bin, style)| {
        let rate = bin.rate()?;
        Some(Bar {
            label: label_of(&bin.name, &bin.from),
            value: rate * 100.0,
            tip: format!(
                "{}: {} of {} training rows {} ({})",
                bin.name,
                thousands(bin.positives),
                thousands(bin.rows),
                whose.column,
                percent(rate)
            ),
            style,
        })
    });
    let chart = Bars {
        title: format!("Share {} by {}", whose.column, column.name),
        size: SIZE,
        x_label: column.name.clone(),
        y_label: format!("{}, %", whose.column),
        bars: bars.collect(),
        overlay: None,
    };
    chart.draw()
}

fn facts(column: &ColumnProfile, summary: &Summary) -> Vec<(String, String)> {
    let mut facts = vec![
        (
            "missing".to_owned(),
            format!("{} of {} ({})", thousands(summary.nulls), thousands(summary.rows), percent(summary.null_share())),
        ),
        ("distinct".to_owned(), distinct(summary)),
    ];
    if summary.nans > 0 {
        facts.push(("not a number".to_owned(), thousands(summary.nans)));
    }
    let mut range = vec![short_plain(&summary.min, 60), short_plain(&summary.max, 60)];
    range.retain(|text| !text.is_empty());
    if range.len() == 2 && column.data_type != DataType::Bool {
        facts.push(("least, greatest".to_owned(), range.join(" … ")));
    }
    if let Some(mean) = summary.mean {
        let deviation = summary.std.map(|std| format!(", standard deviation {}", number(std))).unwrap_or_default();
        match column.data_type {
            DataType::Bool => facts.push(("true".to_owned(), percent(mean))),
            _ => facts.push(("mean".to_owned(), format!("{}{deviation}", number(mean)))),
        }
    }
    if summary.quantile_error > 0.0 {
        facts.push(("quantiles".to_owned(), format!("ranks are off by at most {}", percent(summary.quantile_error))));
    }
    if let (Some(read), Some(accepted)) = (&column.as_read, &column.accepted) {
        let changed = [
            (read.nulls != accepted.nulls, format!("{} missing", thousands(read.nulls))),
            (read.distinct != accepted.distinct, format!("{} distinct", distinct(read))),
            (
                read.min != accepted.min || read.max != accepted.max,
                format!("{} … {}", short_plain(&read.min, 40), short_plain(&read.max, 40)),
            ),
        ];
        let changed: Vec<String> = changed.into_iter().filter(|(is, _)| *is).map(|(_, text)| text).collect();
        if !changed.is_empty() && !read.top.is_empty() {
            facts.push(("as read, before the contract".to_owned(), changed.join("; ")));
        }
    }
    facts
}

fn quantiles(summary: &Summary) -> Table {
    let rows = summary
        .quantiles
        .iter()
        .map(|quantile| vec![Cell::from(format!("{:.0} %", quantile.share * 100.0)), plain(&quantile.value).into()]);
    Table {
        caption: "Quantiles".to_owned(),
        header: vec!["share".to_owned(), "value".to_owned()],
        numbers: vec![0, 1],
        rows: rows.collect(),
    }
}

fn top(summary: &Summary) -> Table {
    let held = summary.rows.max(1) as f64;
    let rows = summary.top.iter().take(12).map(|top| {
        let share = top.rows as f64 / held;
        vec![Cell::from(short_plain(&top.value, 60)), thousands(top.rows).into(), Cell::bar(percent(share), share)]
    });
    Table {
        caption: match summary.top_error {
            0 => "Most frequent values".to_owned(),
            error => format!("Most frequent values; counts may be too low by up to {}", thousands(error)),
        },
        header: ["value", "rows", "share"].map(str::to_owned).to_vec(),
        numbers: vec![1, 2],
        rows: rows.collect(),
    }
}

fn rates_table(label: &ColumnLabel) -> Table {
    let rows = label.bins.iter().chain(&label.missing).map(|bin| {
        vec![
            Cell::from(bin.name.as_str()),
            thousands(bin.rows).into(),
            thousands(bin.positives).into(),
            bin.rate().map(percent).unwrap_or_default().into(),
        ]
    });
    Table {
        caption: "The label by bin, training rows only".to_owned(),
        header: ["bin", "rows", "positives", "rate"].map(str::to_owned).to_vec(),
        numbers: vec![1, 2, 3],
        rows: rows.collect(),
    }
}

fn histogram_table(column: &ColumnProfile) -> Table {
    let rows = column.histogram.iter().map(|bin| vec![Cell::from(bin.name.as_str()), thousands(bin.rows).into()]);
    Table {
        caption: "Histogram".to_owned(),
        header: vec!["bin".to_owned(), "rows".to_owned()],
        numbers: vec![1],
        rows: rows.collect(),
    }
}
