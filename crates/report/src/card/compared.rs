//! The champion beside the challenger.

use super::curves::roc;
use super::worth::measures_table;
use super::{Card, Measured, section};
use crate::document::{Block, Figure, Section};
use crate::words::{measure, moment, thousands};

impl Card {
    pub(super) fn compared(&self) -> Option<Section> {
        let rival = self.rival.as_ref()?;
        let this = rival.this.as_ref().or_else(|| self.evaluation.as_ref().map(|evaluation| &evaluation.test))?;
        let role = match rival.role.as_str() {
            "" => String::new(),
            role => format!(", the {role}"),
        };
        let measured = match &rival.measured {
            Measured::NewToBoth { rows, from } => {
                let from = from.map(|from| format!(" from {} on", moment(from))).unwrap_or_default();
                format!("Both on the same {} test rows{from}, from which neither has learned.", thousands(*rows))
            }
            Measured::SameTestPart => "Both on the same test part.".to_owned(),
            Measured::OwnTestParts => "Each on its own test part.".to_owned(),
        };
        let lead = format!("{}{role}. {measured}", rival.label);
        let mut section = section("compared", "Beside the other version", lead);
        let (own, other) = (self.label(), rival.label.clone());
        let figures = [(own.as_str(), &this.measures), (other.as_str(), &rival.other.measures)];
        let parts = [(own.clone(), "first", this), (other.clone(), "second", &rival.other)];
        section.blocks.push(Block::Columns(vec![
            Block::Table(measures_table("", &figures)),
            Block::Figure(Figure {
                svg: roc("ROC curves of both versions", &parts),
                caption: format!(
                    "{own}: AUC {}, KS {}. {other}: AUC {}, KS {}.",
                    measure(this.measures.auc),
                    measure(this.measures.ks),
                    measure(rival.other.measures.auc),
                    measure(rival.other.measures.ks)
                ),
            }),
        ]));
        if rival.this.is_none() {
            section.blocks.push(Block::Note {
                text: "The two were measured on different rows: read the difference with that in mind.".to_owned(),
                style: "",
            });
        }
        Some(section)
    }
}
