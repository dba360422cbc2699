//! The pictures of a score: ROC, KS, calibration, deciles.

use super::{Card, Evaluation, Part, section};
use crate::chart::{Axis, Bar, Bars, Lines, Mark, Overlay, Series};
use crate::document::{Block, Cell, Figure, Section, Table};
use crate::words::{measure, number, percent, points, thousands};

const SIZE: (f64, f64) = (500.0, 340.0);

impl Card {
    pub(super) fn curves(&self) -> Option<Section> {
        let evaluation = self.evaluation.as_ref()?;
        let mut section = section(
            "curves",
            "How well it ranks, and whether its chances are true",
            "Rows sorted by score. Ranking says whether the bad stand before the good; calibration says whether a score of \
             five per cent means five in a hundred.",
        );
        let figure = |svg: String, caption: String| Block::Figure(Figure { svg, caption });
        let measures = &evaluation.test.measures;
        section.blocks.push(Block::Columns(vec![
            figure(
                roc("ROC curve", &roc_series(evaluation)),
                format!(
                    "ROC. AUC {} on the test part: the chance that a positive scores above a negative.",
                    measure(measures.auc)
                ),
            ),
            figure(
                ks(&evaluation.test),
                format!(
                    "KS. The two groups' scores are furthest apart, {}, where the dashed line stands.",
                    measure(measures.ks)
                ),
            ),
            figure(
                calibration(&evaluation.test),
                "Calibration. Each dot is about a tenth of the test rows, more where rows share a score; on the dashed line, what was promised came true."
                    .to_owned(),
            ),
            figure(
                gains(&evaluation.test),
                "Gains. How many of the positives stand among the rows with the highest scores.".to_owned(),
            ),
        ]));
        section.blocks.push(Block::Folded {
            title: "The curves' figures".to_owned(),
            blocks: vec![Block::Table(curve_table(&evaluation.test))],
        });
        Some(section)
    }

    pub(super) fn deciles(&self) -> Option<Section> {
        let evaluation = self.evaluation.as_ref()?;
        let test = &evaluation.test;
        let mut section = section(
            "deciles",
            "Deciles",
            "The test rows in tenths by score, the highest first; rows that share a score stay together.",
        );
        let positive = &self.labels[1];
        let bars = test.deciles.iter().map(|decile| Bar {
            label: decile.decile.to_string(),
            value: decile.rate * 100.0,
            tip: format!(
                "decile {}: {} of {} rows {positive} ({}), lift {:.2}",
                decile.decile,
                thousands(decile.positives),
                thousands(decile.rows),
                percent(decile.rate),
                decile.lift
            ),
            style: "first",
        });
        let chart = Bars {
            title: format!("Share {positive} by decile of score"),
            size: (500.0, 320.0),
            x_label: "decile by score, the highest first".to_owned(),
            y_label: format!("{positive}, %"),
            bars: bars.collect(),
            overlay: Some(Overlay {
                label: "captured".to_owned(),
                shares: test.deciles.iter().map(|decile| Some(decile.captured)).collect(),
            }),
        };
        section.blocks.push(Block::Columns(vec![
            Block::Figure(Figure {
                svg: chart.draw(),
                caption: format!(
                    "Bars: share {positive} in each decile. Line: share of all {positive} captured so far (right axis)."
                ),
            }),
            Block::Table(decile_table(test)),
        ]));
        section.blocks.push(Block::Table(calibration_table(test)));
        Some(section)
    }
}

fn decile_table(part: &Part) -> Table {
    let rows = part.deciles.iter().map(|decile| {
        vec![
            decile.decile.to_string().into(),
            thousands(decile.rows).into(),
            thousands(decile.positives).into(),
            percent(decile.min_score).into(),
            percent(decile.rate).into(),
            format!("{:.2}", decile.lift).into(),
            Cell::bar(percent(decile.captured), decile.captured),
        ]
    });
    Table {
        caption: String::new(),
        header: ["decile", "rows", "positives", "lowest score", "rate", "lift", "captured"].map(str::to_owned).to_vec(),
        numbers: (0..7).collect(),
        rows: rows.collect(),
    }
}

fn calibration_table(part: &Part) -> Table {
    let rows = part.calibration.iter().map(|bin| {
        vec![
            bin.bin.to_string().into(),
            thousands(bin.rows).into(),
            percent(bin.mean_score).into(),
            percent(bin.observed).into(),
            points(bin.observed - bin.mean_score).into(),
        ]
    });
    Table {
        caption: "Calibration of the test part, the lowest scores first".to_owned(),
        header: ["decile", "rows", "mean score", "came true", "difference"].map(str::to_owned).to_vec(),
        numbers: (0..5).collect(),
        rows: rows.collect(),
    }
}

fn curve_table(part: &Part) -> Table {
    let rows = part.curve.iter().map(|point| {
        vec![
            number(point.threshold).into(),
            percent(point.flagged).into(),
            percent(point.tpr).into(),
            percent(point.fpr).into(),
            measure(point.tpr - point.fpr).into(),
        ]
    });
    Table {
        caption: "What a threshold catches on the test part".to_owned(),
        header: ["threshold", "rows flagged", "positives caught", "negatives caught", "gap"]
            .map(str::to_owned)
            .to_vec(),
        numbers: (0..5).collect(),
        rows: rows.collect(),
    }
}

fn roc_series(evaluation: &Evaluation) -> Vec<(String, &'static str, &Part)> {
    let mut parts = vec![("test".to_owned(), "first", &evaluation.test)];
    parts.extend(evaluation.test_unseen.as_ref().map(|part| ("unseen profiles".to_owned(), "second", part)));
    parts.push(("train".to_owned(), "faint", &evaluation.train));
    parts
}

/// The parts' ROC curves over each other; the first is drawn last, on top.
pub(super) fn roc(title: &str, parts: &[(String, &'static str, &Part)]) -> String {
    let series = parts.iter().map(|(name, style, part)| Series {
        name: format!("{name} ({})", measure(part.measures.auc)),
        style,
        points: std::iter::once((0.0, 0.0)).chain(part.curve.iter().map(|point| (point.fpr, point.tpr))).collect(),
        tips: std::iter::once(String::new())
            .chain(part.curve.iter().map(|point| {
                format!(
                    "{name}, score from {} on: {} of positives and {} of negatives caught",
                    number(point.threshold),
                    percent(point.tpr),
                    percent(point.fpr)
                )
            }))
            .collect(),
        dots: 0.0,
    });
    let lines = Lines {
        title: title.to_owned(),
        size: SIZE,
        x: Axis::shares("negatives caught (false positive rate)"),
        y: Axis::shares("positives caught (true positive rate)"),
        series: series.collect(),
        marks: Vec::new(),
        diagonal: Some("by chance"),
    };
    lines.draw()
}

fn ks(part: &Part) -> String {
    let series = |name: &str, style, of: fn(&super::CurvePoint) -> f64| Series {
        name: name.to_owned(),
        style,
        points: std::iter::once((0.0, 0.0)).chain(part.curve.iter().map(|point| (point.flagged, of(point)))).collect(),
        tips: std::iter::once(String::new())
            .chain(part.curve.iter().map(|point| {
                format!(
                    "top {} of rows (score from {} on): {} of positives, {} of negatives, gap {}",
                    percent(point.flagged),
                    number(point.threshold),
                    percent(point.tpr),
                    percent(point.fpr),
                    measure(point.tpr - point.fpr)
                )
            }))
            .collect(),
        dots: 0.0,
    };
    let widest = part.curve.iter().max_by(|a, b| (a.tpr - a.fpr).abs().total_cmp(&(b.tpr - b.fpr).abs()));
    let marks = widest.map(|point| Mark {
        from: (point.flagged, point.tpr),
        to: (point.flagged, point.fpr),
        text: format!("KS {}", measure((point.tpr - point.fpr).abs())),
    });
    let lines = Lines {
        title: "KS chart".to_owned(),
        size: SIZE,
        x: Axis::shares("share of rows, the highest scores first"),
        y: Axis::shares("share of the group caught"),
        series: vec![series("positives", "second", |point| point.tpr), series("negatives", "first", |point| point.fpr)],
        marks: marks.into_iter().collect(),
        diagonal: None,
    };
    lines.draw()
}

fn gains(part: &Part) -> String {
    let best = part.measures.base_rate;
    let lines = Lines {
        title: "Gains chart".to_owned(),
        size: SIZE,
        x: Axis::shares("share of rows, the highest scores first"),
        y: Axis::shares("share of all positives"),
        series: vec![
            Series {
                name: "this model".to_owned(),
                style: "first",
                points: std::iter::once((0.0, 0.0))
                    .chain(part.curve.iter().map(|point| (point.flagged, point.tpr)))
                    .collect(),
                tips: std::iter::once(String::new())
                    .chain(part.curve.iter().map(|point| {
                        format!("top {} of rows: {} of the positives", percent(point.flagged), percent(point.tpr))
                    }))
                    .collect(),
                dots: 0.0,
            },
            Series {
                name: "a perfect one".to_owned(),
                style: "faint",
                points: vec![(0.0, 0.0), (best, 1.0), (1.0, 1.0)],
                tips: Vec::new(),
                dots: 0.0,
            },
        ],
        marks: Vec::new(),
        diagonal: Some("by chance"),
    };
    lines.draw()
}

/// Promised against what came, both on a scale that small chances can be read on.
fn calibration(part: &Part) -> String {
    // The lowest bins of a good model hold nobody; a square root spreads small shares and has a place for 0.
    let spread = |share: f64| share.max(0.0).sqrt();
    let most = part.calibration.iter().flat_map(|bin| [bin.mean_score, bin.observed]).fold(0.0, f64::max);
    let end = spread(most * 1.15).clamp(0.05, 1.0);
    let named = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0];
    let ticks: Vec<crate::chart::Tick> = std::iter::once(0.0)
        .chain(named.into_iter().filter(|share| *share >= most / 60.0))
        .filter(|share| spread(*share) <= end)
        .map(|share| crate::chart::Tick { value: spread(share), text: share_text(share) })
        .collect();
    let lines = Lines {
        title: "Calibration chart".to_owned(),
        size: SIZE,
        x: Axis::at("mean score of the decile", 0.0, end, ticks.clone()),
        y: Axis::at("share that came true", 0.0, end, ticks),
        series: vec![Series {
            name: "test".to_owned(),
            style: "first",
            points: part.calibration.iter().map(|bin| (spread(bin.mean_score), spread(bin.observed))).collect(),
            tips: part
                .calibration
                .iter()
                .map(|bin| {
                    format!(
                        "decile {}: {} rows, mean score {}, came true {}",
                        bin.bin,
                        thousands(bin.rows),
                        percent(bin.mean_score),
                        percent(bin.observed)
                    )
                })
                .collect(),
            dots: 4.0,
        }],
        marks: Vec::new(),
        diagonal: Some("promised = came true"),
    };
    lines.draw()
}

fn share_text(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 1.0 && percent > 0.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}
