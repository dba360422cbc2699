//! Where it comes from: inputs, data, split, lineage.

use karat_core::Instant;

use super::{Card, SplitPart, section};
use crate::chart::{Span, Tick, timeline};
use crate::document::{Block, Cell, Figure, Section, Table};
use crate::words::{moment, percent, short, thousands};

impl Card {
    pub(super) fn inputs(&self) -> Option<Section> {
        let mut section = section(
            "inputs",
            "What it looks at",
            "The inputs in the model's order, the words and codes that reasons use, and the directions it was held to. \
             Ids are never among them.",
        );
        let rows = self.inputs.iter().map(|input| {
            vec![
                Cell::styled(input.name.as_str(), "strong"),
                input.data_type.as_str().into(),
                input.from.as_str().into(),
                input.words.as_str().into(),
                Cell::styled(input.code.as_deref().unwrap_or_default(), "code"),
                input.group.as_deref().unwrap_or_default().into(),
                input.monotone.as_deref().unwrap_or_default().into(),
            ]
        });
        section.blocks.push(Block::Table(Table {
            caption: String::new(),
            header: ["input", "type", "from", "words in a reason", "code", "one reason with", "held to be"]
                .map(str::to_owned)
                .to_vec(),
            numbers: Vec::new(),
            rows: rows.collect(),
        }));
        let checks = self.inputs.iter().flat_map(|input| input.checks.iter().map(move |check| (&input.name, check)));
        let checks: Vec<Vec<Cell>> =
            checks.map(|(input, check)| vec![Cell::styled(input.as_str(), "strong"), check.as_str().into()]).collect();
        if !checks.is_empty() {
            section.blocks.push(Block::Table(Table {
                caption: "What is put in place of values that fail a check, in training as in decisions.".to_owned(),
                header: ["input", "check"].map(str::to_owned).to_vec(),
                numbers: Vec::new(),
                rows: checks,
            }));
        }
        if self.inputs.iter().all(|input| input.monotone.is_none()) {
            section
                .blocks
                .push(Block::Prose("No input is held to a direction (monotone constraints: none).".to_owned()));
        }
        Some(section)
    }

    pub(super) fn data(&self) -> Option<Section> {
        let split = self.split.as_ref()?;
        let mut section = section(
            "data",
            "What it learned from",
            format!(
                "{} rows, split {}. A row trains only if its label was known before the next part begins.",
                thousands(split.rows),
                self.split_rule
            ),
        );
        let parts = [("train", &split.train), ("validation", &split.validation), ("test", &split.test)];
        let mut spans: Vec<Span> = parts
            .iter()
            .zip(["first", "third", "second"])
            .filter_map(|((name, part), style)| span(name, part, style))
            .collect();
        for place in 1..spans.len() {
            let next = spans[place].from;
            let before = &mut spans[place - 1];
            before.to = before.to.min(next.max(before.from));
        }
        if spans.len() == parts.len() {
            let ticks = years(spans[0].from, spans[spans.len() - 1].to);
            let svg = timeline("The parts over time", 1040.0, &spans, &ticks);
            section.blocks.push(Block::Figure(Figure { svg, caption: String::new() }));
        }
        let rows = parts.iter().map(|(name, part)| {
            vec![
                Cell::styled(*name, "strong"),
                thousands(part.rows).into(),
                thousands(part.positives).into(),
                percent(part.positives as f64 / (part.rows as f64).max(1.0)).into(),
                part.first_as_of.map(moment).unwrap_or_default().into(),
                part.last_as_of.map(moment).unwrap_or_default().into(),
                thousands(part.purged).into(),
            ]
        });
        section.blocks.push(Block::Table(Table {
            caption: String::new(),
            header: [
                "part",
                "rows",
                self.labels[1].as_str(),
                "share",
                "first as of",
                "last as of",
                "left out: label known too late",
            ]
            .map(str::to_owned)
            .to_vec(),
            numbers: vec![1, 2, 3, 6],
            rows: rows.collect(),
        }));
        let refused: u64 = parts.iter().map(|(_, part)| part.refused).sum();
        if refused > 0 {
            let text = format!(
                "{} rows are in no part, because a check of their features refuses to decide on them, as an endpoint would.",
                thousands(refused)
            );
            section.blocks.push(Block::Prose(text));
        }
        let in_none = [
            (split.unlabelled, "rows have no label yet and are in no part."),
            (split.open, "rows are open: what defines their label may still come, so they are in no part."),
            (split.not_kept, "rows are in no part, because the spine keeps others of their key."),
        ];
        for (rows, why) in in_none.into_iter().filter(|(rows, _)| *rows > 0) {
            section.blocks.push(Block::Prose(format!("{} {why}", thousands(rows))));
        }
        let again = |name: &str, part: &SplitPart| {
            let share = percent(part.identical as f64 / (part.rows as f64).max(1.0));
            format!("{} of {} {name} rows ({share})", thousands(part.identical), thousands(part.rows))
        };
        let again: Vec<String> =
            parts.iter().filter(|(_, part)| part.identical > 0).map(|(name, part)| again(name, part)).collect();
        if !again.is_empty() {
            let text = format!(
                "{} are the same as a training row in every input and in the label: what the model knows by heart looks \
                 like foresight there.",
                again.join(" and ")
            );
            section.blocks.push(Block::Prose(text));
        }
        Some(section)
    }

    pub(super) fn lineage(&self) -> Option<Section> {
        let mut section = section(
            "lineage",
            "Where it comes from",
            "Everything below is pinned: from these commits, definitions and seed, `karat runs reproduce` gives the same digest.",
        );
        let sources = self.sources.iter().map(|read| {
            vec![
                Cell::styled(read.source.as_str(), "strong"),
                read.commit.to_string().into(),
                Cell::styled(short(&read.delivery), "code"),
                read.ingested.map(moment).unwrap_or_default().into(),
            ]
        });
        section.blocks.push(Block::Facts(self.lineage.clone()));
        section.blocks.push(Block::Table(Table {
            caption: "Commits of the histories it was learned from".to_owned(),
            header: ["source", "commit", "digest of the delivery", "ingested"].map(str::to_owned).to_vec(),
            numbers: vec![1],
            rows: sources.collect(),
        }));
        Some(section)
    }
}

fn span(name: &str, part: &SplitPart, style: &'static str) -> Option<Span> {
    const DAY: f64 = 86_400e6;
    let (first, last) = (part.first_as_of?, part.last_as_of?);
    let micros = |at: Instant| at.micros() as f64;
    Some(Span {
        name: name.to_owned(),
        from: micros(first),
        // As-of is a month's or a day's beginning: the stretch ends after it.
        to: micros(last) + 28.0 * DAY,
        tip: format!("{name}: {} rows, {} to {}", thousands(part.rows), moment(first), moment(last)),
        style,
    })
}

/// The years that begin between two instants.
fn years(low: f64, high: f64) -> Vec<Tick> {
    let begin = |year: i32| karat_core::time::civil_date(&format!("{year:04}-01-01")).map(Instant::midnight);
    let all =
        (1900..2200).filter_map(|year| Some(Tick { value: begin(year)?.micros() as f64, text: year.to_string() }));
    all.filter(|tick| (low..=high).contains(&tick.value)).collect()
}
