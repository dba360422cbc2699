//! `${VAR}` and `${VAR:-default}` in texts: filled in from the process's environment, as late as can be, so that what a
//! secret is written for is all that files, messages and Releases ever hold.

use std::fmt;

/// Why a text cannot be filled in. Never holds a variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableError {
    /// The variable is not set, or empty, and has no default.
    Missing(String),
    /// `${` that begins no reference.
    Malformed(String),
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VariableError::Missing(name) => write!(
                f,
                "the environment variable `{name}` is not set: set it, or write `${{{name}:-…}}` with what holds then"
            ),
            VariableError::Malformed(text) => write!(
                f,
                "`{text}` is no reference: write `${{NAME}}` or `${{NAME:-default}}`, and `$${{` for the characters \
                 themselves"
            ),
        }
    }
}

impl std::error::Error for VariableError {}

/// Whether a text refers to a variable.
pub fn has_variables(text: &str) -> bool {
    text.contains("${")
}

/// The text with its references filled in.
pub fn expand(text: &str) -> Result<String, VariableError> {
    expand_with(text, &|name| std::env::var(name).ok())
}

fn expand_with(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, VariableError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        expanded.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let malformed = || VariableError::Malformed(rest[at..].chars().take(40).collect());
        let end = inner.find('}').ok_or_else(malformed)?;
        let (name, default) = match inner[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inner[..end], None),
        };
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            return Err(malformed());
        }
        match (lookup(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => expanded.push_str(&value),
            (None, Some(default)) => expanded.push_str(default),
            (None, None) => return Err(VariableError::Missing(name.to_owned())),
        }
        rest = &inner[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, VariableError> {
        expand_with(text, &|name| match name {
            "HOST" => Some("db.internal".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${HOST}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn references_are_filled_in_once() {
        let good = |text: &str| expanded(text).unwrap();
        assert_eq!(good("no reference $HOST {HOST}"), "no reference $HOST {HOST}");
        assert_eq!(good("a/${HOST}/${OTHER:-x}/${EMPTY:-y}${OTHER:-}"), "a/db.internal/x/y");
        assert_eq!(good("$${HOST} ${TRICKY}"), "${HOST} ${HOST}");
        assert_eq!(expanded("${OTHER}"), Err(VariableError::Missing("OTHER".to_owned())));
        assert_eq!(expanded("${EMPTY}"), Err(VariableError::Missing("EMPTY".to_owned())));
        for bad in ["${", "${}", "${a b}", "x${1}", "${HOST:+y}", "${:-x}"] {
            assert!(matches!(expanded(bad), Err(VariableError::Malformed(_))), "{bad}");
        }
    }
}
