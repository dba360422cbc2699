use super::scale::{Scale, Tick, round_values};
use super::svg::{Anchor, Svg, width_of};

/// An axis with its name, its ends and how its values are written.
pub(crate) struct Axis {
    pub label: String,
    pub from: f64,
    pub to: f64,
    pub ticks: Ticks,
}

pub(crate) enum Ticks {
    Round(fn(f64) -> String),
    At(Vec<Tick>),
}

pub(crate) struct Series {
    pub name: String,
    /// `first`, `second`, `third`, `faint`: the style sheet's lines.
    pub style: &'static str,
    pub points: Vec<(f64, f64)>,
    /// What each point's tool-tip says; empty: none.
    pub tips: Vec<String>,
    /// Dots of this radius; 0 draws dots that only a pointer finds.
    pub dots: f64,
}

/// A point of its own, with a word beside it.
pub(crate) struct Mark {
    pub from: (f64, f64),
    pub to: (f64, f64),
    pub text: String,
}

pub(crate) struct Lines {
    pub title: String,
    pub size: (f64, f64),
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    pub marks: Vec<Mark>,
    /// From one corner to the other: what a score that knows nothing gives.
    pub diagonal: Option<&'static str>,
}

impl Axis {
    pub(crate) fn shares(label: &str) -> Axis {
        let ticks = Ticks::Round(|share| format!("{:.0} %", share * 100.0));
        Axis { label: label.to_owned(), from: 0.0, to: 1.0, ticks }
    }

    pub(crate) fn round(label: &str, from: f64, to: f64, text: fn(f64) -> String) -> Axis {
        Axis { label: label.to_owned(), from, to, ticks: Ticks::Round(text) }
    }

    pub(crate) fn at(label: &str, from: f64, to: f64, ticks: Vec<Tick>) -> Axis {
        Axis { label: label.to_owned(), from, to, ticks: Ticks::At(ticks) }
    }

    fn ticks(&self, wanted: usize) -> Vec<Tick> {
        match &self.ticks {
            Ticks::Round(text) => {
                let values = round_values(self.from, self.to, wanted).into_iter();
                values.map(|value| Tick { value, text: text(value) }).collect()
            }
            Ticks::At(ticks) => ticks.clone(),
        }
    }
}

impl Lines {
    pub(crate) fn draw(&self) -> String {
        let (width, height) = self.size;
        let y_ticks = self.y.ticks(5);
        let widest = y_ticks.iter().map(|tick| width_of(&tick.text)).fold(0.0, f64::max);
        let (left, right, bottom) = (widest + 26.0, width - 24.0, height - 42.0);
        let top = if self.series.len() > 1 { 30.0 } else { 12.0 };
        let x = Scale::new((self.x.from, self.x.to), (left, right));
        let y = Scale::new((self.y.from, self.y.to), (bottom, top));
        let mut svg = Svg::new(width, height, &self.title);
        for tick in &y_ticks {
            svg.line((left, y.at(tick.value)), (right, y.at(tick.value)), "grid");
            svg.text((left - 6.0, y.at(tick.value) + 4.0), Anchor::End, "tick", &tick.text);
        }
        for tick in self.x.ticks(6) {
            svg.line((x.at(tick.value), bottom), (x.at(tick.value), bottom + 4.0), "axis");
            svg.text((x.at(tick.value), bottom + 17.0), Anchor::Middle, "tick", &tick.text);
        }
        svg.line((left, bottom), (right, bottom), "axis");
        svg.text(((left + right) / 2.0, height - 6.0), Anchor::Middle, "label", &self.x.label);
        svg.upright_text((11.0, (top + bottom) / 2.0), "label", &self.y.label);
        if let Some(words) = self.diagonal {
            svg.line((left, bottom), (right, top), "diagonal");
            // Under the diagonal as far as the words reach.
            let reach = 1.0 - (width_of(words) + 12.0) / (right - left);
            let place = (right - 4.0, bottom - (bottom - top) * reach.min(0.9) * 0.94);
            svg.text(place, Anchor::End, "tick", words);
        }
        self.draw_series(&mut svg, &x, &y, left);
        for mark in &self.marks {
            let (from, to) = ((x.at(mark.from.0), y.at(mark.from.1)), (x.at(mark.to.0), y.at(mark.to.1)));
            svg.line(from, to, "mark");
            svg.circle(from, 3.0, "mark-dot", &mark.text);
            let after = from.0 + 10.0 + width_of(&mark.text) < right;
            let (place, anchor) = if after { (from.0 + 8.0, Anchor::Start) } else { (from.0 - 8.0, Anchor::End) };
            svg.text((place, (from.1 + to.1) / 2.0 + 4.0), anchor, "mark-text", &mark.text);
        }
        svg.finish()
    }

    fn draw_series(&self, svg: &mut Svg, x: &Scale, y: &Scale, left: f64) {
        let mut legend = left;
        for series in &self.series {
            let points: Vec<(f64, f64)> = series.points.iter().map(|point| (x.at(point.0), y.at(point.1))).collect();
            svg.polyline(&points, &format!("line {}", series.style));
            for (point, tip) in points.iter().zip(&series.tips) {
                let (radius, class) = if series.dots > 0.0 { (series.dots, "dot") } else { (5.0, "hidden-dot") };
                svg.circle(*point, radius, &format!("{class} {}", series.style), tip);
            }
            if self.series.len() > 1 {
                svg.line((legend, 12.0), (legend + 18.0, 12.0), &format!("line {}", series.style));
                svg.text((legend + 24.0, 16.0), Anchor::Start, "legend", &series.name);
                legend += 44.0 + width_of(&series.name);
            }
        }
    }
}
