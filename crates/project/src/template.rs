//! Texts with `{column}` in them, such as a URL. `${VAR}` stays as it is: it is filled in where the text is used, before
//! the columns are, so that no value can be taken for a reference.

use crate::variables::{VariableError, expand};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Column(String),
}

impl Template {
    /// `None` where a `{` is not closed, or nothing is between. `{{` is the character itself.
    pub fn parse(text: &str) -> Option<Template> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if before.ends_with('$') {
                let end = from.find('}')?;
                plain.push_str(&from[..=end]);
                rest = &from[end + 1..];
            } else if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else {
                let end = from.find('}')?;
                let column = from[1..end].trim();
                if column.is_empty() || column.contains('{') {
                    return None;
                }
                pieces.extend((!plain.is_empty()).then(|| Piece::Text(std::mem::take(&mut plain))));
                pieces.push(Piece::Column(column.to_owned()));
                rest = &from[end + 1..];
            }
        }
        plain.push_str(rest);
        pieces.extend((!plain.is_empty()).then_some(Piece::Text(plain)));
        Some(Template { pieces })
    }

    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(column) => Some(column.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The column, where there is nothing else.
    pub fn only_column(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Column(column)] => Some(column),
            _ => None,
        }
    }

    /// With its variables filled in.
    pub fn expanded(self) -> Result<Template, VariableError> {
        let expand = |piece| match piece {
            Piece::Text(text) => expand(&text).map(Piece::Text),
            Piece::Column(column) => Ok(Piece::Column(column)),
        };
        Ok(Template { pieces: self.pieces.into_iter().map(expand).collect::<Result<_, _>>()? })
    }

    /// `value` gives what stands for a column.
    pub fn filled(&self, value: impl Fn(&str) -> String) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Column(column) => value(column),
        });
        pieces.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Option<String> {
        let template = Template::parse(text)?;
        Some(template.filled(|column| format!("<{column}>")))
    }

    #[test]
    fn columns_are_filled_in_and_variables_are_not_columns() {
        assert_eq!(filled("${URL}/v1/{client_id}?x={ x }").as_deref(), Some("${URL}/v1/<client_id>?x=<x>"));
        assert_eq!(filled("${URL:-a}{a}{b}}").as_deref(), Some("${URL:-a}<a><b>}"));
        assert_eq!(filled("{{\"id\": {id}}").as_deref(), Some("{\"id\": <id>}"));
        for bad in ["{", "{}", "a{b", "{a{b}", "${A", "{ }"] {
            assert_eq!(filled(bad), None, "{bad}");
        }
        assert_eq!(Template::parse("{a}").unwrap().only_column(), Some("a"));
        assert_eq!(Template::parse("{a} ").unwrap().only_column(), None);
    }

    #[test]
    fn what_a_variable_holds_is_no_column() {
        let template = Template::parse("${KARAT_NO_SUCH:-x}/{a}").unwrap();
        assert_eq!(template.expanded().unwrap().filled(|_| "{b}".to_owned()), "x/{b}");
    }
}
