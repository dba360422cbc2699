//! The fenced blocks of Markdown documents.

use std::path::{Path, PathBuf};

use crate::repository;

/// A document of the repository, by its path from the root.
#[derive(Debug, Clone)]
pub struct Page {
    pub path: PathBuf,
    pub blocks: Vec<Block>,
}

/// The text between two fences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What follows the opening fence: `yaml`, `console`…
    pub language: String,
    /// The number of the first line of `text` in its document; 1 is the first.
    pub line: usize,
    pub text: String,
}

impl Page {
    pub fn read(root: &Path, path: &str) -> Page {
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("reading {path}: {error}"));
        Page { path: path.into(), blocks: blocks(&text) }
    }

    pub fn of_language<'a>(&'a self, language: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| block.language == language)
    }
}

/// `README.md`, `CHANGELOG.md` and every Markdown file under `docs/`.
pub fn all_pages() -> Vec<Page> {
    let root = repository();
    let mut paths = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    collect(&root, "docs", &mut paths);
    paths.sort();
    paths.iter().map(|path| Page::read(&root, path)).collect()
}

fn collect(root: &Path, folder: &str, found: &mut Vec<String>) {
    let entries = std::fs::read_dir(root.join(folder)).unwrap_or_else(|error| panic!("reading {folder}: {error}"));
    for entry in entries.flatten() {
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(root, &path, found);
        } else if path.ends_with(".md") {
            found.push(path);
        }
    }
}

/// Fences of three or more backticks; indented ones (in lists) lose their indentation. An unclosed block ends with the text.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize, Block)> = None;
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        let ticks = bare.len() - bare.trim_start_matches('`').len();
        open = match open {
            None if ticks >= 3 => {
                let language = bare[ticks..].split_whitespace().next().unwrap_or_default().to_owned();
                let block = Block { language, line: index + 2, text: String::new() };
                Some((ticks, line.len() - bare.len(), block))
            }
            None => None,
            Some((fence, _, block)) if ticks >= fence && bare.trim_end().len() == ticks => {
                blocks.push(block);
                None
            }
            Some((fence, indent, mut block)) => {
                let indented = line.len() - bare.len();
                block.text.push_str(&line[indented.min(indent)..]);
                block.text.push('\n');
                Some((fence, indent, block))
            }
        };
    }
    blocks.extend(open.map(|(_, _, block)| block));
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_language_their_line_and_their_text() {
        let text = "# A\n\n```yaml\nkind: Source\n```\n- item\n  ```console\n  $ ls\n    a\n  ```\n````md\n```\ninner\n```\n````\n";
        let found = blocks(text);
        let seen: Vec<_> = found.iter().map(|b| (b.language.as_str(), b.line, b.text.as_str())).collect();
        assert_eq!(
            seen,
            [("yaml", 4, "kind: Source\n"), ("console", 8, "$ ls\n  a\n"), ("md", 12, "```\ninner\n```\n"),]
        );
    }
}
