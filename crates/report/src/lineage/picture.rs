//! The graph as one SVG file: it loads nothing, follows light and dark, and prints.

use std::fmt::Write;

use super::layout::{self, Layout, Spot};
use super::{Edge, EdgeKind, Lineage, Node, NodeKind};
use crate::chart::{escaped, fitted};
use crate::words::counted;

const WIDTH: f64 = 224.0;
const BETWEEN: f64 = 96.0;
const MARGIN: f64 = 28.0;
/// What stands above the boxes.
const HEAD: f64 = 92.0;
const FOOT: f64 = 40.0;
const LINE: f64 = 15.0;
const PAD: f64 = 14.0;

const STYLE: &str = "\
svg{--page:#fff;--ink:#1c2430;--soft:#5b6675;--line:#8a96a6;--box:#f7f8fa;--edge:#d5dae1;--warn:#9a5b00;--warnbox:#fff6e5;\
--origin:#6b7684;--source:#1f6f8b;--view:#5a4fa3;--model:#a03d6d;--endpoint:#1d7a4a;\
font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;background:var(--page)}\
@media (prefers-color-scheme:dark){svg{--page:#14181d;--ink:#e8ebef;--soft:#a3adb9;--line:#75808d;--box:#1d232a;--edge:#39424d;\
--warn:#f0b95c;--warnbox:#33291a;--origin:#8b96a4;--source:#4fb3d1;--view:#9d93ea;--model:#e487b4;--endpoint:#57c48b}}\
.page{fill:var(--page)}.title{font-size:19px;font-weight:650;fill:var(--ink)}.lead{font-size:12.5px;fill:var(--soft)}\
.column{font-size:11px;letter-spacing:.08em;fill:var(--soft)}.box{fill:var(--box);stroke:var(--edge)}\
.odd .box{fill:var(--warnbox);stroke:var(--warn)}.name{font-size:14px;font-weight:650;fill:var(--ink)}\
.note{font-size:11.5px;fill:var(--soft)}.flag{font-size:11.5px;fill:var(--warn)}\
.way{fill:none;stroke:var(--line);stroke-width:1.5}.way.check{stroke-dasharray:2 4}.way.spine{stroke-dasharray:7 4;stroke:var(--model)}\
.head{fill:var(--line)}.head.spine{fill:var(--model)}\
.label{font-size:11px;fill:var(--soft);paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}\
.origin .band{fill:var(--origin)}.source .band{fill:var(--source)}.view .band{fill:var(--view)}.model .band{fill:var(--model)}\
.endpoint .band,.service .band{fill:var(--endpoint)}";

impl Lineage {
    /// The whole file.
    pub fn svg(&self) -> String {
        let heights: Vec<f64> = self.nodes.iter().map(height).collect();
        let layout = layout::of(self, &heights);
        let columns = layout.columns.max(1) as f64;
        let width = (2.0 * MARGIN + columns * WIDTH + (columns - 1.0) * BETWEEN).max(480.0);
        let mut body = String::new();
        self.heading(&layout, &mut body);
        // Lines first: a box covers what passes under it.
        for (edge, line) in self.edges.iter().zip(&layout.lines) {
            way(edge, &layout, line, &mut body);
        }
        for (edge, line) in self.edges.iter().zip(&layout.lines) {
            label(edge, &layout, line, &mut body);
        }
        for spot in &layout.spots {
            if let Some(node) = spot.node {
                draw(&self.nodes[node], spot, &mut body);
            }
        }
        let (width, height) = (at(width), at(HEAD + layout.height + FOOT));
        let title = escaped(&format!("Lineage of {}", self.project));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-label=\"{title}\"><title>{title}</title><style>{STYLE}</style>\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>{body}</svg>\n"
        )
    }

    fn heading(&self, layout: &Layout, body: &mut String) {
        let of = |kind: NodeKind| self.nodes.iter().filter(|node| node.kind == kind).count() as u64;
        let all = [
            (of(NodeKind::Source), "source", "sources"),
            (of(NodeKind::View), "view", "views"),
            (of(NodeKind::Model), "model version", "model versions"),
            (of(NodeKind::Endpoint), "endpoint", "endpoints"),
        ];
        let lead: Vec<String> = all.iter().map(|(number, one, more)| counted(*number, one, more)).collect();
        text(body, (MARGIN, 36.0), "title", &format!("Lineage of {}", self.project));
        text(body, (MARGIN, 56.0), "lead", &lead.join(" · "));
        for column in 0..layout.columns {
            let here = layout.spots.iter().filter(|spot| spot.column == column).filter_map(|spot| spot.node);
            let mut kinds: Vec<NodeKind> = here.map(|node| self.nodes[node].kind).collect();
            kinds.sort_by_key(|kind| *kind as usize);
            kinds.dedup();
            let words: Vec<&str> = kinds.into_iter().map(plural).collect();
            text(body, (left(column), HEAD - 12.0), "column", &words.join(", ").to_uppercase());
        }
    }
}

fn plural(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Origin => "files",
        NodeKind::Source => "sources",
        NodeKind::View => "feature views",
        NodeKind::Model => "models",
        NodeKind::Service => "services",
        NodeKind::Endpoint => "endpoints",
    }
}

fn height(node: &Node) -> f64 {
    let lines = node.notes.len() + node.flags.len();
    2.0 * PAD + 10.0 + lines as f64 * LINE + if lines > 0 { 5.0 } else { 0.0 }
}

fn left(column: usize) -> f64 {
    MARGIN + column as f64 * (WIDTH + BETWEEN)
}

fn draw(node: &Node, spot: &Spot, body: &mut String) {
    let (x, y) = (left(spot.column), HEAD + spot.y - spot.height / 2.0);
    let odd = if node.flags.is_empty() { "" } else { " odd" };
    let tip: Vec<&str> =
        std::iter::once(node.name.as_str()).chain(node.notes.iter().chain(&node.flags).map(String::as_str)).collect();
    let (class, tip) = (node.kind.as_str(), escaped(&tip.join(" · ")));
    let (left, top, width, height) = (at(x), at(y), at(WIDTH), at(spot.height));
    push(
        body,
        format_args!(
            "<g class=\"node {class}{odd}\"><title>{tip}</title>\
             <rect class=\"box\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"7\"/>\
             <path class=\"band\" d=\"M{left} {} q0 -7 6 -7 v{height} q-6 0 -6 -7 z\"/>",
            at(y + 7.0)
        ),
    );
    let mut line = y + PAD + 9.0;
    let room = WIDTH - 2.0 * PAD - 4.0;
    text(body, (x + PAD + 4.0, line), "name", &fitted_in(&node.name, room, 8.0));
    line += 5.0;
    for (class, notes) in [("note", &node.notes), ("flag", &node.flags)] {
        for note in notes {
            line += LINE;
            text(body, (x + PAD + 4.0, line), class, &fitted_in(note, room, 6.3));
        }
    }
    body.push_str("</g>");
}

/// From the right of a box to the left of the next, straight through the columns between.
fn way(edge: &Edge, layout: &Layout, line: &[usize], body: &mut String) {
    let spots: Vec<&Spot> = line.iter().map(|spot| &layout.spots[*spot]).collect();
    let [first, .., last] = spots.as_slice() else { return };
    let y = |spot: &Spot| HEAD + spot.y;
    let mut path = format!("M{} {}", at(left(first.column) + WIDTH), at(y(first)));
    for pair in spots.windows(2) {
        let (from, to) = (left(pair[0].column) + WIDTH, left(pair[1].column));
        // The head of the arrow ends the line.
        let to = if std::ptr::eq(pair[1], *last) { to - 6.0 } else { to };
        let middle = at((from + to) / 2.0);
        let _ =
            write!(path, " C{middle} {}, {middle} {}, {} {}", at(y(pair[0])), at(y(pair[1])), at(to), at(y(pair[1])));
        if pair[1].node.is_none() {
            let _ = write!(path, " H{}", at(to + WIDTH));
        }
    }
    let class = match edge.kind {
        EdgeKind::Check => " check",
        EdgeKind::Spine | EdgeKind::Label => " spine",
        EdgeKind::Rows | EdgeKind::Features | EdgeKind::Answers => "",
    };
    let head = if matches!(edge.kind, EdgeKind::Spine | EdgeKind::Label) { " spine" } else { "" };
    let (tip, end, y) = (tip(edge), left(last.column), y(last));
    push(
        body,
        format_args!(
            "<path class=\"way{class}\" d=\"{path}\"><title>{tip}</title></path>\
             <path class=\"head{head}\" d=\"M{} {} l-8 -4 v8 z\"/>",
            at(end),
            at(y)
        ),
    );
}

/// Beside where the line begins.
fn label(edge: &Edge, layout: &Layout, line: &[usize], body: &mut String) {
    let words = match edge.kind {
        EdgeKind::Features => counted(edge.features.len() as u64, "feature", "features"),
        EdgeKind::Spine => "spine".to_owned(),
        EdgeKind::Label => "label".to_owned(),
        EdgeKind::Check => "checks".to_owned(),
        EdgeKind::Rows | EdgeKind::Answers => return,
    };
    let [first, second, ..] = line else { return };
    let (first, second) = (&layout.spots[*first], &layout.spots[*second]);
    let (x, y) = (left(first.column) + WIDTH + BETWEEN / 2.0, HEAD + (first.y + second.y) / 2.0);
    let words = escaped(&words);
    push(
        body,
        format_args!(
            "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{words}</text>",
            at(x),
            at(y - 5.0)
        ),
    );
}

fn tip(edge: &Edge) -> String {
    let features = if edge.features.is_empty() { String::new() } else { format!(": {}", edge.features.join(", ")) };
    escaped(&format!("{} to {}{features}", edge.from, edge.to))
}

fn text(body: &mut String, (x, y): (f64, f64), class: &str, words: &str) {
    let words = escaped(words);
    push(body, format_args!("<text class=\"{class}\" x=\"{}\" y=\"{}\">{words}</text>", at(x), at(y)));
}

/// Cut where it would be wider than `width`, its letters being so wide.
fn fitted_in(words: &str, width: f64, letter: f64) -> String {
    fitted(words, width * 7.0 / letter)
}

fn push(body: &mut String, element: std::fmt::Arguments<'_>) {
    body.write_fmt(element).expect("a string takes all text");
}

fn at(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
