//! What was pushed and is in no commit yet, as readers see it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path as FilePath;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::UInt32Type;

use super::PREFIX;
use super::format::{self, Group, Head, PARTITION, Record};
use crate::HistoryError;
use crate::log;

/// Groups in the order of their numbers.
#[derive(Debug, Clone, Default)]
pub(in crate::kept) struct Tail {
    /// Of the newest log, which may have no group yet.
    pub head: Option<Arc<Head>>,
    pub groups: Vec<Arc<Group>>,
}

impl Tail {
    /// The groups after a number, of all logs in a source's folder. Blocks.
    pub fn read(folder: &FilePath, after: u64) -> Result<Tail, HistoryError> {
        let mut tail = Tail::default();
        for first in logs(folder)? {
            let dir = folder.join(format!("{PREFIX}{first:06}"));
            let place = dir.display().to_string();
            let mut head: Option<Arc<Head>> = None;
            for payload in log::read(&dir)? {
                match format::decode(&place, payload?, head.as_ref())? {
                    Record::Head(found) => head = Some(Arc::new(found)),
                    Record::Group(group) if group.number > after => tail.groups.push(Arc::new(group)),
                    Record::Group(_) => {}
                }
            }
            tail.head = head.or(tail.head);
        }
        Ok(tail)
    }

    /// Whether the groups are all there are after a number.
    pub fn follows(&self, last: u64) -> bool {
        self.groups.iter().zip(last + 1..).all(|(group, number)| group.number == number)
    }

    /// The rows of `groups` in batches of about so many rows, of one partition or of all.
    pub fn batches(
        groups: Vec<Arc<Group>>,
        partition: Option<u32>,
        rows: usize,
    ) -> impl Iterator<Item = Result<RecordBatch, HistoryError>> + Send {
        let mut groups = groups.into_iter().peekable();
        std::iter::from_fn(move || {
            let first = groups.next()?;
            let mut together = vec![first];
            let mut count = together[0].rows as usize;
            while let Some(next) = groups.next_if(|next| {
                count + next.rows as usize <= rows && next.head.of.columns == together[0].head.of.columns
            }) {
                count += next.rows as usize;
                together.push(next);
            }
            Some(joined(&together, partition))
        })
    }
}

/// The rows of groups that have one head's columns.
pub(super) fn joined(groups: &[Arc<Group>], partition: Option<u32>) -> Result<RecordBatch, HistoryError> {
    let batches = groups.iter().map(|group| group.decode()).collect::<Result<Vec<_>, _>>()?;
    let schema = format::schema(&groups[0].head.of.columns);
    let wrong = |error| HistoryError::corrupt(format!("what was pushed from number {} on", groups[0].number), error);
    let batch = concat_batches(&schema, &batches).map_err(wrong)?;
    let Some(wanted) = partition else { return Ok(batch) };
    let of = batch.column_by_name(PARTITION).expect("the schema has it").as_primitive::<UInt32Type>();
    let keep: BooleanArray = of.values().iter().map(|of| Some(*of == wanted)).collect();
    filter_record_batch(&batch, &keep).map_err(wrong)
}

/// The first numbers of the logs in a source's folder, ascending.
pub(super) fn logs(folder: &FilePath) -> Result<Vec<u64>, HistoryError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(HistoryError::io(folder))?,
    };
    let mut logs = Vec::new();
    for entry in entries {
        let name = entry.map_err(HistoryError::io(folder))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let number: Option<u64> = number.and_then(|number| number.parse().ok());
        logs.extend(number);
    }
    logs.sort_unstable();
    Ok(logs)
}
