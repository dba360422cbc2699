use super::node::{Node, Shape};
use crate::files::Span;

/// Which end of `key: value` a path points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    Key,
    /// The value; still the key, where the value is empty or a collection.
    Value,
}

/// The place of `path`, such as `contract[2].column` or `features.age.expression`; where the file does not go that
/// deep, the place of the last part that is there. A key that holds dots is written `prepare."a.b"`.
pub(crate) fn locate(root: &Node, path: &str, aim: Aim) -> Span {
    walk(root, path, aim).0
}

/// A path's key: in quotes where it holds what paths are made of.
pub fn path_key(name: &str) -> String {
    if name.contains(['.', '[', ']']) || name.is_empty() { format!("\"{name}\"") } else { name.to_owned() }
}

/// Whether the tree has `path` to its end.
pub(crate) fn exists(root: &Node, path: &str) -> bool {
    walk(root, path, Aim::Key).1 == parts(path).len()
}

/// As far as the tree goes: the place, and how many parts of the path were there.
fn walk(root: &Node, path: &str, aim: Aim) -> (Span, usize) {
    let mut node = root;
    let mut place = (root.span, 0);
    for part in parts(path) {
        let next = match (&node.shape, &part) {
            (Shape::Map(_), Part::Key(key)) => node.entry(key).map(|entry| {
                let scalar = matches!(entry.value.shape, Shape::Scalar(_)) && !entry.value.is_null();
                (&entry.value, if scalar && aim == Aim::Value { entry.value.span } else { entry.key_span })
            }),
            (Shape::List(items), Part::Index(index)) => items.get(*index).map(|item| (item, item.span)),
            _ => None,
        };
        let Some((next, span)) = next else { break };
        node = next;
        place = (span, place.1 + 1);
    }
    place
}

#[derive(Debug, PartialEq)]
enum Part {
    Key(String),
    Index(usize),
}

fn parts(path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        } else if let Some((index, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            // An index that is none matches no item.
            parts.push(Part::Index(index.parse().unwrap_or(usize::MAX)));
            rest = after;
        } else if let Some((key, after)) = rest.strip_prefix('"').and_then(|r| r.split_once('"')) {
            parts.push(Part::Key(key.to_owned()));
            rest = after;
        } else {
            let end = rest.find(['.', '[']).filter(|end| *end > 0).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            parts.push(Part::Key(key.to_owned()));
            rest = after;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_keys_and_indexes() {
        let key = |text: &str| Part::Key(text.to_owned());
        assert_eq!(parts("contract[2].column"), [key("contract"), Part::Index(2), key("column")]);
        assert_eq!(parts("prepare.\"a.b\""), [key("prepare"), key("a.b")]);
        assert_eq!(parts(""), []);
        assert_eq!(parts("[x"), [key("[x")]);
    }
}
