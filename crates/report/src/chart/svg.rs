use std::fmt::Write;

/// An SVG picture under construction. Classes are the style sheet's.
pub(crate) struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Svg {
        Svg { width, height, title: escaped(title), body: String::new() }
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (at(from.0), at(from.1), at(to.0), at(to.1));
        self.push(format_args!(r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#));
    }

    pub(crate) fn text(&mut self, place: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (at(place.0), at(place.1), escaped(text));
        self.push(format_args!(r#"<text class="{class}" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>"#));
    }

    /// Turned a quarter to the left about its place.
    pub(crate) fn upright_text(&mut self, place: (f64, f64), class: &str, text: &str) {
        let (x, y, text) = (at(place.0), at(place.1), escaped(text));
        self.push(format_args!(
            r#"<text class="{class}" x="{x}" y="{y}" text-anchor="middle" transform="rotate(-90 {x} {y})">{text}</text>"#
        ));
    }

    pub(crate) fn rect(&mut self, corner: (f64, f64), size: (f64, f64), class: &str, tip: &str) {
        let (x, y, width, height) = (at(corner.0), at(corner.1), at(size.0.max(0.0)), at(size.1.max(0.0)));
        let tip = tip_of(tip);
        self.push(format_args!(
            r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="1.5">{tip}</rect>"#
        ));
    }

    pub(crate) fn circle(&mut self, centre: (f64, f64), radius: f64, class: &str, tip: &str) {
        let (x, y, radius, tip) = (at(centre.0), at(centre.1), at(radius), tip_of(tip));
        self.push(format_args!(r#"<circle class="{class}" cx="{x}" cy="{y}" r="{radius}">{tip}</circle>"#));
    }

    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], class: &str) {
        let mut list = String::with_capacity(points.len() * 12);
        for (x, y) in points {
            let _ = write!(list, "{},{} ", at(*x), at(*y));
        }
        let list = list.trim_end();
        self.push(format_args!(r#"<polyline class="{class}" points="{list}"/>"#));
    }

    pub(crate) fn finish(self) -> String {
        let Svg { width, height, title, body } = self;
        format!(
            r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}" style="max-width:{width}px"><title>{title}</title>{body}</svg>"#
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("a string takes all text");
    }
}

fn tip_of(tip: &str) -> String {
    if tip.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(tip)) }
}

/// A coordinate; what is no number would break the picture.
fn at(value: f64) -> f64 {
    if value.is_finite() { (value * 10.0).round() / 10.0 } else { 0.0 }
}

pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What no HTML page may hold.
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// About how wide small text is drawn.
pub(crate) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * 6.2
}

/// Cut where it would be wider than `width`. The widest fonts that a page may be shown in take about 7 a letter.
pub(crate) fn fitted(text: &str, width: f64) -> String {
    let most = (width / 7.0) as usize;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
