use std::fmt::{Display, Write};

use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::bind::{Bind, Bound};
use crate::{Dialect, Query};

/// A statement put together from pieces. A stranger's text is bound, never pushed.
#[derive(Debug)]
pub struct QueryBuilder {
    dialect: Dialect,
    sql: String,
    bound: Vec<Bound>,
}

impl QueryBuilder {
    pub fn new(dialect: Dialect, sql: impl Into<String>) -> QueryBuilder {
        QueryBuilder { dialect, sql: sql.into(), bound: Vec::new() }
    }

    pub fn push(&mut self, sql: impl Display) -> &mut QueryBuilder {
        write!(self.sql, "{sql}").expect("writing to a string does not fail");
        self
    }

    pub fn push_bind(&mut self, value: impl Bind) -> &mut QueryBuilder {
        self.bound.push(value.bound());
        match self.dialect {
            // SQLite looks each numbered one up among all before it.
            Dialect::Sqlite => self.push('?'),
            Dialect::Postgres => self.push(format_args!("${}", self.bound.len())),
        }
    }

    /// ` LIKE` as it tells cases apart: `%` stands for any text, `_` for one character, nothing for themselves.
    pub fn push_like(&mut self, pattern: &str) -> &mut QueryBuilder {
        match self.dialect {
            // SQLite's own LIKE takes either case.
            Dialect::Sqlite => self.push(" GLOB ").push_bind(glob(pattern)),
            Dialect::Postgres => self.push(" LIKE ").push_bind(pattern).push(" ESCAPE ''"),
        }
    }

    /// The same in either case of A to Z.
    pub fn push_ilike(&mut self, pattern: &str) -> &mut QueryBuilder {
        match self.dialect {
            Dialect::Sqlite => self.push(" LIKE ").push_bind(pattern),
            Dialect::Postgres => self.push(" ILIKE ").push_bind(pattern).push(" ESCAPE ''"),
        }
    }

    pub fn separated(&mut self, separator: &'static str) -> Separated<'_> {
        Separated { query: self, separator, is_first: true }
    }

    /// `VALUES (…), (…)`
    pub fn push_values<I: IntoIterator>(
        &mut self,
        rows: I,
        mut push: impl FnMut(&mut Separated<'_>, I::Item),
    ) -> &mut QueryBuilder {
        self.push("VALUES ");
        for (number, row) in rows.into_iter().enumerate() {
            self.push(if number == 0 { "(" } else { ", (" });
            push(&mut self.separated(", "), row);
            self.push(')');
        }
        self
    }

    pub fn build(&mut self) -> Query {
        let sql = AssertSqlSafe(std::mem::take(&mut self.sql)).into_sql_str();
        Query { sql, bound: std::mem::take(&mut self.bound) }
    }
}

#[derive(Debug)]
pub struct Separated<'q> {
    query: &'q mut QueryBuilder,
    separator: &'static str,
    is_first: bool,
}

impl Separated<'_> {
    pub fn push_bind(&mut self, value: impl Bind) -> &mut Self {
        if !std::mem::replace(&mut self.is_first, false) {
            self.query.push(self.separator);
        }
        self.query.push_bind(value);
        self
    }
}

/// The pattern of a LIKE as GLOB writes it.
fn glob(like: &str) -> String {
    let mut glob = String::with_capacity(like.len());
    for character in like.chars() {
        match character {
            '%' => glob.push('*'),
            '_' => glob.push('?'),
            '*' | '?' | '[' => glob.extend(['[', character, ']']),
            other => glob.push(other),
        }
    }
    glob
}
