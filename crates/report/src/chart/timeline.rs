use super::scale::{Scale, Tick};
use super::svg::{Anchor, Svg, width_of};

/// A stretch of time with a name.
pub(crate) struct Span {
    pub name: String,
    pub from: f64,
    pub to: f64,
    pub tip: String,
    pub style: &'static str,
}

/// Stretches on one line, over named moments; those that overlap stand in lines of their own.
pub(crate) fn timeline(title: &str, width: f64, spans: &[Span], ticks: &[Tick]) -> String {
    let overlap = spans.windows(2).any(|pair| pair[1].from < pair[0].to);
    let low = spans.iter().map(|span| span.from).fold(f64::INFINITY, f64::min);
    let high = spans.iter().map(|span| span.to).fold(f64::NEG_INFINITY, f64::max);
    let x = Scale::new((low, high), (4.0, width - 4.0));
    let rows = if overlap { spans.len() } else { 1 };
    let bottom = 42.0 * rows as f64 + 6.0;
    let mut svg = Svg::new(width, bottom + 24.0, title);
    for (place, span) in spans.iter().enumerate() {
        let y = if overlap { 42.0 * place as f64 } else { 0.0 };
        let (from, to) = (x.at(span.from), x.at(span.to).max(x.at(span.from) + 3.0));
        svg.rect((from + 1.0, y + 20.0), (to - from - 2.0, 20.0), &format!("bar {}", span.style), &span.tip);
        if width_of(&span.name) < to - from {
            svg.text(((from + to) / 2.0, y + 14.0), Anchor::Middle, "row", &span.name);
        }
    }
    svg.line((4.0, bottom), (width - 4.0, bottom), "axis");
    let mut last = f64::NEG_INFINITY;
    for tick in ticks.iter().filter(|tick| (low..=high).contains(&tick.value)) {
        let at = x.at(tick.value);
        svg.line((at, bottom), (at, bottom + 4.0), "axis");
        if at - last > width_of(&tick.text) + 14.0 {
            svg.text((at.clamp(18.0, width - 18.0), bottom + 17.0), Anchor::Middle, "tick", &tick.text);
            last = at;
        }
    }
    svg.finish()
}
