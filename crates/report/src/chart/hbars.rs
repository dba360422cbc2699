use super::svg::{Anchor, Svg, fitted};

/// Level bars under each other, the value at each end.
pub(crate) struct HorizontalBars {
    pub title: String,
    pub width: f64,
    pub bars: Vec<HorizontalBar>,
}

pub(crate) struct HorizontalBar {
    pub label: String,
    pub value: f64,
    pub text: String,
    pub tip: String,
}

const ROW: f64 = 24.0;

impl HorizontalBars {
    pub(crate) fn draw(&self) -> String {
        let left = self.width * 0.52;
        let room = self.width - left - 64.0;
        let most = self.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        let mut svg = Svg::new(self.width, ROW * self.bars.len() as f64 + 4.0, &self.title);
        for (place, bar) in self.bars.iter().enumerate() {
            let y = ROW * place as f64 + 2.0;
            let length = (bar.value / most).clamp(0.0, 1.0) * room;
            svg.text((left - 8.0, y + 15.5), Anchor::End, "row", &fitted(&bar.label, left - 12.0));
            svg.rect((left, y + 4.0), (length.max(1.0), ROW - 8.0), "bar first", &bar.tip);
            svg.text((left + length + 6.0, y + 15.5), Anchor::Start, "value", &bar.text);
        }
        svg.line((left, 0.0), (left, ROW * self.bars.len() as f64 + 4.0), "axis");
        svg.finish()
    }
}
