//! What may be written at all: checked on the parsed text, before any planning, so that messages speak of the text.

use std::ops::ControlFlow;

use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, Ident, Query, Value, Visit, Visitor,
};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::error::clean;
use super::{ExpressionError, functions};

/// Far more than anyone writes.
const LONGEST: usize = 32_768;
/// `a OR b OR c` nests as deep as it is long, and evaluation recurses as deep as an expression nests.
const DEEPEST: usize = 256;
/// The parser reads each argument of a function twice, and so what stands within so many parentheses two to that power times.
const DEEPEST_PARENTHESES: usize = 16;

pub(super) struct Parsed {
    pub(super) syntax: Expr,
    /// Columns in the order in which they first stand.
    pub(super) names: Vec<String>,
    /// Those of `names` that stand in double quotes.
    pub(super) quoted: Vec<String>,
}

pub(super) fn parse(sql: &str) -> Result<Parsed, ExpressionError> {
    let wrong = |reason: String| ExpressionError::Syntax { sql: sql.to_owned(), reason };
    if sql.trim().is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    if sql.len() > LONGEST {
        let start: String = sql.chars().take(60).collect();
        let reason = format!("it is longer than {LONGEST} characters");
        return Err(ExpressionError::Syntax { sql: format!("{start}…"), reason });
    }
    if parentheses(sql) > DEEPEST_PARENTHESES {
        return Err(wrong(format!("its parentheses nest more than {DEEPEST_PARENTHESES} deep")));
    }
    let parsed = DFParser::parse_sql_into_expr(sql).map_err(|error| wrong(clean(&error.strip_backtrace())))?;
    if parsed.alias.is_some() {
        return Err(wrong("an expression has no alias: its name is the key it is written under".to_owned()));
    }
    let mut checker = Checker { sql, names: Vec::new(), quoted: Vec::new(), depth: 0 };
    match parsed.expr.visit(&mut checker) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => {
            let (names, quoted) = (checker.names, checker.quoted);
            Ok(Parsed { syntax: parsed.expr, names, quoted })
        }
    }
}

/// How deep parentheses nest; what cannot even be read as words has none.
fn parentheses(sql: &str) -> usize {
    let words = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let (mut depth, mut deepest) = (0_usize, 0);
    for word in words {
        match word {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

struct Checker<'a> {
    sql: &'a str,
    names: Vec<String>,
    quoted: Vec<String>,
    depth: usize,
}

type Flow = ControlFlow<Box<ExpressionError>>;

impl Checker<'_> {
    fn refuse(&self, reason: impl Into<String>) -> Flow {
        let error = ExpressionError::NotAllowed { sql: self.sql.to_owned(), reason: reason.into() };
        ControlFlow::Break(Box::new(error))
    }

    fn column(&mut self, identifier: &Ident) -> Flow {
        if identifier.value.starts_with('@') && identifier.quote_style.is_none() {
            return self.refuse("there are no variables");
        }
        if identifier.quote_style.is_some() && !self.quoted.contains(&identifier.value) {
            self.quoted.push(identifier.value.clone());
        }
        if !self.names.contains(&identifier.value) {
            self.names.push(identifier.value.clone());
        }
        ControlFlow::Continue(())
    }

    fn function(&self, function: &Function) -> Flow {
        let name = function.name.to_string();
        if function.over.is_some() {
            return self.refuse(format!("`{name} … OVER` is a window function, and an expression sees one row"));
        }
        if functions::find(&name).is_none() {
            let error =
                ExpressionError::UnknownFunction { sql: self.sql.to_owned(), hint: functions::hint(&name), name };
            return ControlFlow::Break(Box::new(error));
        }
        let plain_arguments = match &function.args {
            FunctionArguments::List(list) => {
                let only_nulls =
                    |clause: &FunctionArgumentClause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_));
                list.duplicate_treatment.is_none() && !list.clauses.iter().any(only_nulls)
            }
            FunctionArguments::None => true,
            FunctionArguments::Subquery(_) => false,
        };
        let plain = plain_arguments
            && function.filter.is_none()
            && function.null_treatment.is_none()
            && function.within_group.is_empty();
        if plain { ControlFlow::Continue(()) } else { self.refuse(format!("`{name}` takes plain arguments only")) }
    }
}

impl Visitor for Checker<'_> {
    type Break = Box<ExpressionError>;

    fn pre_visit_query(&mut self, _: &Query) -> Flow {
        self.refuse("an expression sees one row and cannot query: use a source with `sql:`")
    }

    fn post_visit_expr(&mut self, _: &Expr) -> Flow {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        self.depth += 1;
        if self.depth > DEEPEST {
            let reason = format!("it nests deeper than {DEEPEST}: write long chains of OR as IN, or split it");
            let start: String = self.sql.chars().take(60).collect();
            return ControlFlow::Break(Box::new(ExpressionError::Syntax { sql: format!("{start}…"), reason }));
        }
        match expr {
            Expr::Identifier(identifier) => self.column(identifier),
            Expr::CompoundIdentifier(parts) => {
                let last = parts.last().map(|part| part.value.clone()).unwrap_or_default();
                self.refuse(format!("write the column's name alone: `{last}`"))
            }
            Expr::Function(function) => self.function(function),
            Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
                self.refuse("there are no parameters")
            }
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::Between { .. }
            | Expr::BinaryOp { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::UnaryOp { .. }
            | Expr::Cast { .. }
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Nested(_)
            | Expr::Value(_)
            | Expr::TypedString(_)
            | Expr::Case { .. }
            | Expr::Interval(_) => ControlFlow::Continue(()),
            Expr::AtTimeZone { .. } => {
                self.refuse("times are UTC here: say `time_zone:` in the source and let it read them")
            }
            Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Subquery(_) => {
                self.refuse("an expression sees one row and cannot query: use a source with `sql:`")
            }
            other => self.refuse(format!("`{other}` is not part of the expression language")),
        }
    }
}
