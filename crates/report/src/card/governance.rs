//! May it decide: gates, and who permitted it.

use super::{Card, section};
use crate::document::{Block, Cell, Section, Table};
use crate::words::{measure, moment};

impl Card {
    pub(super) fn verdict(&self) -> Option<Section> {
        let mut section = section(
            "verdict",
            "May it decide?",
            "Gates are conditions that the model's file sets; they are measured on the test part, or against the champion \
             on rows that neither has learned from. Approval permits; only an alias deploys.",
        );
        for missing in &self.missing {
            section.blocks.push(Block::Note { text: missing.clone(), style: "plain" });
        }
        section.blocks.push(Block::Columns(vec![Block::Table(self.gates_table()), self.approvals()]));
        Some(section)
    }

    fn gates_table(&self) -> Table {
        let rows = self.gates.iter().map(|gate| {
            let verdict = if gate.passed { ("passed", "good") } else { ("not passed", "bad") };
            vec![
                Cell::styled(verdict.0, verdict.1),
                Cell::styled(gate.gate.as_str(), "code"),
                gate.measured.map(measure).unwrap_or_default().into(),
                match (&gate.note, gate.required) {
                    (Some(note), _) => note.as_str().into(),
                    (None, Some(required)) => measure(required).into(),
                    (None, None) => "".into(),
                },
            ]
        });
        Table {
            caption: match self.gates.is_empty() {
                true => "The model's file sets no gates.".to_owned(),
                false => "Gates".to_owned(),
            },
            header: ["", "gate", "measured", "required"].map(str::to_owned).to_vec(),
            numbers: vec![2, 3],
            rows: rows.collect(),
        }
    }

    fn approvals(&self) -> Block {
        if self.decisions.is_empty() {
            let text = match self.approval_required {
                true => "Nobody has decided about this version yet; without an approval it cannot serve.",
                false => "This model needs no approval, and nobody has decided about this version.",
            };
            return Block::Note { text: text.to_owned(), style: "plain" };
        }
        let rows = self.decisions.iter().map(|decided| {
            let style = if decided.decision == "approved" { "good" } else { "bad" };
            vec![
                Cell::styled(decided.decision.as_str(), style),
                Cell::styled(decided.actor.as_str(), "strong"),
                moment(decided.at).into(),
                decided.why.as_str().into(),
            ]
        });
        Block::Table(Table {
            caption: "Decisions about this version, as the audit chain holds them".to_owned(),
            header: ["", "by", "on", "because"].map(str::to_owned).to_vec(),
            numbers: Vec::new(),
            rows: rows.collect(),
        })
    }
}
