//! What pages are made of: sections of facts, tables, charts and prose, put into HTML by the templates.

use askama::Template;

use crate::ReportError;

#[derive(Template)]
#[template(path = "page.html")]
pub(crate) struct Document {
    /// The window's title.
    pub title: String,
    /// Above the heading: what kind of page this is.
    pub kind: String,
    pub heading: String,
    pub lead: String,
    /// Short words beside the heading, each with a style: `good`, `bad`, `plain`.
    pub badges: Vec<(String, &'static str)>,
    pub tiles: Vec<Tile>,
    pub sections: Vec<Section>,
    pub footer: String,
}

/// A figure at the head of the page.
pub(crate) struct Tile {
    pub name: String,
    pub value: String,
    pub note: String,
}

pub(crate) struct Section {
    pub id: String,
    pub title: String,
    pub lead: String,
    pub blocks: Vec<Block>,
}

pub(crate) enum Block {
    /// Name and value, line by line.
    Facts(Vec<(String, String)>),
    Table(Table),
    Figure(Figure),
    /// Something a reader must not miss.
    Note {
        text: String,
        style: &'static str,
    },
    Prose(String),
    /// A heading within the section.
    Heading {
        id: String,
        text: String,
        aside: String,
    },
    /// Side by side where there is room.
    Columns(Vec<Block>),
    /// Under each other, where one block is asked for.
    Stack(Vec<Block>),
    /// Behind a line that opens it; open on paper.
    Folded {
        title: String,
        blocks: Vec<Block>,
    },
}

/// A chart with the sentence that says what to see in it.
pub(crate) struct Figure {
    pub svg: String,
    pub caption: String,
}

#[derive(Default)]
pub(crate) struct Table {
    pub caption: String,
    pub header: Vec<String>,
    /// The columns of numbers, which stand to the right.
    pub numbers: Vec<usize>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Default)]
pub(crate) struct Cell {
    pub text: String,
    /// Ready HTML of a chart, in place of the text.
    pub svg: String,
    /// A bar behind the text, from 0 to 1.
    pub bar: Option<f64>,
    /// `good`, `bad`, `code`, `strong`, or nothing.
    pub style: &'static str,
    /// A place on this page.
    pub link: String,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, ..Cell::default() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::from(text.to_owned())
    }
}

impl Cell {
    pub(crate) fn styled(text: impl Into<String>, style: &'static str) -> Cell {
        Cell { text: text.into(), style, ..Cell::default() }
    }

    pub(crate) fn bar(text: impl Into<String>, share: f64) -> Cell {
        Cell { text: text.into(), bar: Some(share.clamp(0.0, 1.0)), ..Cell::default() }
    }

    fn percent(&self) -> String {
        self.bar.map(|share| format!("{:.1}", share * 100.0)).unwrap_or_default()
    }
}

impl Table {
    fn is_number(&self, column: &usize) -> bool {
        self.numbers.contains(column)
    }
}

#[derive(Template)]
#[template(path = "block.html")]
struct View<'a> {
    block: &'a Block,
}

impl Block {
    fn html(&self) -> Result<String, askama::Error> {
        View { block: self }.render()
    }
}

impl Document {
    pub(crate) fn html(&self) -> Result<String, ReportError> {
        Ok(self.render()?)
    }
}
