//! A history in a temporary directory, and rows for it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use futures::TryStreamExt;
use karat_core::{Column, DataType, Digest, Instant, Name, Schema, hidden};
use karat_history::{CommitInfo, CommitNote, CommitWriter, History, HistoryError, Snapshot};
use karat_metadata::Metadata;

pub struct World {
    pub dir: tempfile::TempDir,
    pub metadata: Metadata,
    pub history: History,
}

pub fn loans() -> Name {
    Name::new("loans").unwrap()
}

pub fn columns() -> Schema {
    use DataType::{Bool, Date, Float, Int, Text, Timestamp};
    let columns = [("id", Int), ("amount", Float), ("ok", Bool), ("job", Text), ("start", Date), ("seen", Timestamp)];
    Schema::new(columns.map(|(name, data_type)| Column::new(name, data_type)).to_vec())
}

pub fn ids() -> Schema {
    Schema::new(vec![Column::new("id", DataType::Int)])
}

impl World {
    pub async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&format!("sqlite://{}/metadata.db", dir.path().display())).await.unwrap();
        let history = History::open(dir.path().join("history"), metadata.clone()).unwrap();
        World { dir, metadata, history }
    }

    /// Another handle, which has verified nothing yet.
    pub fn again(&self) -> History {
        History::open(self.dir.path().join("history"), self.metadata.clone()).unwrap()
    }

    pub fn file(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join("history").join(path)
    }

    pub async fn writer(&self) -> CommitWriter {
        self.history.writer(&loans(), &columns()).await.unwrap()
    }

    /// Commits rows `from..to`, spread over two partitions.
    pub async fn commit(&self, from: i64, to: i64) -> CommitInfo {
        let mut writer = self.writer().await;
        for partition in 0..2 {
            let ids: Vec<i64> = (from..to).filter(|id| id % 2 == i64::from(partition)).collect();
            let batch = rows(&ids, writer.number());
            writer.write(partition, &batch).await.unwrap();
        }
        writer.commit(note()).await.unwrap()
    }

    pub async fn snapshot(&self) -> Snapshot {
        self.history.snapshot(&loans(), None).await.unwrap().unwrap()
    }
}

pub fn note() -> CommitNote {
    let counts = serde_json::json!({"read": 3});
    CommitNote {
        at: Instant::from_micros(7),
        delivery: Digest::of("delivery"),
        counts,
        partitions: 2,
        definition: None,
        anew: false,
        quarantine: None,
    }
}

/// Rows with every type's far ends among their values.
pub fn rows(ids: &[i64], commit: u64) -> RecordBatch {
    let each = |make: &dyn Fn(i64) -> Option<i64>| ids.iter().map(|id| make(*id)).collect::<Vec<_>>();
    let start: Vec<Option<i32>> =
        ids.iter().map(|id| [Some(384_098), None, Some(i32::MIN), Some(i32::MAX)][*id as usize % 4]).collect();
    let amounts = [0.1, -0.0, f64::NAN, f64::NEG_INFINITY, f64::MIN_POSITIVE / 2.0];
    let seen = TimestampMicrosecondArray::from(each(&|id| [None, Some(i64::MAX), Some(i64::MIN)][id as usize % 3]));
    let declared: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.to_vec())),
        Arc::new(Float64Array::from_iter_values(ids.iter().map(|id| amounts[*id as usize % 5]))),
        Arc::new(ids.iter().map(|id| [Some(true), Some(false), None][*id as usize % 3]).collect::<BooleanArray>()),
        Arc::new(ids.iter().map(|id| (id % 3 != 0).then(|| format!("job {}", id % 7))).collect::<StringArray>()),
        Arc::new(Date32Array::from(start)),
        Arc::new(seen.with_data_type(DataType::Timestamp.arrow())),
    ];
    with_hidden(&columns(), declared, commit)
}

pub fn with_hidden(columns: &Schema, mut arrays: Vec<ArrayRef>, commit: u64) -> RecordBatch {
    let count = arrays[0].len();
    let hidden: Vec<ArrayRef> = vec![
        new_null_array(&arrow::datatypes::DataType::Int64, count),
        Arc::new(Int64Array::from(vec![i64::MIN; count])),
        Arc::new(Int64Array::from(vec![commit as i64; count])),
        Arc::new(BooleanArray::from(vec![false; count])),
        new_null_array(&hidden::file_type(), count),
        Arc::new(Int64Array::from_iter_values(1..=count as i64)),
        Arc::new(StringArray::from(vec![Some("[]"); count])),
    ];
    arrays.extend(hidden);
    let fields: Vec<_> = columns.arrow_fields().into_iter().chain(hidden::fields()).collect();
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), arrays).unwrap()
}

pub async fn read(
    snapshot: &Snapshot,
    wanted: &Schema,
    partition: Option<u32>,
) -> Result<Vec<RecordBatch>, HistoryError> {
    snapshot.stream(wanted, &hidden::ALL, partition).try_collect().await
}

pub async fn read_ids(snapshot: &Snapshot, partition: Option<u32>) -> Result<Vec<i64>, HistoryError> {
    use arrow::array::AsArray;
    let batches = read(snapshot, &ids(), partition).await?;
    let ids = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec());
    Ok(ids.collect())
}
