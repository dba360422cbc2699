//! The texts that were read, and places in them.

use std::sync::Arc;

use miette::NamedSource;

use crate::problem::{Place, Problem, Snippet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId(u32);

/// Bytes of a file, from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) file: FileId,
    start: u32,
    end: u32,
}

impl Span {
    /// Files are at most a megabyte long, so offsets fit.
    pub(crate) fn new(file: FileId, start: usize, end: usize) -> Span {
        Span { file, start: start as u32, end: end.max(start) as u32 }
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Debug, Default)]
pub(crate) struct Files(Vec<File>);

#[derive(Debug)]
struct File {
    name: String,
    text: Arc<str>,
    /// Where each line begins.
    lines: Vec<usize>,
    /// What is shown of the text: it is as long.
    source: Arc<NamedSource<Arc<str>>>,
}

impl Files {
    /// `name` is the path that places print.
    pub(crate) fn add(&mut self, name: String, text: &str) -> FileId {
        let text: Arc<str> = Arc::from(text);
        let shown = Arc::from(without_passwords(&text));
        let source = Arc::new(NamedSource::new(&name, shown).with_language("yaml"));
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        self.0.push(File { name, text, lines, source });
        FileId((self.0.len() - 1) as u32)
    }

    fn file(&self, id: FileId) -> &File {
        self.0.get(id.0 as usize).expect("ids come from `add`, and files are never taken away")
    }

    pub(crate) fn name(&self, id: FileId) -> &str {
        &self.file(id).name
    }

    pub(crate) fn place(&self, span: Span) -> Place {
        let file = self.file(span.file);
        let (before, _) = split_at(&file.text, span.start as usize);
        let line = file.lines.partition_point(|start| *start <= before.len());
        let start = line.checked_sub(1).and_then(|line| file.lines.get(line)).copied().unwrap_or_default();
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        Place { file: file.name.clone(), line, column }
    }

    /// Where `word` first stands, as a whole word, between the ends of `span`.
    pub(crate) fn word(&self, span: Span, word: &str) -> Option<Span> {
        let text = self.file(span.file).text.get(span.start as usize..span.end as usize)?;
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let (at, _) = text.match_indices(word).find(|(at, _)| {
            let before = text.get(..*at).and_then(|before| before.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
            !before.is_some_and(in_word) && !after.is_some_and(in_word)
        })?;
        let start = span.start as usize + at;
        Some(Span::new(span.file, start, start + word.len()))
    }

    pub(crate) fn problem(&self, span: Span, message: impl Into<String>) -> Problem {
        let file = self.file(span.file);
        let (before, from) = split_at(&file.text, span.start as usize);
        let whole = from.get(..(span.end - span.start) as usize).unwrap_or_default();
        // Of what spans several lines, the first is underlined.
        let shown = whole.lines().next().unwrap_or_default();
        let snippet = Snippet { source: Arc::clone(&file.source), start: before.len(), length: shown.trim_end().len() };
        let problem = Problem::new(message);
        Problem { place: Some(self.place(span)), snippet: Some(snippet), ..problem }
    }
}

/// As `str::split_at`, at the nearest character boundary before `at`.
fn split_at(text: &str, at: usize) -> (&str, &str) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.split_at(at)
}

/// Lines that are shown end up in logs: stars stand for the password of an address such as `redis://ann:secret@host`, one a
/// byte.
fn without_passwords(text: &str) -> String {
    let ends_word = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    text.split_inclusive(ends_word).map(|word| starred(word).unwrap_or_else(|| word.to_owned())).collect()
}

fn starred(word: &str) -> Option<String> {
    let end = word.rfind('@')?;
    let start = word[..end].match_indices(':').map(|(at, _)| at + 1).find(|at| !word[*at..].starts_with('/'))?;
    let password = &word[start..end];
    // The name of a variable is no secret, and its value is not here.
    let is_variable = password.starts_with("${") && password.ends_with('}');
    (!is_variable).then(|| format!("{}{}{}", &word[..start], "*".repeat(password.len()), &word[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown_and_nothing_moves() {
        for (text, shown) in [
            ("online: \"reddis://:secret@host/0\" # why", "online: \"reddis://:******@host/0\" # why"),
            ("online: redis://ann:s:e@c/r@host", "online: redis://ann:*******@host"),
            ("online: redis:/ann:s\u{e9}@host\nx: 1", "online: redis:/ann:***@host\nx: 1"),
            ("online: 'redis://ann:${SECRET}@host'", "online: 'redis://ann:${SECRET}@host'"),
            ("mail: ann@example.com", "mail: ann@example.com"),
            ("amqp://host:5672/a", "amqp://host:5672/a"),
        ] {
            assert_eq!(without_passwords(text), shown);
            assert_eq!(text.len(), shown.len());
        }
    }
}
