//! What it is worth: measures part by part, the confusion at the threshold, what weighs.

use super::{Card, Evaluation, ImportanceMeasure, Measures, Part, section};
use crate::chart::{HorizontalBar, HorizontalBars};
use crate::document::{Block, Cell, Figure, Section, Table};
use crate::words::{measure, number, percent, thousands, title_of};

/// A measure: its name, where it stands, how it is written.
type Shown = (&'static str, fn(&Measures) -> f64, fn(f64) -> String);

const SHOWN: [Shown; 12] = [
    ("auc", |m| m.auc, measure),
    ("gini", |m| m.gini, measure),
    ("ks", |m| m.ks, measure),
    ("log_loss", |m| m.log_loss, measure),
    ("brier", |m| m.brier, measure),
    ("base_rate", |m| m.base_rate, percent),
    ("mean_score", |m| m.mean_score, percent),
    ("flagged", |m| m.flagged, percent),
    ("precision", |m| m.precision, percent),
    ("recall", |m| m.recall, percent),
    ("f1", |m| m.f1, measure),
    ("accuracy", |m| m.accuracy, percent),
];

/// Measures side by side, a column a part.
pub(super) fn measures_table(caption: &str, parts: &[(&str, &Measures)]) -> Table {
    let count = |title: &str, of: fn(&Measures) -> u64| {
        let cells = parts.iter().map(|(_, measures)| Cell::from(thousands(of(measures))));
        std::iter::once(Cell::from(title)).chain(cells).collect::<Vec<_>>()
    };
    let mut rows = vec![count("rows", |m| m.rows), count("positives", |m| m.positives)];
    for (name, of, text) in SHOWN {
        let mut row = vec![Cell::from(title_of(name))];
        row.extend(parts.iter().enumerate().map(|(place, (_, measures))| match place {
            0 => Cell::styled(text(of(measures)), "strong"),
            _ => text(of(measures)).into(),
        }));
        rows.push(row);
    }
    let header = std::iter::once(String::new()).chain(parts.iter().map(|(name, _)| (*name).to_owned())).collect();
    Table { caption: caption.to_owned(), header, numbers: (1..=parts.len()).collect(), rows }
}

impl Evaluation {
    fn parts(&self) -> Vec<(&'static str, &Part)> {
        let mut parts = vec![("test", &self.test)];
        parts.extend(self.test_unseen.as_ref().map(|unseen| ("unseen profiles", unseen)));
        parts.extend([("validation", &self.validation), ("train", &self.train)]);
        parts
    }
}

impl Card {
    pub(super) fn measures(&self) -> Option<Section> {
        let evaluation = self.evaluation.as_ref()?;
        let mut section = section(
            "measures",
            "What it is worth",
            "The test part is the figure to judge by: nothing that scores has seen it.",
        );
        let parts = evaluation.parts();
        let parts: Vec<(&str, &Measures)> = parts.iter().map(|(name, part)| (*name, &part.measures)).collect();
        section.blocks.push(Block::Table(measures_table("", &parts)));
        if let Some(unseen) = &evaluation.test_unseen {
            let (test, unseen) = (&evaluation.test.measures, &unseen.measures);
            let fall = test.auc - unseen.auc;
            section.blocks.push(Block::Note {
                text: format!(
                    "Unseen profiles: {} of the {} test rows have a profile that no training row has. AUC there is {}, {}: \
                     what is lost is what the model merely recognises.",
                    thousands(unseen.rows),
                    thousands(test.rows),
                    measure(unseen.auc),
                    match fall {
                        fall if fall.abs() < 0.0005 => "the same".to_owned(),
                        fall if fall > 0.0 => format!("{fall:.4} less"),
                        rise => format!("{:.4} more", -rise),
                    }
                ),
                style: if fall > 0.05 { "" } else { "plain" },
            });
        }
        Some(section)
    }

    pub(super) fn confusion(&self) -> Option<Section> {
        let evaluation = self.evaluation.as_ref()?;
        let confusion = &evaluation.test.measures.confusion;
        let [negative, positive] = &self.labels;
        let mut section = section(
            "threshold",
            "At the threshold",
            format!(
                "From a score of {} on, a row is called {positive}. The threshold was chosen on the validation part: {}. \
                 Below, what that does on the test part.",
                percent(evaluation.threshold),
                self.threshold_rule
            ),
        );
        let rows = evaluation.test.measures.rows as f64;
        let cell = |count: u64, style| {
            let share = count as f64 / rows.max(1.0);
            Cell { style, ..Cell::bar(format!("{} ({})", thousands(count), percent(share)), share) }
        };
        let row = |title: String, flagged: Cell, passed: Cell, all: u64| {
            vec![Cell::styled(title, "strong"), flagged, passed, thousands(all).into()]
        };
        let positives = confusion.true_positives + confusion.false_negatives;
        let negatives = confusion.false_positives + confusion.true_negatives;
        section.blocks.push(Block::Table(Table {
            caption: "Test rows: what came true against what the score said".to_owned(),
            header: vec![
                "came true".to_owned(),
                format!("called {positive}"),
                format!("called {negative}"),
                "all".to_owned(),
            ],
            numbers: vec![1, 2, 3],
            rows: vec![
                row(
                    positive.clone(),
                    cell(confusion.true_positives, "good"),
                    cell(confusion.false_negatives, "bad"),
                    positives,
                ),
                row(
                    negative.clone(),
                    cell(confusion.false_positives, "bad"),
                    cell(confusion.true_negatives, "good"),
                    negatives,
                ),
            ],
        }));
        let measures = &evaluation.test.measures;
        section.blocks.push(Block::Prose(format!(
            "Of those called {positive}, {} were (precision); of all who were {positive}, {} are called so (recall).",
            percent(measures.precision),
            percent(measures.recall)
        )));
        Some(section)
    }

    pub(super) fn importance(&self) -> Option<Section> {
        let importance = self.importance.as_ref()?;
        let lead = match &importance.measure {
            ImportanceMeasure::MeanAbsoluteContribution { part, rows } => format!(
                "Mean size of each input's contribution to the score (SHAP, in log odds) over {} rows of the {part} part.",
                thousands(*rows)
            ),
            ImportanceMeasure::Gain => {
                "Total gain of the splits that use each input, on the training part; the run recorded no contributions."
                    .to_owned()
            }
        };
        let mut section = section("importance", "What weighs", lead);
        let total: f64 = importance.features.iter().map(|feature| feature.value).sum();
        let share = |value: f64| if total > 0.0 { value / total } else { 0.0 };
        let shown = importance.features.iter().take(20).map(|feature| HorizontalBar {
            label: self.words_of(&feature.feature),
            value: feature.value,
            text: percent(share(feature.value)),
            tip: format!("{}: {} ({} of all)", feature.feature, number(feature.value), percent(share(feature.value))),
        });
        let chart = HorizontalBars { title: "What weighs, input by input".into(), width: 540.0, bars: shown.collect() };
        let rows = importance.features.iter().map(|feature| {
            vec![
                Cell::from(feature.feature.as_str()),
                number(feature.value).into(),
                Cell::bar(percent(share(feature.value)), share(feature.value)),
            ]
        });
        let unit = match importance.measure {
            ImportanceMeasure::Gain => "gain",
            ImportanceMeasure::MeanAbsoluteContribution { .. } => "mean |SHAP|",
        };
        let table = Table {
            caption: String::new(),
            header: ["input", unit, "share"].map(str::to_owned).to_vec(),
            numbers: vec![1, 2],
            rows: rows.collect(),
        };
        section.blocks.push(Block::Columns(vec![
            Block::Figure(Figure { svg: chart.draw(), caption: String::new() }),
            Block::Table(table),
        ]));
        Some(section)
    }

    pub(super) fn words_of(&self, feature: &str) -> String {
        let input = self.inputs.iter().find(|input| input.name == feature);
        input.map_or_else(|| feature.replace('_', " "), |input| input.words.clone())
    }
}
