//! What is wrong with a project's files: for people (miette, with the lines shown) and for programs (serde).

use std::fmt;
use std::sync::Arc;

use karat_core::ErrorKind;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

/// A place in a project's file. Line and column count from 1; the column counts characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Relative to the project folder, with `/`.
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One mistake: where, what, and what to do about it.
///
/// Serialises flat: `{"file", "line", "column", "message", "help"}`; without the first three where the project was
/// rebuilt from a Release and has no files.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    #[serde(flatten)]
    pub place: Option<Place>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(skip)]
    pub(crate) snippet: Option<Snippet>,
}

/// The text a problem points into, for showing the line.
#[derive(Debug, Clone)]
pub(crate) struct Snippet {
    pub(crate) source: Arc<NamedSource<Arc<str>>>,
    pub(crate) start: usize,
    pub(crate) length: usize,
}

impl Problem {
    /// A problem of no particular place.
    pub fn new(message: impl Into<String>) -> Problem {
        Problem { place: None, message: message.into(), help: None, snippet: None }
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.snippet.as_ref().map(|snippet| &*snippet.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let snippet = self.snippet.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline((snippet.start, snippet.length)))))
    }
}

/// Everything that is wrong with a project, ordered by file and line. Never empty.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `None` when there are none.
    pub fn of(mut problems: Vec<Problem>) -> Option<Problems> {
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        (!problems.is_empty()).then_some(Problems(problems))
    }

    pub fn one(problem: Problem) -> Problems {
        Problems(vec![problem])
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// One line a problem, as compilers print them: ``sources/loans.yaml:3:1: unknown key `sq` (did you mean `sql`?)``.
    pub fn lines(&self) -> String {
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line: how many there are, and the first. [`Problems::lines`] has them all.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.first().map(line).unwrap_or_default();
        match self.count() {
            1 => write!(f, "a problem in the project: {first}"),
            count => write!(f, "{count} problems in the project, the first: {first}"),
        }
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

fn line(problem: &Problem) -> String {
    let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{place}{}{help}", problem.message)
}
