//! Projects made of data files.

use std::fs;
use std::path::{Path, PathBuf};

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};
use tempfile::TempDir;

pub fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A folder that can be spoiled.
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    pub fn empty() -> Folder {
        Folder { folder: TempDir::new().unwrap() }
    }

    /// A copy of `tests/lending`.
    pub fn lending() -> Folder {
        let folder = Folder::empty();
        for (path, text) in files_under(&tests_folder().join("lending")) {
            folder.write(&path, &text);
        }
        folder
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert_eq!(text.matches(old).count(), 1, "`{old}` should stand once in {path}");
        self.write(path, text.replace(old, new));
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }
}

/// Relative paths and texts, ordered by path.
pub fn files_under(root: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// A file's only document as an editor's validator would see it; shares no code with the crate but the parser.
pub fn yaml_to_json(yaml: &str) -> Value {
    let mut events = Parser::new_from_str(yaml).map(|event| event.unwrap().0).filter(Event::is_node_or_end);
    value(&mut events).unwrap()
}

trait IsNodeOrEnd {
    fn is_node_or_end(&self) -> bool;
}

impl IsNodeOrEnd for Event<'_> {
    fn is_node_or_end(&self) -> bool {
        self.is_node() || matches!(self, Event::SequenceEnd | Event::MappingEnd)
    }
}

/// `None` at the end of a collection.
fn value<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Option<Value> {
    match events.next().unwrap() {
        Event::Scalar(text, ScalarStyle::Plain, ..) => Some(match text.as_ref() {
            "" | "~" | "null" => Value::Null,
            plain => {
                serde_json::from_str(plain).ok().filter(|value: &Value| !value.is_string()).unwrap_or(plain.into())
            }
        }),
        Event::Scalar(text, ..) => Some(text.into_owned().into()),
        Event::SequenceStart(..) => Some(std::iter::from_fn(|| value(events)).collect()),
        Event::MappingStart(..) => {
            let mut map = Map::new();
            while let Some(key) = value(events) {
                map.insert(key.as_str().unwrap().to_owned(), value(events).unwrap());
            }
            Some(Value::Object(map))
        }
        _ => None,
    }
}
