//! Which tables a query reads, told by a small tokenizer rather than a planner.
//!
//! It knows strings, quoted names, comments, sub-queries, joins in parentheses, common table expressions (and where
//! each is visible), table functions, and the `FROM` of `extract`, `substring`, `trim` and `IS DISTINCT FROM`, which
//! names no table. It takes no position on whether the query is valid: the planner does, later.

use std::ops::Range;

/// A table named in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Without quotes; of a qualified name, the last part.
    pub name: String,
    /// `"Loans"` keeps its case; `Loans` means `loans`.
    pub quoted: bool,
    /// Whether it was written with a schema before it.
    pub qualified: bool,
    /// Its bytes in the query.
    pub span: Range<usize>,
}

impl TableName {
    /// Whether the query's name means the table called `name`.
    pub fn means(&self, name: &str) -> bool {
        if self.quoted { self.name == name } else { self.name.eq_ignore_ascii_case(name) }
    }
}

/// The tables `sql` reads, in the order written; one that is read twice stands twice.
pub fn sql_tables(sql: &str) -> Vec<TableName> {
    let tokens = tokens(sql);
    let closing = matching_parentheses(&tokens);
    let visible = common_tables(&tokens, &closing);
    let mut tables = table_names(&tokens);
    tables.retain(|(index, table)| {
        !visible.iter().any(|common| !table.qualified && common.range.contains(index) && table.means(&common.name))
    });
    tables.into_iter().map(|(_, table)| table).collect()
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String, Range<usize>),
    Quoted(String, Range<usize>),
    Symbol(char),
    /// A string or a number.
    Literal,
}

impl Token {
    fn is(&self, keyword: &str) -> bool {
        matches!(self, Token::Word(word, _) if word.eq_ignore_ascii_case(keyword))
    }

    fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    fn name(&self) -> Option<(&str, bool, &Range<usize>)> {
        match self {
            Token::Word(word, span) => Some((word, false, span)),
            Token::Quoted(name, span) => Some((name, true, span)),
            Token::Symbol(_) | Token::Literal => None,
        }
    }
}

fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = sql.get(at..) {
        let Some(first) = rest.chars().next() else { break };
        let length = match first {
            _ if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => comment_length(rest),
            '\'' => {
                tokens.push(Token::Literal);
                quoted_length(rest, '\'')
            }
            '"' | '`' => {
                let length = quoted_length(rest, first);
                let inner = rest.get(1..length.saturating_sub(1).max(1)).unwrap_or_default();
                let doubled = [first, first].iter().collect::<String>();
                tokens.push(Token::Quoted(inner.replace(&doubled, &first.to_string()), at..at + length));
                length
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned(), at..at + end));
                end
            }
            c if c.is_ascii_digit() => {
                tokens.push(Token::Literal);
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len())
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                tokens.push(Token::Symbol(c));
                c.len_utf8()
            }
        };
        at += length.max(1);
    }
    tokens
}

/// Of a quoted piece with its quotes; a doubled quote stands for itself. Up to the end where it is not closed.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((index, c)) = chars.next() {
        if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return index + 1;
        }
    }
    text.len()
}

/// Comments nest.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// For every `(` the index of its `)`, or the end.
fn matching_parentheses(tokens: &[Token]) -> Vec<usize> {
    let mut closing = vec![tokens.len(); tokens.len()];
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Symbol('(') => open.push(index),
            Token::Symbol(')') => {
                if let Some(start) = open.pop() {
                    closing[start] = index;
                }
            }
            _ => {}
        }
    }
    closing
}

/// A common table expression, and the tokens among which its name means it.
struct CommonTable {
    name: String,
    range: Range<usize>,
}

/// `name [(columns)] AS [[NOT] MATERIALIZED] (`: nothing else in a query reads like that, windows aside.
fn common_tables(tokens: &[Token], closing: &[usize]) -> Vec<CommonTable> {
    let recursive = tokens.iter().any(|token| token.is("recursive"));
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.name().is_some()) {
        let mut at = index + 1;
        if let (Some(Token::Symbol('(')), Some(close)) = (tokens.get(at), closing.get(at)) {
            at = close + 1;
        }
        if !tokens.get(at).is_some_and(|token| token.is("as")) {
            continue;
        }
        at += 1;
        while tokens.get(at).is_some_and(|token| token.is_any(&["not", "materialized"])) {
            at += 1;
        }
        let (Some(Token::Symbol('(')), Some(end)) = (tokens.get(at), closing.get(at)) else { continue };
        if let Some((name, _, _)) = token.name() {
            let start = if recursive { index } else { *end };
            found.push(CommonTable { name: name.to_owned(), range: start..tokens.len() });
        }
    }
    found
}

/// One level of parentheses.
#[derive(Default)]
struct Level {
    /// A `SELECT` was seen here, so `FROM` begins its tables.
    selects: bool,
    /// Between `FROM` and what ends it.
    in_tables: bool,
    /// The next name is a table.
    wants_table: bool,
}

const ENDS_TABLES: [&str; 14] = [
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "fetch",
    "window",
    "qualify",
    "union",
    "except",
    "intersect",
    "select",
    "values",
];

fn table_names(tokens: &[Token]) -> Vec<(usize, TableName)> {
    let mut found = Vec::new();
    let mut levels = vec![Level::default()];
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let Some(level) = levels.last_mut() else { break };
        match token {
            Token::Symbol('(') => {
                // `FROM (a JOIN b …)` goes on naming tables inside; `FROM (SELECT …)` begins anew.
                let joined = std::mem::take(&mut level.wants_table);
                levels.push(Level { selects: false, in_tables: joined, wants_table: joined });
            }
            Token::Symbol(')') => {
                levels.pop();
                if levels.is_empty() {
                    levels.push(Level::default());
                }
            }
            Token::Symbol(',') => level.wants_table = level.in_tables,
            Token::Symbol(_) | Token::Literal => {}
            _ if token.is("select") => *level = Level { selects: true, ..Level::default() },
            _ if token.is("from") && level.selects && !is_distinct_from(tokens, at) => {
                *level = Level { selects: true, in_tables: true, wants_table: true };
            }
            _ if token.is("join") && level.in_tables => level.wants_table = true,
            _ if token.is_any(&["lateral", "only"]) && level.wants_table => {}
            _ if token.is_any(&ENDS_TABLES) => {
                level.in_tables = false;
                level.wants_table = false;
            }
            _ if level.wants_table => {
                level.wants_table = false;
                let last = qualified_end(tokens, at);
                let function = matches!(tokens.get(last + 1), Some(Token::Symbol('(')));
                if let (false, Some((name, quoted, span))) = (function, tokens.get(last).and_then(Token::name)) {
                    let qualified = last > at;
                    found.push((at, TableName { name: name.to_owned(), quoted, qualified, span: span.clone() }));
                }
                at = last;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// `IS [NOT] DISTINCT FROM`
fn is_distinct_from(tokens: &[Token], from: usize) -> bool {
    let back = |steps: usize| from.checked_sub(steps).and_then(|index| tokens.get(index));
    back(1).is_some_and(|token| token.is("distinct")) && back(2).is_some_and(|token| token.is_any(&["is", "not"]))
}

/// The index of the last part of `a.b.c`, which begins at `at`.
fn qualified_end(tokens: &[Token], mut at: usize) -> usize {
    while tokens.get(at + 1) == Some(&Token::Symbol('.'))
        && tokens.get(at + 2).is_some_and(|next| next.name().is_some())
    {
        at += 2;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(sql: &str, expected: &[&str]) {
        let tables = sql_tables(sql);
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, expected, "{sql}");
        assert!(tables.iter().all(|table| sql[table.span.clone()].contains(&table.name)));
    }

    #[test]
    fn tables_are_what_follows_from_and_join() {
        reads("SELECT 1", &[]);
        reads("select * from loans", &["loans"]);
        reads(
            "SELECT a.x FROM applications a INNER JOIN credit AS c USING (client_id, month), extra e",
            &["applications", "credit", "extra"],
        );
        reads("SELECT * FROM a LEFT JOIN b ON f(a.x, b.y) = 1, c WHERE a.x IN (1, 2), d", &["a", "b", "c"]);
        reads("SELECT * FROM (a JOIN b ON a.x = b.x) JOIN c ON true", &["a", "b", "c"]);
        reads("SELECT * FROM a UNION ALL SELECT * FROM b ORDER BY x, y", &["a", "b"]);
        reads("SELECT (SELECT max(x) FROM inner_table) AS m, y FROM outer_table", &["inner_table", "outer_table"]);
        reads("SELECT * FROM t WHERE x IN (SELECT y FROM u) AND EXISTS (SELECT 1 FROM v, w)", &["t", "u", "v", "w"]);
        reads("SELECT * FROM public.loans, \"Odd name\"", &["loans", "Odd name"]);
    }

    #[test]
    fn other_froms_name_no_table() {
        reads("SELECT extract(year FROM birthday), substring(job FROM 2), trim(both ' ' FROM job) FROM t", &["t"]);
        reads("SELECT a IS DISTINCT FROM b, c IS NOT DISTINCT FROM d FROM t WHERE a IS DISTINCT FROM e", &["t"]);
        reads("SELECT 'x FROM y', \"from\" FROM t -- FROM z\n /* FROM /* nested */ v */ JOIN w ON 1=1", &["t", "w"]);
        reads("SELECT * FROM unnest(range(1, 3)), t, LATERAL (SELECT * FROM u)", &["t", "u"]);
    }

    #[test]
    fn common_table_expressions_are_not_tables() {
        reads("WITH late AS (SELECT * FROM loans) SELECT * FROM late JOIN loans USING (id)", &["loans", "loans"]);
        reads("WITH a (x, y) AS (SELECT 1, 2), b AS MATERIALIZED (SELECT * FROM a) SELECT * FROM b, c", &["c"]);
        // Outside its own body, and inside a recursive one's, the name is the expression; inside its body, the table.
        reads("WITH loans AS (SELECT * FROM loans) SELECT * FROM loans", &["loans"]);
        reads("WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT * FROM r", &[]);
    }

    #[test]
    fn broken_queries_do_not_panic() {
        for sql in [
            "",
            "FROM",
            "SELECT * FROM",
            "((((",
            "))))",
            "SELECT * FROM 'x",
            "SELECT * FROM \"",
            "\"",
            "/*",
            "/**/*/",
            "SELECT é FROM ž.",
            "WITH a AS (",
        ] {
            sql_tables(sql);
        }
    }

    #[test]
    fn unquoted_names_ignore_case() {
        let tables = sql_tables("SELECT * FROM Loans, \"Loans\"");
        assert!(tables[0].means("loans") && tables[0].means("LOANS"));
        assert!(tables[1].means("Loans") && !tables[1].means("loans"));
    }
}
