use super::scale::{Scale, round_end, round_values};
use super::svg::{Anchor, Svg, fitted, width_of};
use crate::words;

/// Upright bars side by side, with a line over them where there is one.
pub(crate) struct Bars {
    pub title: String,
    pub size: (f64, f64),
    pub x_label: String,
    pub y_label: String,
    pub bars: Vec<Bar>,
    pub overlay: Option<Overlay>,
}

pub(crate) struct Bar {
    pub label: String,
    pub value: f64,
    pub tip: String,
    /// `first`, `second`, `faint`…
    pub style: &'static str,
}

/// A share a bar, on an axis of its own to the right; `None`: no dot there.
pub(crate) struct Overlay {
    pub label: String,
    pub shares: Vec<Option<f64>>,
}

impl Bars {
    pub(crate) fn draw(&self) -> String {
        let (width, height) = self.size;
        let most = self.bars.iter().map(|bar| bar.value).filter(|value| value.is_finite()).fold(0.0, f64::max);
        let end = round_end(most);
        let ticks = round_values(0.0, end, 4);
        let texts: Vec<String> = ticks.iter().map(|value| words::number(*value)).collect();
        let widest = texts.iter().map(|text| width_of(text)).fold(0.0, f64::max);
        let left = widest + 28.0;
        let right = width - if self.overlay.is_some() { 64.0 } else { 10.0 };
        let (top, bottom) = (12.0, height - 44.0);
        let y = Scale::new((0.0, end), (bottom, top));
        let mut svg = Svg::new(width, height, &self.title);
        for (tick, text) in ticks.iter().zip(&texts) {
            svg.line((left, y.at(*tick)), (right, y.at(*tick)), "grid");
            svg.text((left - 6.0, y.at(*tick) + 4.0), Anchor::End, "tick", text);
        }
        let slot = (right - left) / self.bars.len().max(1) as f64;
        self.draw_bars(&mut svg, &y, (left, slot), bottom);
        svg.line((left, bottom), (right, bottom), "axis");
        svg.text(((left + right) / 2.0, height - 6.0), Anchor::Middle, "label", &self.x_label);
        svg.upright_text((11.0, (top + bottom) / 2.0), "label", &self.y_label);
        if let Some(overlay) = &self.overlay {
            overlay.draw(&mut svg, (left, slot), (right, width), (bottom, top));
        }
        svg.finish()
    }

    fn draw_bars(&self, svg: &mut Svg, y: &Scale, (left, slot): (f64, f64), bottom: f64) {
        let gap = (slot * 0.14).min(8.0);
        // Every label that has room, evenly.
        let longest = self.bars.iter().map(|bar| width_of(&bar.label).min(84.0) + 10.0).fold(1.0, f64::max);
        let every = (longest / slot).ceil().max(1.0) as usize;
        for (place, bar) in self.bars.iter().enumerate() {
            let x = left + slot * place as f64;
            let above = if bar.value > 0.0 { y.at(bar.value).min(bottom - 0.8) } else { bottom };
            let size = (slot - 2.0 * gap, bottom - above);
            svg.rect((x + gap, above), size, &format!("bar {}", bar.style), &bar.tip);
            // The whole slot answers to the pointer.
            svg.rect((x, 12.0), (slot, bottom - 12.0), "touch", &bar.tip);
            if place % every == 0 {
                let text = fitted(&bar.label, (slot * every as f64 - 6.0).max(24.0));
                let middle = (x + slot / 2.0).min(self.size.0 - width_of(&text) / 2.0 - 2.0);
                svg.text((middle, bottom + 16.0), Anchor::Middle, "tick", &text);
            }
        }
    }
}

impl Overlay {
    fn draw(&self, svg: &mut Svg, (left, slot): (f64, f64), (right, width): (f64, f64), (bottom, top): (f64, f64)) {
        let most = self.shares.iter().flatten().copied().fold(0.0, f64::max);
        let end = round_end(most).min(1.0).max(most);
        let y = Scale::new((0.0, end), (bottom, top));
        for tick in round_values(0.0, end, 4) {
            svg.text(
                (right + 6.0, y.at(tick) + 4.0),
                Anchor::Start,
                "tick second-text",
                &format!("{:.0} %", tick * 100.0),
            );
        }
        let place = |index: usize| left + slot * (index as f64 + 0.5);
        let points: Vec<(f64, f64)> = self
            .shares
            .iter()
            .enumerate()
            .filter_map(|(index, share)| share.map(|share| (place(index), y.at(share))))
            .collect();
        svg.polyline(&points, "line second");
        for point in points {
            svg.circle(point, 3.0, "dot second", "");
        }
        svg.upright_text((width - 5.0, (top + bottom) / 2.0), "label second-text", &self.label);
    }
}
