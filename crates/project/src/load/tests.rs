//! The tests of a project: `tests/*.yaml`, read apart from its definitions, so that a test never changes a release.

use std::path::Path;
use std::sync::Arc;

use super::folder;
use crate::Project;
use crate::draft::Draft;
use crate::files::Files;
use crate::kind::Kind;
use crate::problem::{Place, Problem, Problems};
use crate::read::{Reader, test};
use crate::spec::{Expectation, Test};
use crate::suggest::{did_you_mean, ticked};
use crate::yaml::{Aim, Node, Scalar, Shape, locate, parse};

/// The folder of tests.
const TESTS: &str = "tests";

/// One test, and where each part of it stands.
#[derive(Debug, Clone)]
pub struct LocatedTest {
    pub spec: Test,
    node: Node,
    files: Arc<Files>,
}

impl LocatedTest {
    /// Of a part such as `expect[0].values.nb_late`; where the file does not go that deep, of the last part that is there.
    pub fn place(&self, path: &str) -> Place {
        self.files.place(locate(&self.node, path, Aim::Value))
    }
}

impl Project {
    /// Every test of the folder, ordered by file; all mistakes in them at once. A project without tests has none.
    pub fn tests(&self) -> Result<Vec<LocatedTest>, Problems> {
        let root = self.root();
        let mut draft = Draft::default();
        let mut read = Vec::new();
        for path in folder::files(&mut draft, root, TESTS) {
            read.extend(documents(&mut draft, root, &path));
        }
        let mut problems = std::mem::take(&mut draft.problems);
        let mut tests = Vec::new();
        for mut node in read {
            let mut reader = Reader::new(&draft.files, &mut problems);
            if !is_test(&mut reader, &node) {
                continue;
            }
            let before = reader.problems.len();
            let spec = test(&mut reader, &node);
            let failed = std::mem::take(&mut reader.failed_items);
            let sound = reader.problems.len() == before;
            if !sound {
                continue;
            }
            node.prune(&failed);
            if let Some(spec) = spec {
                self.check_names(&draft.files, &node, &spec, &mut problems);
                tests.push((spec, node));
            }
        }
        match Problems::of(problems) {
            Some(problems) => Err(problems),
            None => {
                let files = Arc::new(draft.files);
                let located = |(spec, node)| LocatedTest { spec, node, files: files.clone() };
                Ok(tests.into_iter().map(located).collect())
            }
        }
    }

    /// Sources, views and models that a test names are there.
    fn check_names(&self, files: &Files, node: &Node, spec: &Test, problems: &mut Vec<Problem>) {
        let mut require = |kind: Kind, name: &str, path: &str, aim: Aim| {
            let names: Vec<String> = self
                .resources()
                .into_iter()
                .filter(|found| found.kind == kind)
                .map(|found| found.name.to_string())
                .collect();
            if names.iter().any(|known| known == name) {
                return;
            }
            let help = did_you_mean(name, names.iter().map(String::as_str), || match names.as_slice() {
                [] => format!("the project has no {}", kind.words()),
                _ => format!("there is {}", ticked(&names)),
            });
            let message = format!("no {} is called `{name}`", kind.words());
            problems.push(files.problem(locate(node, path, aim), message).with_help(help));
        };
        for name in spec.given.keys() {
            require(Kind::Source, name, &format!("given.{name}"), Aim::Key);
        }
        for (index, expectation) in spec.expect.iter().enumerate() {
            let at = |key: &str| format!("expect[{index}].{key}");
            match expectation {
                Expectation::Features(expected) => {
                    require(Kind::FeatureView, &expected.features, &at("features"), Aim::Value);
                }
                Expectation::Contract(expected) => {
                    require(Kind::Source, &expected.contract, &at("contract"), Aim::Value)
                }
                Expectation::Train(expected) => require(Kind::Model, &expected.train, &at("train"), Aim::Value),
                Expectation::Decision(expected) => {
                    require(Kind::Model, &expected.decision, &at("decision"), Aim::Value)
                }
                Expectation::Query(_) => {}
            }
        }
    }
}

fn documents(draft: &mut Draft, root: &Path, path: &Path) -> Vec<Node> {
    let Some((file, text)) = folder::read(draft, root, path) else { return Vec::new() };
    let parsed = parse(&text, file);
    for mistake in parsed.mistakes {
        draft.problems.push(Problem { help: mistake.help, ..draft.files.problem(mistake.span, mistake.message) });
    }
    parsed.documents.into_iter().filter(|node| !node.is_null()).collect()
}

fn is_test(reader: &mut Reader<'_>, node: &Node) -> bool {
    match node.entry("kind").map(|entry| (&entry.value.shape, entry.value.span)) {
        Some((Shape::Scalar(Scalar::Text(kind)), _)) if kind == "Test" => return true,
        Some((_, span)) => reader.problem_with_help(span, "a file in `tests/` holds tests", "write `kind: Test`"),
        None => reader.problem_with_help(
            node.span,
            "missing key `kind`: a file in `tests/` says what it is",
            "write `kind: Test`",
        ),
    }
    false
}
