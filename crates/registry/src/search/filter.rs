use super::lex::{Kind, Token, tokens};
use super::subject::{AttributeKind, For, Subject, error_at, unquoted};
use super::{Comparator, Comparison, Entity, SearchError, Value};

/// As long a pattern as SQLite compares.
const LONGEST_PATTERN: usize = 10_000;
/// The comparisons of one filter; each is a look-up in the database.
const MOST: usize = 100;

/// Reads a filter; an empty one has no comparisons.
pub fn parse_filter(text: &str, subject: &'static Subject) -> Result<Vec<Comparison>, SearchError> {
    let mut parser = Parser { text, tokens: tokens(text), next: 0, subject };
    let mut comparisons = Vec::new();
    loop {
        // MLflow does not mind an AND too many, which programs leave.
        while parser.peek().is_some_and(|token| token.is("AND")) {
            parser.next += 1;
        }
        let Some(token) = parser.peek().cloned() else { return Ok(comparisons) };
        let follows = parser.next > 0 && !parser.tokens[parser.next - 1].is("AND");
        if follows || token.kind != Kind::Word {
            return Err(parser.invalid_clause(&token));
        }
        if comparisons.len() == MOST {
            return Err(parser.wrong(Some(&token), format!("a filter has at most {MOST} comparisons")));
        }
        comparisons.push(parser.comparison()?);
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    next: usize,
    subject: &'static Subject,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn wrong(&self, token: Option<&Token<'t>>, message: impl Into<String>) -> SearchError {
        error_at(self.text, token, message)
    }

    fn invalid_clause(&self, token: &Token<'t>) -> SearchError {
        let text = match token.kind {
            Kind::Open => self.in_parentheses(token),
            _ => token.text,
        };
        self.wrong(Some(token), format!("Invalid clause(s) in filter string: '{text}'"))
    }

    /// From a parenthesis to the one that closes it, or to the end.
    fn in_parentheses(&self, open: &Token<'t>) -> &'t str {
        let mut depth = 0;
        for token in self.tokens.iter().filter(|token| token.start >= open.start) {
            depth += i32::from(token.kind == Kind::Open) - i32::from(token.kind == Kind::Close);
            if depth == 0 {
                return &self.text[open.start..token.start + 1];
            }
        }
        &self.text[open.start..]
    }

    fn comparison(&mut self) -> Result<Comparison, SearchError> {
        let name = self.take().expect("the caller looked");
        let wrong = |message: String| error_at(self.text, Some(&name), message);
        let (entity, key) = self.subject.identify(name.text, For::Filter, &wrong)?;
        let sign = self.peek().cloned();
        let comparator = self.comparator(&name)?;
        if let Ok(found @ (Comparator::IsNull | Comparator::IsNotNull)) = comparator {
            if !self.subject.comparators(entity, &key).contains(&found) {
                let words = self.subject.null_words;
                let message = format!(
                    "IS NULL / IS NOT NULL is only supported for {words}, not for '{}' '{key}'",
                    entity.as_str()
                );
                return Err(self.wrong(sign.as_ref(), message));
            }
            return Ok(Comparison { entity, key, comparator: found, value: Value::Nothing });
        }
        let first = self.peek().cloned();
        let value = self.value(entity, &key, &name)?;
        let comparator = self.allowed(comparator, entity, &key, sign.as_ref())?;
        let listed = matches!(value, Value::List(_));
        if listed != matches!(comparator, Comparator::In | Comparator::NotIn) {
            let message = format!("Invalid comparator '{}': a list goes with IN and NOT IN", comparator.as_str());
            return Err(self.wrong(sign.as_ref(), message));
        }
        if let (Comparator::Like | Comparator::ILike, Value::Text(pattern)) = (comparator, &value)
            && pattern.len() > LONGEST_PATTERN
        {
            return Err(self.wrong(first.as_ref(), format!("a pattern has at most {LONGEST_PATTERN} bytes")));
        }
        Ok(Comparison { entity, key, comparator, value })
    }

    /// What stands between name and value, or how it is written where it is no comparator of anything.
    fn comparator(&mut self, name: &Token<'t>) -> Result<Result<Comparator, String>, SearchError> {
        let Some(token) = self.take() else {
            return Err(self.wrong(None, format!("Invalid clause(s) in filter string: '{}'", name.text)));
        };
        let sign = |comparator| Ok(Ok(comparator));
        if token.kind == Kind::Sign {
            return match token.text {
                "=" => sign(Comparator::Equal),
                "!=" => sign(Comparator::NotEqual),
                "<" => sign(Comparator::Less),
                "<=" => sign(Comparator::LessOrEqual),
                ">" => sign(Comparator::Greater),
                ">=" => sign(Comparator::GreaterOrEqual),
                other => Ok(Err(other.to_owned())),
            };
        }
        let mut follows = |word: &str| {
            let found = self.peek().is_some_and(|token| token.is(word));
            self.next += usize::from(found);
            found
        };
        if token.is("LIKE") {
            return sign(Comparator::Like);
        } else if token.is("ILIKE") {
            return sign(Comparator::ILike);
        } else if token.is("RLIKE") {
            return Ok(Err("RLIKE".to_owned()));
        } else if token.is("IN") {
            return sign(Comparator::In);
        } else if token.is("NOT") {
            if follows("IN") {
                return sign(Comparator::NotIn);
            } else if follows("LIKE") {
                return Ok(Err("NOT LIKE".to_owned()));
            } else if follows("ILIKE") {
                return Ok(Err("NOT ILIKE".to_owned()));
            }
        } else if token.is("IS") {
            let comparator = if follows("NOT") { Comparator::IsNotNull } else { Comparator::IsNull };
            if follows("NULL") {
                return sign(comparator);
            }
        }
        Err(self.invalid_clause(name))
    }

    fn allowed(
        &self,
        comparator: Result<Comparator, String>,
        entity: Entity,
        key: &str,
        sign: Option<&Token<'t>>,
    ) -> Result<Comparator, SearchError> {
        let known = self.subject.comparators(entity, key);
        let written = match comparator {
            Ok(comparator) if known.contains(&comparator) => return Ok(comparator),
            Ok(comparator) => comparator.as_str().to_owned(),
            Err(written) => written,
        };
        let known: Vec<String> = known.iter().map(|known| format!("'{}'", known.as_str())).collect();
        let message = format!("Invalid comparator '{written}' not one of '{{{}}}'", known.join(", "));
        Err(self.wrong(sign, message))
    }

    fn value(&mut self, entity: Entity, key: &str, name: &Token<'t>) -> Result<Value, SearchError> {
        let Some(token) = self.take() else {
            return Err(self.wrong(None, format!("Invalid clause(s) in filter string: '{}'", name.text)));
        };
        let list = match token.kind {
            Kind::Open => Some(self.list(&token)?),
            _ => None,
        };
        let found = list.as_ref().map_or(token.text, |(text, _)| text);
        let wrong = |message: String| Err(self.wrong(Some(&token), message));
        let kind = self.subject.attribute(key).filter(|_| entity == Entity::Attribute).map(|found| found.kind);
        let numeric = matches!(token.kind, Kind::Integer | Kind::Float);
        match (entity, kind) {
            (Entity::Metric, _) if !numeric => wrong(format!("Expected numeric value type for metric. Found {found}")),
            (Entity::Metric, _) => Ok(Value::Float(float(found))),
            (_, Some(AttributeKind::Time | AttributeKind::WholeTime)) if !numeric => {
                wrong(format!("Expected numeric value type for numeric attribute: {key}. Found {found}"))
            }
            (_, Some(AttributeKind::WholeTime)) if token.kind == Kind::Float => {
                wrong(format!("Invalid value for numeric attribute '{key}': '{found}'"))
            }
            (_, Some(AttributeKind::Number)) => {
                let text = match token.kind {
                    Kind::Integer => found.to_owned(),
                    Kind::Text | Kind::Word => self.text_value(entity, &token)?,
                    _ => return wrong(format!("Invalid value for numeric attribute '{key}': {found}")),
                };
                let number = text.trim().parse().map(Value::Int);
                number.or_else(|_| wrong(format!("Invalid value for numeric attribute '{key}': '{text}'")))
            }
            // A number beyond all times compares as one.
            (_, Some(AttributeKind::Time | AttributeKind::WholeTime)) => Ok(match found.parse() {
                Ok(whole) => Value::Int(whole),
                Err(_) => Value::Float(float(found)),
            }),
            (_, Some(AttributeKind::NumberedId)) => match list {
                Some((_, items)) => {
                    let ids = items?.into_iter().map(|item| numbered(item).map_err(|m| self.wrong(Some(&token), m)));
                    Ok(Value::List(ids.collect::<Result<_, _>>()?))
                }
                None => numbered(self.text_value(entity, &token)?).map(Value::Text).or_else(wrong),
            },
            (_, _) if list.is_none() => Ok(Value::Text(self.text_value(entity, &token)?)),
            (Entity::Dataset, _) | (_, Some(AttributeKind::Id)) => Ok(Value::List(list.expect("looked at above").1?)),
            (Entity::Attribute, _) => {
                let listed = self.subject.attributes.iter();
                let listed = listed.filter(|a| matches!(a.kind, AttributeKind::Id | AttributeKind::NumberedId));
                let listed: Vec<String> = listed.map(|attribute| format!("'{}'", attribute.name)).collect();
                let listed = listed.join(", ");
                wrong(format!("Only [{listed}] attributes support comparison with a list of quoted string values."))
            }
            (_, _) => wrong(quoted_wanted(entity, found)),
        }
    }

    fn text_value(&self, entity: Entity, token: &Token<'t>) -> Result<String, SearchError> {
        match token.kind {
            Kind::Text => Ok(unquoted(token.text, &['\'']).to_owned()),
            Kind::Word => match unquoted(token.text, &['"']) {
                inner if inner.len() < token.text.len() => Ok(inner.to_owned()),
                bare => Err(self.wrong(
                    Some(token),
                    format!(
                        "Parameter value is either not quoted or unidentified quote types used for string value \
                         {bare}. Use either single or double quotes."
                    ),
                )),
            },
            _ => Err(self.wrong(Some(token), quoted_wanted(entity, token.text))),
        }
    }

    /// As it is written, and its strings, where it has nothing else.
    fn list(&mut self, open: &Token<'t>) -> Result<(&'t str, Result<Vec<String>, SearchError>), SearchError> {
        let mut items = Vec::new();
        let mut problem = None;
        let mut wants_item = true;
        loop {
            let Some(token) = self.take() else {
                return Err(self.invalid_clause(open));
            };
            let quoted = token.kind == Kind::Text || token.kind == Kind::Word && token.text.starts_with('"');
            match token.kind {
                Kind::Close => {
                    let text = &self.text[open.start..token.start + 1];
                    let empty = items.is_empty() && problem.is_none();
                    if empty {
                        problem = Some("expected a non-empty list of string values, but got empty list");
                    }
                    let items = match problem {
                        None => Ok(items),
                        Some(problem) => {
                            Err(self.wrong(Some(open), format!("While parsing a list in the query, {problem}")))
                        }
                    };
                    return Ok((text, items));
                }
                Kind::Comma if !wants_item => wants_item = true,
                _ if wants_item && quoted => {
                    items.push(unescaped(token.text));
                    wants_item = false;
                }
                Kind::Integer | Kind::Float if wants_item => {
                    problem = Some("expected string value, punctuation, or whitespace, but got different type in list");
                    wants_item = false;
                }
                _ => problem = Some("expected a non-empty list of string values, but got ill-formed list."),
            }
        }
    }
}

fn quoted_wanted(entity: Entity, found: &str) -> String {
    match entity {
        Entity::Attribute => format!("Expected a quoted string value for attributes. Got value {found}"),
        Entity::Dataset => format!("Expected a quoted string value for dataset attributes. Got value {found}"),
        entity => {
            format!("Expected a quoted string value for {} (e.g. 'my-value'). Got value {found}", entity.as_str())
        }
    }
}

fn float(text: &str) -> f64 {
    text.parse().expect("the lexer knows numbers")
}

/// The text of an experiment's id, checked to be one.
fn numbered(text: String) -> Result<String, String> {
    match text.trim().parse::<i64>() {
        Ok(id) => Ok(id.to_string()),
        Err(_) => Err(format!("Invalid experiment ID '{text}'. Experiment ID must be a valid integer.")),
    }
}

/// A string in a list is one of Python's: a backslash keeps what follows, and strings side by side are one.
fn unescaped(text: &str) -> String {
    let quote = text.chars().next().expect("a string has its quotes");
    let mut characters = unquoted(text, &[quote]).chars();
    let mut value = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => value.extend(characters.next()),
            found if found == quote => {}
            other => value.push(other),
        }
    }
    value
}
