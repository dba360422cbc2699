//! A filter's text into words, numbers, strings and signs. Strings are kept as they are written: MLflow knows no escapes
//! in them, only that a doubled or escaped quote does not end one.

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'t> {
    pub kind: Kind,
    pub text: &'t str,
    /// The byte it begins at.
    pub start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier, dotted, its parts bare, back-quoted or double-quoted; a double-quoted string is one, too.
    Word,
    /// In single quotes.
    Text,
    Integer,
    Float,
    /// `=`, `!=`, `<` and the like.
    Sign,
    Open,
    Close,
    Comma,
    Other,
}

impl Token<'_> {
    /// Whether it is this word, in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }
}

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        if first.is_whitespace() {
            start += first.len_utf8();
            continue;
        }
        let rest = &text[start..];
        let (kind, length) = one(rest, first);
        tokens.push(Token { kind, text: &rest[..length], start });
        start += length;
    }
    tokens
}

fn one(rest: &str, first: char) -> (Kind, usize) {
    match first {
        '(' => (Kind::Open, 1),
        ')' => (Kind::Close, 1),
        ',' => (Kind::Comma, 1),
        '\'' => quoted(rest, '\'').map_or((Kind::Other, 1), |length| (Kind::Text, length)),
        '=' | '<' | '>' | '!' | '~' => {
            let length = rest.find(|sign| !matches!(sign, '=' | '<' | '>' | '!' | '~')).unwrap_or(rest.len());
            (Kind::Sign, length)
        }
        _ => number(rest).or_else(|| word(rest)).unwrap_or((Kind::Other, first.len_utf8())),
    }
}

/// The length of a string with its quotes, or nothing where it does not end. A doubled quote and one after a backslash go
/// on, unless nothing after them ends the string.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut fallback = None;
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().copied();
        match (character, next) {
            (found, Some((_, following))) if found == quote && following == quote => {
                fallback = Some(at + 1);
                characters.next();
            }
            (found, _) if found == quote => return Some(at + 1),
            ('\\', Some((after, following))) if following == quote => {
                fallback = Some(after + 1);
                characters.next();
            }
            _ => {}
        }
    }
    fallback
}

fn number(rest: &str) -> Option<(Kind, usize)> {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(rest.starts_with('-'));
    let whole = digits(sign);
    let mut end = sign + whole;
    let mut kind = Kind::Integer;
    if rest[end..].starts_with('.') {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return None;
        }
        end += 1 + fraction;
        kind = Kind::Float;
    }
    if end == sign {
        return None;
    }
    if rest[end..].starts_with(['e', 'E']) {
        let minus = usize::from(rest[end + 1..].starts_with(['-', '+']));
        let exponent = digits(end + 1 + minus);
        if exponent > 0 {
            end += 1 + minus + exponent;
            kind = Kind::Float;
        }
    }
    // `1st` is a word.
    match rest[end..].chars().next() {
        Some(next) if next.is_alphanumeric() || next == '_' => None,
        _ => Some((kind, end)),
    }
}

fn word(rest: &str) -> Option<(Kind, usize)> {
    let mut end = part(rest)?;
    while let Some(after) = rest[end..].strip_prefix('.') {
        let Some(length) = part(after) else { break };
        end += 1 + length;
    }
    Some((Kind::Word, end))
}

fn part(rest: &str) -> Option<usize> {
    match rest.chars().next()? {
        '`' => Some(rest[1..].find('`')? + 2),
        '"' => quoted(rest, '"'),
        _ => {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '#'))).unwrap_or(rest.len());
            (end > 0).then_some(end)
        }
    }
}
