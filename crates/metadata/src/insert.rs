use crate::bind::Bound;
use crate::blocking::blocking;
use crate::connection::Raw;
use crate::{Answer, Connection, Dialect, MetadataError, QueryBuilder, sqlite};

/// Values in one statement, well under what PostgreSQL takes.
const VALUES: usize = 10_000;

impl Connection {
    /// `{head} VALUES (…) {tail}` for each of the rows; how many it changed. Only the pieces are SQL.
    pub fn insert<const N: usize>(
        &mut self,
        head: &'static str,
        rows: impl IntoIterator<Item = [Bound; N]>,
        tail: &'static str,
    ) -> Answer<'_, u64> {
        self.insert_values(head, N, rows.into_iter().flatten().collect(), tail)
    }

    /// `values`: row after row, each as wide as said.
    fn insert_values(
        &mut self,
        head: &'static str,
        width: usize,
        values: Vec<Bound>,
        tail: &'static str,
    ) -> Answer<'_, u64> {
        Box::pin(async move {
            if self.dialect() == Dialect::Sqlite {
                return self.insert_in_place(head, width, &values, tail);
            }
            let mut changed = 0;
            for chunk in values.chunks(VALUES / width * width) {
                let mut insert = QueryBuilder::new(Dialect::Postgres, format!("{head} "));
                insert.push_values(chunk.chunks(width), |row, values| {
                    for value in values {
                        row.push_bind(value.clone());
                    }
                });
                insert.push(" ").push(tail);
                changed += insert.build().execute(self).await?;
            }
            Ok(changed)
        })
    }

    /// A compiled statement over and over costs less than one of many rows that is compiled each time.
    fn insert_in_place(
        &mut self,
        head: &str,
        width: usize,
        values: &[Bound],
        tail: &str,
    ) -> Result<u64, MetadataError> {
        let Raw::Sqlite(raw) = self.raw()? else { unreachable!("asked for by dialect") };
        let sql = format!("{head} VALUES ({}) {tail}", vec!["?"; width].join(", "));
        Ok(blocking(|| sqlite::execute_rows(raw, &sql, width, values))?)
    }
}
