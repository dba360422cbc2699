use karat_core::Window;

use super::reader::{Fields, Reader};
use super::scalar::{choice, sql, variable_text, window};
use crate::spec::{Command, Paths, Postgres, Stderr};
use crate::yaml::{Node, Shape};

/// One path, or a list of them.
pub(crate) fn paths(reader: &mut Reader<'_>, node: &Node) -> Option<Paths> {
    match &node.shape {
        Shape::List(items) if items.is_empty() => reader.wrong_with_help(node, "a file or a glob", "name one"),
        Shape::List(_) => Paths::new(reader.list(node, "a list of files or globs", variable_text)?),
        _ => variable_text(reader, node).map(|path| Paths::from(path.as_str())),
    }
}

pub(crate) fn postgres(reader: &mut Reader<'_>, node: &Node) -> Option<Postgres> {
    let mut fields = Fields::open(reader, node, "`postgres`")?;
    let url = fields.required(reader, "url", variable_text);
    let table = fields.optional(reader, "table", variable_text);
    let query = fields.optional(reader, "query", sql);
    fields.close(reader);
    let written = |key| node.entry(key).is_some_and(|entry| !entry.value.is_null());
    match (written("table"), written("query")) {
        (true, true) => reader.problem(node.span, "`postgres` has `table` or `query`, not both"),
        (false, false) => reader.problem(node.span, "`postgres` needs `table` or `query`"),
        _ => {}
    }
    Some(Postgres { url: url?, table, query })
}

pub(crate) fn command(reader: &mut Reader<'_>, node: &Node) -> Option<Command> {
    if !matches!(node.shape, Shape::Map(_)) {
        return Some(Command { run: run(reader, node)?, timeout: Command::TIMEOUT, stderr: Stderr::default() });
    }
    let mut fields = Fields::open(reader, node, "`command`")?;
    let run = fields.required(reader, "run", run);
    let timeout = fields.optional(reader, "timeout", timeout).unwrap_or(Command::TIMEOUT);
    let words = [("fail", Stderr::Fail), ("ignore", Stderr::Ignore)];
    let stderr = fields.optional(reader, "stderr", |reader, node| choice(reader, node, &words)).unwrap_or_default();
    fields.close(reader);
    Some(Command { run: run?, timeout, stderr })
}

fn run(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let expected = "a program and its arguments";
    let help = "write it as a list, such as `[bq, query, --format=csv, \"SELECT …\"]`: no shell takes it apart";
    match &node.shape {
        Shape::List(items) if !items.is_empty() => {
            let words = reader.list(node, expected, variable_text)?;
            (words.len() == items.len()).then_some(words)
        }
        _ => reader.wrong_with_help(node, expected, help),
    }
}

fn timeout(reader: &mut Reader<'_>, node: &Node) -> Option<Window> {
    match window(reader, node)? {
        Window::Months(_) | Window::Fixed(0) => {
            reader.wrong_with_help(node, "a time to wait", "write it like `10 minutes`")
        }
        fixed => Some(fixed),
    }
}
