use super::scale::Scale;
use super::svg::{Anchor, Svg};

/// A stretch of time with a name.
pub(crate) struct Span {
    pub name: String,
    pub from: f64,
    pub to: f64,
    pub text: String,
    pub ends: (String, String),
    pub style: &'static str,
}

/// Stretches on one line; those that overlap stand in lines of their own.
pub(crate) fn timeline(title: &str, width: f64, spans: &[Span]) -> String {
    let overlap = spans.windows(2).any(|pair| pair[1].from < pair[0].to);
    let low = spans.iter().map(|span| span.from).fold(f64::INFINITY, f64::min);
    let high = spans.iter().map(|span| span.to).fold(f64::NEG_INFINITY, f64::max);
    let x = Scale::new((low, high), (4.0, width - 4.0));
    let row = 62.0;
    let rows = if overlap { spans.len() } else { 1 };
    let mut svg = Svg::new(width, row * rows as f64, title);
    for (place, span) in spans.iter().enumerate() {
        let y = if overlap { row * place as f64 } else { 0.0 };
        let (from, to) = (x.at(span.from), x.at(span.to).max(x.at(span.from) + 3.0));
        let middle = (from + to) / 2.0;
        svg.rect((from + 1.0, y + 20.0), (to - from - 2.0, 18.0), &format!("bar {}", span.style), &span.text);
        // Near an edge, words begin or end with the stretch.
        let (at, anchor) = match middle {
            near if near < width * 0.15 => (from + 2.0, Anchor::Start),
            near if near > width * 0.85 => (to - 2.0, Anchor::End),
            _ => (middle, Anchor::Middle),
        };
        svg.text((at, y + 14.0), anchor, "row", &span.name);
        let ends = format!("{} – {}", span.ends.0, span.ends.1);
        svg.text((at, y + 53.0), anchor, "tick", &ends);
    }
    svg.finish()
}
