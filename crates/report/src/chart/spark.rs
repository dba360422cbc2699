use super::svg::Svg;

/// Bars the size of a word; each has a value and what its tool-tip says.
pub(crate) fn spark_bars(title: &str, bars: &[(f64, String)]) -> String {
    let (width, height) = (120.0, 26.0);
    let most = bars.iter().map(|bar| bar.0).fold(f64::MIN_POSITIVE, f64::max);
    let slot = width / bars.len().max(1) as f64;
    let mut svg = Svg::new(width, height, title);
    for (place, (value, tip)) in bars.iter().enumerate() {
        let tall = (value / most * (height - 2.0)).max(if *value > 0.0 { 1.0 } else { 0.0 });
        let gap = (slot * 0.1).min(2.0);
        svg.rect((slot * place as f64 + gap, height - tall), (slot - 2.0 * gap, tall), "bar first", tip);
    }
    svg.line((0.0, height), (width, height), "axis");
    svg.finish()
}
