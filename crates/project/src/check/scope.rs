use karat_core::Name;

use crate::draft::Draft;
use crate::kind::{Kind, ResourceRef};
use crate::problem::Problem;
use crate::suggest::{did_you_mean, ticked};
use crate::yaml::{Aim, Node, Shape, exists, locate};

/// Problems reported of one resource.
const MOST: usize = 1000;

/// One resource under check: reports problems at paths inside it.
pub(super) struct Scope<'a> {
    pub(super) draft: &'a Draft,
    problems: &'a mut Vec<Problem>,
    /// How many there may be at most.
    most: usize,
    resource: ResourceRef,
}

impl<'a> Scope<'a> {
    pub(super) fn new(draft: &'a Draft, problems: &'a mut Vec<Problem>, kind: Kind, name: &Name) -> Scope<'a> {
        let most = problems.len() + MOST;
        Scope { draft, problems, most, resource: ResourceRef::new(kind, name.clone()) }
    }

    /// A problem with the value at `path`.
    pub(super) fn at(&mut self, path: &str, message: impl Into<String>) {
        self.report(path, Aim::Value, message.into(), None);
    }

    pub(super) fn at_with_help(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.report(path, Aim::Value, message.into(), Some(help.into()));
    }

    /// A problem with the key at `path`: that it is there, or what it is called.
    pub(super) fn at_key(&mut self, path: &str, message: impl Into<String>) {
        self.report(path, Aim::Key, message.into(), None);
    }

    pub(super) fn at_key_with_help(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.report(path, Aim::Key, message.into(), Some(help.into()));
    }

    /// A problem with a word of the text at `path`: its first standing there, else the whole text.
    pub(super) fn at_word(&mut self, path: &str, word: &str, message: impl Into<String>, help: impl Into<String>) {
        let problem = match self.node() {
            Some(node) => {
                let span = locate(node, path, Aim::Value);
                self.draft.files.problem(self.draft.files.word(span, word).unwrap_or(span), message)
            }
            None => Problem::new(message),
        };
        self.problems.push(problem.with_help(help));
    }

    fn report(&mut self, path: &str, aim: Aim, message: String, help: Option<String>) {
        if self.problems.len() >= self.most {
            return;
        }
        let problem = match self.node() {
            Some(node) => self.draft.files.problem(locate(node, path, aim), message),
            None => Problem::new(message),
        };
        self.problems.push(Problem { help, ..problem });
    }

    fn node(&self) -> Option<&'a Node> {
        self.draft.nodes.get(&self.resource)
    }

    pub(super) fn has_key(&self, key: &str) -> bool {
        self.node().is_some_and(|node| node.entry(key).is_some_and(|entry| !entry.value.is_null()))
    }

    /// As [`Scope::is_sound`], of a source.
    pub(super) fn is_source_sound(&self, source: &Name) -> bool {
        !self.draft.unsound.contains(&ResourceRef::new(Kind::Source, source.clone()))
    }

    /// Whether the file has `path` to its end.
    pub(super) fn is_written(&self, path: &str) -> bool {
        self.node().is_some_and(|node| exists(node, path))
    }

    /// Whether decoding found nothing wrong, so that what is absent was left out on purpose.
    pub(super) fn is_sound(&self) -> bool {
        !self.draft.unsound.contains(&self.resource)
    }

    /// Reports a name that no resource of this kind has. A resource that could not be decoded counts as there.
    pub(super) fn reference(&mut self, kind: Kind, name: &Name, path: &str, aim: Aim) {
        let names = self.draft.names(kind);
        if names.iter().any(|known| known == name.as_str()) {
            return;
        }
        let help = did_you_mean(name, names.iter().map(String::as_str), || match names {
            [] => format!("the project has none yet: they live in `{}/`", kind.folder()),
            _ => format!("there is {}", ticked(names)),
        });
        self.report(path, aim, format!("no {} is called `{name}`", kind.words()), Some(help));
    }
}

/// The keys of the mapping at `key`, decoded or not.
pub(super) fn keys_in<'n>(node: Option<&'n Node>, key: &str) -> Vec<&'n str> {
    match node.and_then(|node| node.entry(key)).map(|entry| &entry.value.shape) {
        Some(Shape::Map(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    }
}
