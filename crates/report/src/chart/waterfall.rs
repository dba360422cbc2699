use super::scale::{Scale, Tick};
use super::svg::{Anchor, Svg, fitted};
use crate::words;

/// How a score comes about: from where everybody begins, step by step, to where this one ends. Steps are on the log-odds
/// scale, where they add up; the axis names chances.
pub(crate) struct Waterfall {
    pub title: String,
    pub width: f64,
    pub from: f64,
    pub from_text: String,
    pub steps: Vec<Step>,
    pub to: f64,
    pub to_text: String,
    pub threshold: Option<f64>,
}

pub(crate) struct Step {
    pub label: String,
    /// Stands after the label, whatever room that takes; empty: none.
    pub value: String,
    pub size: f64,
    pub tip: String,
}

const ROW: f64 = 26.0;
/// Chances worth naming.
const CHANCES: [f64; 17] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.98, 0.99, 0.999];

impl Waterfall {
    pub(crate) fn draw(&self) -> String {
        let left = self.width * 0.4;
        let right = self.width - 58.0;
        let mut places = vec![self.from];
        for step in &self.steps {
            places.push(places[places.len() - 1] + step.size);
        }
        let all = places.iter().copied().chain([self.to]).chain(self.threshold);
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let margin = ((high - low) * 0.06).max(0.1);
        let x = Scale::new((low - margin, high + margin), (left, right));
        let bottom = ROW * (self.steps.len() + 2) as f64 + 6.0;
        let mut svg = Svg::new(self.width, bottom + 62.0, &self.title);
        self.draw_axis(&mut svg, &x, (left, right), (low - margin, high + margin), bottom);
        self.end(&mut svg, &x, 0, self.from, "where everybody begins", &self.from_text, left);
        for (place, step) in self.steps.iter().enumerate() {
            let y = ROW * (place + 1) as f64 + 4.0;
            let (from, to) = (x.at(places[place]), x.at(places[place + 1]));
            let style = if step.size >= 0.0 { "bar worse" } else { "bar better" };
            let value =
                if step.value.is_empty() { String::new() } else { format!(": {}", fitted(&step.value, left * 0.4)) };
            let label = fitted(&step.label, left - 16.0 - 7.0 * value.chars().count() as f64);
            svg.text((left - 8.0, y + 13.0), Anchor::End, "row", &format!("{label}{value}"));
            svg.rect((from.min(to), y), ((to - from).abs().max(1.0), ROW - 9.0), style, &step.tip);
            svg.line((to, y), (to, y + ROW), "step");
            svg.text((from.max(to) + 5.0, y + 13.0), Anchor::Start, "value", &words::signed(step.size));
        }
        self.end(&mut svg, &x, self.steps.len() + 1, self.to, "this decision", &self.to_text, left);
        svg.finish()
    }

    fn draw_axis(&self, svg: &mut Svg, x: &Scale, (left, right): (f64, f64), ends: (f64, f64), bottom: f64) {
        let mut last = f64::NEG_INFINITY;
        let ticks = CHANCES
            .into_iter()
            .map(|chance| Tick { value: logit(chance), text: format!("{} %", words::number(chance * 100.0)) });
        for tick in ticks.filter(|tick| (ends.0..=ends.1).contains(&tick.value)) {
            svg.line((x.at(tick.value), 0.0), (x.at(tick.value), bottom), "grid");
            if x.at(tick.value) - last > 48.0 {
                svg.text((x.at(tick.value), bottom + 16.0), Anchor::Middle, "tick", &tick.text);
                last = x.at(tick.value);
            }
        }
        svg.line((left, bottom), (right, bottom), "axis");
        let label = "score: the chance, on the scale on which contributions add up (log odds)";
        svg.text(((left + right) / 2.0, bottom + 54.0), Anchor::Middle, "label", label);
        if let Some(threshold) = self.threshold {
            svg.line((x.at(threshold), 0.0), (x.at(threshold), bottom + 22.0), "threshold");
            let at = x.at(threshold).clamp(left + 30.0, right - 30.0);
            svg.text((at, bottom + 34.0), Anchor::Middle, "threshold-text", "threshold");
        }
    }

    #[expect(clippy::too_many_arguments, reason = "both ends are drawn alike, and only here")]
    fn end(&self, svg: &mut Svg, x: &Scale, row: usize, at: f64, label: &str, text: &str, left: f64) {
        let y = ROW * row as f64 + 4.0;
        svg.text((left - 8.0, y + 13.0), Anchor::End, "row strong", label);
        svg.circle((x.at(at), y + 8.5), 5.0, "dot first", text);
        let early = x.at(at) < left + (self.width - left) * 0.7;
        let (place, anchor) = if early { (x.at(at) + 10.0, Anchor::Start) } else { (x.at(at) - 10.0, Anchor::End) };
        svg.text((place, y + 13.0), anchor, "value strong", text);
    }
}

pub(crate) fn logit(chance: f64) -> f64 {
    (chance / (1.0 - chance)).ln()
}
