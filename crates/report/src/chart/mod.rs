//! Charts as SVG text, coloured by the page's style sheet, so that they follow light, dark and paper. Every mark carries
//! its figures as a `<title>`, which browsers show as a tool-tip.

mod bars;
mod hbars;
mod lines;
mod scale;
mod spark;
mod svg;
mod timeline;
mod waterfall;

pub(crate) use bars::{Bar, Bars, Overlay};
pub(crate) use hbars::{HorizontalBar, HorizontalBars};
pub(crate) use lines::{Axis, Lines, Mark, Series};
pub(crate) use scale::Tick;
pub(crate) use spark::spark_bars;
pub(crate) use svg::{escaped, fitted};
pub(crate) use timeline::{Span, timeline};
pub(crate) use waterfall::{Step, Waterfall};
