//! One decision taken apart, and computed again.

use super::{Card, Contribution, Explained, Verdict, section};
use crate::chart::{Step, Waterfall};
use crate::document::{Block, Cell, Figure, Section, Table};
use crate::words::{moment, percent, signed};

/// Steps drawn one by one; what is smaller is drawn as one.
const STEPS: usize = 12;

impl Card {
    pub(super) fn decided(&self) -> Option<Section> {
        let decision = self.decision.as_ref()?;
        let side = if decision.score >= decision.threshold { "at or over" } else { "under" };
        let mut section = section(
            "decision",
            "One decision, taken apart",
            format!(
                "{}, as of {}: {} with a score of {}, {side} the threshold of {}.",
                decision.key,
                moment(decision.as_of),
                decision.label,
                percent(decision.score),
                percent(decision.threshold)
            ),
        );
        let mut sorted: Vec<&Contribution> = decision.contributions.iter().collect();
        sorted.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
        section.blocks.push(Block::Figure(Figure {
            svg: waterfall(decision, &sorted),
            caption: format!(
                "Each bar is what one input adds to or takes from the score. To the right, towards {}. Contributions are exact \
                 SHAP values: together with the start they add up to the score.",
                self.labels[1]
            ),
        }));
        let verdicts = Table {
            caption: "Replay: the same decision computed again, just now".to_owned(),
            header: ["", "verdict", "what was compared"].map(str::to_owned).to_vec(),
            numbers: Vec::new(),
            rows: vec![
                verdict(
                    "arithmetic",
                    &decision.arithmetic,
                    "the logged features, scored by the logged version, give the logged score bit for bit, and its reasons",
                ),
                verdict(
                    "history",
                    &decision.history,
                    "the features, computed again from history as of then, are the logged ones bit for bit",
                ),
            ],
        };
        let facts = vec![
            ("prediction".to_owned(), decision.prediction_id.clone()),
            ("answered".to_owned(), moment(decision.at)),
            ("endpoint".to_owned(), format!("{}, release {}", decision.endpoint, decision.release)),
        ];
        let mut beside = vec![Block::Facts(facts)];
        if !decision.reasons.is_empty() {
            beside.push(Block::Table(reasons(decision)));
        }
        beside.push(Block::Table(verdicts));
        beside.extend(
            decision
                .findings
                .iter()
                .map(|finding| Block::Note { text: format!("To be known before trusting it: {finding}"), style: "" }),
        );
        section.blocks.push(Block::Columns(vec![Block::Table(contributions(&sorted)), Block::Stack(beside)]));
        Some(section)
    }
}

fn waterfall(decision: &Explained, sorted: &[&Contribution]) -> String {
    let drawn = if sorted.len() > STEPS + 1 { STEPS } else { sorted.len() };
    let mut steps: Vec<Step> = sorted[..drawn]
        .iter()
        .map(|one| Step {
            label: one.words.clone(),
            value: one.value.clone(),
            size: one.contribution,
            tip: format!("{} = {}: {}", one.feature, one.value, signed(one.contribution)),
        })
        .collect();
    let rest: f64 = sorted[drawn..].iter().map(|one| one.contribution).sum();
    if drawn < sorted.len() {
        let label = format!("{} more inputs together", sorted.len() - drawn);
        steps.push(Step { tip: format!("{label}: {}", signed(rest)), label, value: String::new(), size: rest });
    }
    let to = decision.expected + sorted.iter().map(|one| one.contribution).sum::<f64>();
    let chance = |raw: f64| 1.0 / (1.0 + (-raw).exp());
    let inside = decision.threshold > 0.0 && decision.threshold < 1.0;
    let picture = Waterfall {
        title: format!("How the score of prediction {} comes about", decision.prediction_id),
        width: 1040.0,
        from: decision.expected,
        from_text: percent(chance(decision.expected)),
        steps,
        to,
        to_text: format!("{} – {}", percent(decision.score), decision.label),
        threshold: inside.then(|| (decision.threshold / (1.0 - decision.threshold)).ln()),
    };
    picture.draw()
}

fn contributions(sorted: &[&Contribution]) -> Table {
    let rows = sorted.iter().map(|one| {
        vec![
            one.words.as_str().into(),
            Cell::from(one.value.as_str()),
            signed(one.contribution).into(),
            Cell::styled(one.code.as_deref().unwrap_or_default(), "code"),
        ]
    });
    Table {
        caption: "All inputs, the weightiest first".to_owned(),
        header: ["input", "value", "contribution", "code"].map(str::to_owned).to_vec(),
        numbers: vec![1, 2],
        rows: rows.collect(),
    }
}

fn reasons(decision: &Explained) -> Table {
    let rows = decision.reasons.iter().map(|reason| {
        vec![
            Cell::styled(reason.code.as_deref().unwrap_or_default(), "code"),
            reason.text.as_str().into(),
            signed(reason.contribution).into(),
        ]
    });
    Table {
        caption: "Reasons as an answer gives them".to_owned(),
        header: ["code", "reason", "contribution"].map(str::to_owned).to_vec(),
        numbers: vec![2],
        rows: rows.collect(),
    }
}

fn verdict(name: &str, verdict: &Verdict, compared: &str) -> Vec<Cell> {
    let (word, style, more) = match verdict {
        Verdict::Same => ("the same", "good", compared.to_owned()),
        Verdict::Different { what } => ("different", "bad", format!("differs: {}", what.join("; "))),
        Verdict::NotApplicable { why } => ("nothing to compare", "soft", why.clone()),
    };
    vec![Cell::styled(name, "strong"), Cell::styled(word, style), more.into()]
}
