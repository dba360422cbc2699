use karat_core::Digest;
use karat_metadata::{Connection, QueryBuilder, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::sql::{
    Counted, Which, bounds, names, push_condition, push_filter, push_first_value, push_keys, push_order, push_rows,
};
use super::{Comparator, Comparison, Entity, Key, OrderBy, Subject, parse_filter, parse_order};
use crate::RegistryError;

/// A page of a search, and the token of the next where there is one.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// Where a page begins: after the row that had these keys. It stays right while rows are added, and belongs to its search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PageToken {
    search: String,
    after: Vec<Json>,
}

impl PageToken {
    /// `search`: what the search was, in whatever form.
    fn after_row(search: &str, keys: &[Key], row: &Row) -> Result<PageToken, RegistryError> {
        let after = keys.iter().enumerate().map(|(number, key)| key.of(row, number)).collect::<Result<_, _>>()?;
        Ok(PageToken { search: fingerprint(search), after })
    }

    /// The keys to go on after.
    fn read(text: &str, search: &str, keys: &[Key]) -> Result<Vec<Json>, RegistryError> {
        let wrong = |why: &str| RegistryError::Invalid(format!("Invalid page token, {why}"));
        let token = unhex(text).and_then(|bytes| serde_json::from_slice::<PageToken>(&bytes).ok());
        let token =
            token.ok_or_else(|| wrong("could not be decoded: send the next_page_token of an answer as it is"))?;
        let fits =
            token.after.len() == keys.len() && keys.iter().zip(&token.after).all(|(key, value)| key.takes(value));
        match token.search == fingerprint(search) && fits {
            true => Ok(token.after),
            false => Err(wrong("it belongs to another search: filter, order and what is searched must stay the same")),
        }
    }

    fn write(&self) -> Result<String, RegistryError> {
        let json = serde_json::to_vec(self).map_err(|error| RegistryError::Invalid(error.to_string()))?;
        Ok(json.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn fingerprint(search: &str) -> String {
    Digest::of(search).as_str().chars().take(16).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.is_ascii() && text.len().is_multiple_of(2);
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
    if digits { bytes.collect() } else { None }
}

/// A search for rows of one table, called `r` in its SQL.
pub(crate) struct Search<'s> {
    pub subject: &'static Subject,
    pub table: &'static str,
    pub columns: Columns,
    pub filter: &'s str,
    pub order_by: &'s [String],
    /// What else decides which rows there are, in whatever form: a page token belongs to it.
    pub scope: &'s str,
    pub most: u32,
    pub page_token: Option<&'s str>,
}

/// What of its rows a search gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    All,
    /// Those named, of `r`: a few.
    Of(&'static str),
}

/// So many rows or values are many, and are not counted further.
const MANY: i64 = 2_000;

/// A page of rows and the token of the next. `last` are the attributes (and whether descending) that end an order, given
/// whether one was asked for; `narrow` adds what follows `WHERE`.
pub(crate) async fn page_of_rows(
    reader: &mut Connection,
    asked: &Search<'_>,
    last: impl FnOnce(bool) -> &'static [(&'static str, bool)],
    narrow: impl Fn(&mut QueryBuilder),
) -> Result<(Vec<Row>, Option<String>), RegistryError> {
    let mut filter = parse_filter(asked.filter, asked.subject)?;
    filter.retain(|comparison| !(asked.subject.always_met)(comparison));
    let order = parse_order(asked.order_by, asked.subject)?;
    let last = last(!order.is_empty());
    let terms = Terms { asked, filter, order, last };
    if terms.reads_in_order(reader, &narrow).await? {
        let (rows, next) = terms.rows(reader, Which::WithFirstValue, &narrow).await?;
        // Where they do not fill the page, what has no value follows them.
        if next.is_some() {
            return Ok((rows, next));
        }
    }
    terms.rows(reader, Which::All, &narrow).await
}

/// How many rows `select` finds, as far as `most`.
async fn counted(
    reader: &mut Connection,
    most: i64,
    select: impl FnOnce(&mut QueryBuilder),
) -> Result<i64, RegistryError> {
    let mut query = QueryBuilder::new(reader.dialect(), "SELECT COUNT(*) AS found FROM (");
    select(&mut query);
    query.push(" LIMIT ").push_bind(most).push(") few");
    let found = query.build().fetch_optional(reader).await?;
    Ok(found.map(|row| row.get::<i64>("found")).transpose()?.unwrap_or_default())
}

/// A search, read.
struct Terms<'s> {
    asked: &'s Search<'s>,
    filter: Vec<Comparison>,
    order: Vec<OrderBy>,
    last: &'static [(&'static str, bool)],
}

impl Terms<'_> {
    /// The metric whose values come first, in a table that has each once.
    fn first_metric(&self) -> Option<&str> {
        let detail = self.asked.subject.detail(Entity::Metric)?;
        let first = self.order.first().filter(|clause| clause.entity == Entity::Metric)?;
        (detail.table == detail.ordered).then_some(first.key.as_str())
    }

    /// Whether the order by a metric is read from that metric's index, and rows without a value only where they come to be
    /// shown. Else all are sorted: where they are no more than a page, where the index has mostly other scopes' values, and
    /// where few meet the filter, which would be looked for long.
    async fn reads_in_order(
        &self,
        reader: &mut Connection,
        narrow: &impl Fn(&mut QueryBuilder),
    ) -> Result<bool, RegistryError> {
        let Some(metric) = self.first_metric() else { return Ok(false) };
        let Search { subject, table, most, .. } = *self.asked;
        let scope = counted(reader, MANY, |query| {
            query.push(format_args!("SELECT 1 FROM {table} r WHERE "));
            narrow(query);
        });
        let scope = scope.await?;
        if scope <= i64::from(most) {
            return Ok(false);
        }
        if scope < MANY {
            let enough = 4 * scope;
            let numbers = Counted::Numbers(metric);
            return Ok(counted(reader, enough, |query| numbers.push(query, subject)).await? < enough);
        }
        for comparison in &self.filter {
            let is_detail = !matches!(comparison.entity, Entity::Attribute | Entity::Dataset);
            if is_detail && comparison.comparator == Comparator::Equal {
                let meeting = Counted::Meeting(comparison);
                if counted(reader, MANY, |query| meeting.push(query, subject)).await? < MANY {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn rows(
        &self,
        reader: &mut Connection,
        which: Which,
        narrow: &impl Fn(&mut QueryBuilder),
    ) -> Result<(Vec<Row>, Option<String>), RegistryError> {
        let Terms { asked, filter, order, last } = self;
        // What an index has in order is read so; what must be sorted is names first.
        let is_sorted = !order.is_empty() && which == Which::All && asked.columns == Columns::All;
        let mut query = QueryBuilder::new(reader.dialect(), if is_sorted { "SELECT r.*, f.* FROM (" } else { "" });
        let columns = match asked.columns {
            Columns::Of(columns) => columns.to_owned(),
            Columns::All if is_sorted => names(asked.subject),
            Columns::All => "r.*".to_owned(),
        };
        let keys = push_keys(&mut query, asked.subject, (&columns, asked.table), order, last, which);
        query.push(" WHERE ");
        match self.first_metric().filter(|_| which == Which::WithFirstValue) {
            Some(metric) => {
                let (bounds, filter): (Vec<_>, Vec<_>) =
                    filter.iter().cloned().partition(|comparison| bounds(comparison, metric));
                push_first_value(&mut query, asked.subject, metric, &bounds);
                narrow(&mut query);
                push_filter(&mut query, asked.subject, &filter, which);
            }
            None => {
                narrow(&mut query);
                push_filter(&mut query, asked.subject, filter, which);
            }
        }
        let search = format!("{:?} {:?} {}", asked.filter, asked.order_by, asked.scope);
        if let Some(token) = asked.page_token {
            push_condition(&mut query, &keys, &PageToken::read(token, &search, &keys)?);
        }
        push_order(&mut query, &keys);
        query.push(" LIMIT ").push_bind(i64::from(asked.most) + 1);
        if is_sorted {
            push_rows(&mut query, asked.subject, asked.table, &keys);
        }
        let mut rows = query.build().fetch_all(reader).await?;
        let is_last = rows.len() <= asked.most as usize;
        rows.truncate(asked.most as usize);
        let next = match rows.last() {
            Some(row) if !is_last => Some(PageToken::after_row(&search, &keys, row)?.write()?),
            _ => None,
        };
        Ok((rows, next))
    }
}
