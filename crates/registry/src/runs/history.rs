//! Everything a metric was, in pages, of several runs, or thinned out for a picture.

use karat_core::Digest;
use karat_metadata::{Cells, QueryBuilder, query};

use super::log::metric_of;
use super::{Metric, Whose};
use crate::search::Page;
use crate::{Answer, Registry, RegistryError};

/// Steps from one to another, both included.
pub type Steps = std::ops::RangeInclusive<i64>;

impl Registry {
    /// The values of a metric by time, step and value; all of them where no number is given. A page begins after the value
    /// that the one before ended with.
    pub fn metric_page<'a>(
        &'a self,
        run_id: &'a str,
        key: &'a str,
        most: Option<u32>,
        token: Option<&'a str>,
    ) -> Answer<'a, Page<Metric>> {
        Box::pin(async move {
            let mut query = QueryBuilder::new(
                self.metadata.dialect(),
                "SELECT value, is_nan, timestamp_ms, step FROM metrics WHERE run_id = ",
            );
            query.push_bind(run_id).push(" AND key = ").push_bind(key);
            if let Some(token) = token {
                let after = Place::read(token, run_id, key)?;
                query.push(" AND (timestamp_ms, step, value, is_nan) > (").push_bind(after.timestamp_ms).push(", ");
                query
                    .push_bind(after.step)
                    .push(", ")
                    .push_bind(after.value)
                    .push(", ")
                    .push_bind(after.is_nan)
                    .push(")");
            }
            query.push(" ORDER BY timestamp_ms, step, value, is_nan LIMIT ");
            query.push_bind(most.map_or(i64::MAX, |most| i64::from(most) + 1));
            let mut reader = self.read_settled(Whose::Runs(&[run_id])).await?;
            let mut items = Vec::new();
            let see = |cells: Cells<'_>| -> Result<(), RegistryError> {
                let value = if cells.bool(1)? { f64::NAN } else { cells.float(0)? };
                items.push(Metric { key: key.to_owned(), value, timestamp_ms: cells.int(2)?, step: cells.int(3)? });
                Ok(())
            };
            query.build().each(&mut reader, see).await?;
            let whole = most.is_none_or(|most| items.len() <= most as usize);
            items.truncate(most.map_or(usize::MAX, |most| most as usize));
            let next = items.last().filter(|_| !whole).map(|last| Place::of(last).write(run_id, key));
            Ok(Page { items, next })
        })
    }

    /// The values of a metric in several runs, by run, time, step and value.
    pub fn metric_of_runs<'a>(
        &'a self,
        run_ids: &'a [String],
        key: &'a str,
        most: u32,
    ) -> Answer<'a, Vec<(String, Metric)>> {
        Box::pin(async move {
            if run_ids.is_empty() {
                return Ok(Vec::new());
            }
            let mut query = QueryBuilder::new(
                self.metadata.dialect(),
                "SELECT run_id, key, value, is_nan, timestamp_ms, step FROM metrics WHERE key = ",
            );
            query.push_bind(key).push(" AND run_id IN (");
            let mut ids = query.separated(", ");
            for run_id in run_ids {
                ids.push_bind(run_id);
            }
            query.push(") ORDER BY run_id, timestamp_ms, step, value LIMIT ").push_bind(i64::from(most));
            let runs: Vec<&str> = run_ids.iter().map(String::as_str).collect();
            let rows = query.build().fetch_all(&mut *self.read_settled(Whose::Runs(&runs)).await?).await?;
            rows.iter().map(|row| Ok((row.get("run_id")?, metric_of(row)?))).collect()
        })
    }

    /// At most so many values of a metric in a run, evenly spread over all of them, with the first and the last.
    pub fn metric_sample<'a>(
        &'a self,
        run_id: &'a str,
        key: &'a str,
        steps: Option<Steps>,
        most: u32,
    ) -> Answer<'a, Vec<Metric>> {
        Box::pin(async move {
            let (first, last) = steps.map_or((i64::MIN, i64::MAX), |steps| (*steps.start(), *steps.end()));
            let buckets = i64::from(most.max(1));
            let rows = query(
                "WITH all_values AS (SELECT key, value, is_nan, timestamp_ms, step, \
                 NTILE(CAST($5 AS INTEGER)) OVER (ORDER BY step, timestamp_ms, value, is_nan) AS bucket, \
                 ROW_NUMBER() OVER (ORDER BY step DESC, timestamp_ms DESC, value DESC, is_nan DESC) AS from_last \
                 FROM metrics WHERE run_id = $1 AND key = $2 AND step BETWEEN $3 AND $4), \
                 ranked AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY bucket ORDER BY step, timestamp_ms, value, is_nan) \
                 AS place FROM all_values) \
                 SELECT * FROM ranked WHERE place = 1 OR from_last = 1 ORDER BY step, timestamp_ms, value, is_nan",
            )
            .bind(run_id)
            .bind(key)
            .bind(first)
            .bind(last)
            .bind(buckets)
            .fetch_all(&mut *self.read_settled(Whose::Runs(&[run_id])).await?)
            .await?;
            let mut values = rows.iter().map(metric_of).collect::<Result<Vec<_>, RegistryError>>()?;
            // One too many is the last bucket's first, for which the last of all stands.
            if values.len() > most.max(1) as usize {
                values.remove(values.len() - 2);
            }
            Ok(values)
        })
    }
}

/// Of a value in its metric's history.
struct Place {
    timestamp_ms: i64,
    step: i64,
    value: f64,
    is_nan: bool,
}

impl Place {
    fn of(metric: &Metric) -> Place {
        let is_nan = metric.value.is_nan();
        let value = if is_nan { 0.0 } else { metric.value };
        Place { timestamp_ms: metric.timestamp_ms, step: metric.step, value, is_nan }
    }

    fn write(&self, run_id: &str, key: &str) -> String {
        let (bits, nan) = (self.value.to_bits(), u8::from(self.is_nan));
        format!("{}.{}.{bits:x}.{nan}.{}", self.timestamp_ms, self.step, whose(run_id, key))
    }

    fn read(token: &str, run_id: &str, key: &str) -> Result<Place, RegistryError> {
        let parts: Vec<&str> = token.split('.').collect();
        let place = match parts.as_slice() {
            [timestamp_ms, step, bits, nan, whose_it_is] if *whose_it_is == whose(run_id, key) => (|| {
                Some(Place {
                    timestamp_ms: timestamp_ms.parse().ok()?,
                    step: step.parse().ok()?,
                    value: f64::from_bits(u64::from_str_radix(bits, 16).ok()?),
                    is_nan: *nan == "1",
                })
            })(),
            _ => None,
        };
        place.ok_or_else(|| {
            RegistryError::Invalid(
                "Invalid page token: send the next_page_token of an answer about this run and metric".to_owned(),
            )
        })
    }
}

fn whose(run_id: &str, key: &str) -> String {
    Digest::of(format!("{run_id} {key}")).as_str()[..8].to_owned()
}
