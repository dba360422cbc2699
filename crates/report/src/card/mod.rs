//! A model's card: what it is, what it comes from, what it is worth, who permitted it, and one of its decisions explained.

mod compared;
mod curves;
mod decision;
mod figures;
mod governance;
mod origin;
mod worth;

pub use figures::*;

use crate::ReportError;
use crate::document::{Document, Section, Tile};
use crate::words::{counted, measure, moment, percent, thousands};

impl Card {
    /// The whole page.
    pub fn html(&self) -> Result<String, ReportError> {
        let sections = [
            self.verdict(),
            self.measures(),
            self.curves(),
            self.deciles(),
            self.confusion(),
            self.importance(),
            self.compared(),
            self.decided(),
            self.inputs(),
            self.data(),
            self.lineage(),
        ];
        let document = Document {
            title: format!("{} – model card", self.label()),
            kind: format!("Model card · {}", self.project),
            heading: self.label(),
            lead: self.description.clone(),
            badges: self.badges(),
            tiles: self.tiles(),
            sections: sections.into_iter().flatten().collect(),
            footer: format!(
                "Written by Karat {} on {}. One file: nothing in it is loaded from elsewhere.",
                self.karat,
                moment(self.written)
            ),
        };
        document.html()
    }

    /// `credit_default/3`
    pub fn label(&self) -> String {
        format!("{}/{}", self.model, self.version)
    }

    fn badges(&self) -> Vec<(String, &'static str)> {
        let mut badges: Vec<(String, &'static str)> =
            self.aliases.iter().map(|alias| (alias.clone(), "good")).collect();
        badges.push(match self.standing.as_str() {
            "approved" => ("approved".to_owned(), "good"),
            "rejected" => ("rejected".to_owned(), "bad"),
            _ => ("not yet decided".to_owned(), "plain"),
        });
        badges.push(match self.gates.iter().filter(|gate| !gate.passed).count() as u64 {
            0 if self.gates.is_empty() => ("no gates".to_owned(), "plain"),
            0 => (format!("{} passed", counted(self.gates.len() as u64, "gate", "gates")), "good"),
            failed => (format!("{} not passed", counted(failed, "gate", "gates")), "bad"),
        });
        badges
    }

    fn tiles(&self) -> Vec<Tile> {
        let Some(evaluation) = &self.evaluation else { return Vec::new() };
        let test = &evaluation.test.measures;
        let tile = |name: &str, value: String, note: String| Tile { name: name.to_owned(), value, note };
        let unseen = evaluation.test_unseen.as_ref().map(|part| &part.measures);
        let beside = |of: fn(&Measures) -> f64| {
            unseen.map(|unseen| format!("{} on unseen profiles", measure(of(unseen)))).unwrap_or_default()
        };
        vec![
            tile("AUC", measure(test.auc), beside(|measures| measures.auc)),
            tile("KS", measure(test.ks), beside(|measures| measures.ks)),
            tile("Gini", measure(test.gini), String::new()),
            tile("Brier score", measure(test.brier), "lower is better".to_owned()),
            tile(
                &format!("share {}", self.labels[1]),
                percent(test.base_rate),
                format!("mean score {}", percent(test.mean_score)),
            ),
            tile(
                "flagged at the threshold",
                percent(test.flagged),
                format!("score from {} on", percent(evaluation.threshold)),
            ),
            tile("test rows", thousands(test.rows), counted(test.positives, "positive", "positives")),
        ]
    }
}

fn section(id: &str, title: &str, lead: impl Into<String>) -> Section {
    Section { id: id.to_owned(), title: title.to_owned(), lead: lead.into(), blocks: Vec::new() }
}
