//! Events of the YAML parser into trees, refusing what resource files have no use for and attackers do: anchors,
//! aliases, tags, deep nesting. What remains is linear in the size of the file.

use std::collections::HashSet;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError};

use super::node::{Entry, Node, Scalar, Shape};
use crate::files::{FileId, Span};
use crate::suggest::shorten;

/// More than any resource nests.
const DEEPEST: usize = 32;
/// Mistakes reported of one file.
const MOST: usize = 1000;

/// What the parser could read, and what it could not: the message, its help, and the place.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The documents read whole before the first syntax error, if there is one.
    pub(crate) documents: Vec<Node>,
    pub(crate) mistakes: Vec<Mistake>,
}

#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// `text` is that of `file`. Never fails: what is wrong stands in [`Parsed::mistakes`].
pub(crate) fn parse(text: &str, file: FileId) -> Parsed {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    let mut builder = Builder { text, file, parsed: Parsed::default(), open: Vec::new(), refused: HashSet::new() };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => {
                let range = span.byte_range().unwrap_or(0..0);
                builder.take(event, Span::new(file, range.start, range.end));
            }
            Err(error) => {
                builder.syntax_error(&error);
                break;
            }
        }
    }
    builder.parsed
}

struct Builder<'a> {
    text: &'a str,
    file: FileId,
    parsed: Parsed,
    open: Vec<Open>,
    /// Of what has no place in resource files, only the first is reported.
    refused: HashSet<&'static str>,
}

/// A collection whose end has not come yet.
struct Open {
    span: Span,
    shape: OpenShape,
}

enum OpenShape {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, key: Option<Key> },
}

enum Key {
    Good(String, Span),
    /// A list or a mapping, or one written before: its value is read and left out.
    Bad,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), span);
                let scalar = match style {
                    ScalarStyle::Plain => Scalar::plain(&text),
                    _ => Scalar::Text(text.into_owned()),
                };
                self.place(Node { span, shape: Shape::Scalar(scalar), written: None });
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), span);
                self.open.push(Open { span, shape: OpenShape::List(Vec::new()) });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), span);
                self.open.push(Open {
                    span,
                    shape: OpenShape::Map { entries: Vec::new(), keys: HashSet::new(), key: None },
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.close(open);
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse(span, "an alias (`*name`) has no place in a resource file", "write the value out here");
                self.place(Node { span, shape: Shape::Scalar(Scalar::Null), written: None });
            }
            _ => {}
        }
    }

    fn refuse_properties(&mut self, anchor: usize, tagged: bool, span: Span) {
        if anchor != 0 {
            self.refuse(
                span,
                "an anchor (`&name`) has no place in a resource file",
                "write the value out where it is used",
            );
        }
        if tagged {
            self.refuse(span, "a tag (`!name`) has no place in a resource file", "leave it out");
        }
    }

    fn refuse(&mut self, span: Span, message: &'static str, help: &str) {
        if self.refused.insert(message) {
            self.mistake(span, message, help);
        }
    }

    fn mistake(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.parsed.mistakes.push(Mistake { span, message: message.into(), help: Some(help.into()) });
    }

    fn close(&mut self, open: Open) {
        let shape = match open.shape {
            OpenShape::List(items) => Shape::List(items),
            OpenShape::Map { entries, .. } => Shape::Map(entries),
        };
        self.place(Node { span: open.span, shape, written: None });
    }

    /// Puts a finished node where it belongs: an item, a key, a value, or a document.
    fn place(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.parsed.documents.push(node);
            return;
        };
        match &mut open.shape {
            OpenShape::List(items) => items.push(node),
            OpenShape::Map { entries, keys, key } => match key.take() {
                Some(Key::Good(key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                Some(Key::Bad) => {}
                None => {
                    let span = node.span;
                    let known = match key_text(node) {
                        Some(text) if keys.insert(text.clone()) => Ok(text),
                        Some(text) => Err(format!("`{}` is written twice", shorten(&text))),
                        None => Err("a key is text".to_owned()),
                    };
                    match known {
                        Ok(text) => *key = Some(Key::Good(text, span)),
                        Err(message) => {
                            *key = Some(Key::Bad);
                            if self.parsed.mistakes.len() < MOST {
                                self.parsed.mistakes.push(Mistake { span, message, help: None });
                            }
                        }
                    }
                }
            },
        }
    }

    fn syntax_error(&mut self, error: &ScanError) {
        let marker = error.marker();
        let at = marker.byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        let span = Span::new(self.file, at, at);
        let (message, help) = match self.indenting_tab(marker.line()) {
            Some(tab) => {
                let span = Span::new(self.file, tab, tab + 1);
                self.mistake(
                    span,
                    "a tab indents this line, and YAML indents with spaces only",
                    "put spaces in its place",
                );
                return;
            }
            None if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) => {
                (format!("nested deeper than any resource ({DEEPEST} levels)"), None)
            }
            None => (format!("not YAML: {}", error.info()), self.unclosed()),
        };
        self.parsed.mistakes.push(Mistake { span, message, help });
    }

    /// The bracket that most likely should have been closed before the parser stopped.
    fn unclosed(&self) -> Option<String> {
        let (bracket, span) = self.open.iter().rev().find_map(|open| {
            let bracket = self.text.get(open.span.range().start..)?.chars().next()?;
            matches!(bracket, '[' | '{').then_some((bracket, open.span))
        })?;
        let line = self.text.get(..span.range().start)?.matches('\n').count() + 1;
        Some(format!("the `{bracket}` of line {line} is not closed before it"))
    }

    /// The first tab in the indentation of the line where the parser stopped, or of the one before it.
    fn indenting_tab(&self, line: usize) -> Option<usize> {
        let mut start = 0;
        for (index, content) in self.text.split_inclusive('\n').enumerate() {
            let near = index + 1 == line || index + 2 == line;
            let indent = content.find(|c: char| !c.is_whitespace()).unwrap_or(content.len());
            let tab = content.get(..indent).and_then(|indent| indent.find('\t'));
            if let (true, Some(tab)) = (near, tab) {
                return Some(start + tab);
            }
            start += content.len();
        }
        None
    }
}

fn key_text(node: Node) -> Option<String> {
    match node.shape {
        Shape::Scalar(Scalar::Text(text) | Scalar::Float(_, text)) => Some(text),
        Shape::Scalar(Scalar::Int(int)) => Some(int.to_string()),
        Shape::Scalar(Scalar::Bool(b)) => Some(b.to_string()),
        Shape::Scalar(Scalar::Null) | Shape::List(_) | Shape::Map(_) => None,
    }
}
