use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use karat_core::{Column, DataType, Digest, ErrorKind, Instant, Schema, hidden};
use karat_history::HistoryError;

use crate::world::{World, columns, loans, note, read, read_ids, rows, with_hidden};

/// Equal bit for bit: NaN equals NaN, -0.0 does not equal 0.0.
fn assert_same(left: &RecordBatch, right: &RecordBatch) {
    assert_eq!(left.schema(), right.schema());
    for (left, right) in left.columns().iter().zip(right.columns()) {
        match left.as_primitive_opt::<Float64Type>() {
            Some(floats) => {
                let bits = |array: &Float64Array| array.iter().map(|v| v.map(f64::to_bits)).collect::<Vec<_>>();
                assert_eq!(bits(floats), bits(right.as_primitive::<Float64Type>()));
            }
            None => assert_eq!(left, right),
        }
    }
}

#[tokio::test]
async fn what_is_committed_is_read_back_exactly() {
    let world = World::new().await;
    assert!(world.history.snapshot(&loans(), None).await.unwrap().is_none());
    let mut writer = world.writer().await;
    assert_eq!((writer.number(), writer.partitions()), (1, None));
    let (first, second) = (rows(&[0, 2, 4, 60, 8], 1), rows(&[10, 12], 1));
    writer.write(0, &first).await.unwrap();
    writer.write(0, &second).await.unwrap();
    let info = writer.commit(note()).await.unwrap();
    assert_eq!((info.number, info.rows, info.partitions), (1, 7, 2));
    assert!(world.file("loans/commit-000001/part-000.parquet").is_file());

    let snapshot = world.snapshot().await;
    assert_eq!((snapshot.commit, snapshot.partitions, snapshot.rows()), (1, 2, 7));
    assert_eq!((snapshot.at, snapshot.delivery.clone()), (Instant::from_micros(7), Digest::of("delivery")));
    assert_eq!(snapshot.columns, columns());
    let batches = read(&snapshot, &columns(), None).await.unwrap();
    let written = concat_batches(&first.schema(), [&first, &second]).unwrap();
    assert_same(&concat_batches(&first.schema(), &batches).unwrap(), &written);
    snapshot.verify().await.unwrap();
}

#[tokio::test]
async fn commits_follow_each_other_and_old_snapshots_stay() {
    let world = World::new().await;
    world.commit(0, 5).await;
    let old = world.snapshot().await;
    world.commit(5, 9).await;
    world.commit(9, 9).await;
    let new = world.snapshot().await;
    assert_eq!((old.commit, new.commit), (1, 3));
    assert_eq!(read_ids(&new, None).await.unwrap(), [0, 2, 4, 1, 3, 6, 8, 5, 7]);
    assert_eq!(read_ids(&new, Some(1)).await.unwrap(), [1, 3, 5, 7]);
    assert!(read_ids(&new, Some(7)).await.unwrap().is_empty());
    assert_eq!(read_ids(&old, None).await.unwrap(), [0, 2, 4, 1, 3]);
    for (up_to, commit) in [(0, None), (1, Some(1)), (2, Some(2)), (3, Some(3)), (99, Some(3))] {
        let found = world.history.snapshot(&loans(), Some(up_to)).await.unwrap();
        assert_eq!(found.map(|snapshot| snapshot.commit), commit);
    }
    let commits = world.history.commits(&loans()).await.unwrap();
    assert_eq!(commits.iter().map(|commit| (commit.number, commit.rows)).collect::<Vec<_>>(), [(1, 5), (2, 4), (3, 0)]);
    assert_eq!(commits[0].counts, serde_json::json!({"read": 3}));
}

#[tokio::test]
async fn many_rows_come_in_batches_of_bounded_size() {
    let world = World::new().await;
    let mut writer = world.writer().await;
    let ids: Vec<i64> = (0..300_000).collect();
    for chunk in ids.chunks(70_000) {
        writer.write(1, &rows(chunk, 1)).await.unwrap();
    }
    writer.commit(note()).await.unwrap();
    let snapshot = world.snapshot().await;
    let batches = read(&snapshot, &crate::world::ids(), None).await.unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() <= 8192));
    assert_eq!(batches[0].num_columns(), 1 + hidden::ALL.len());
    assert_eq!(read_ids(&snapshot, None).await.unwrap(), ids);
}

#[tokio::test]
async fn columns_come_and_go_and_change_their_type() {
    let world = World::new().await;
    let schema = |columns: &[(&str, DataType)]| {
        Schema::new(columns.iter().map(|(name, data_type)| Column::new(*name, *data_type)).collect())
    };
    let old = schema(&[("a.dotted", DataType::Int), ("gone", DataType::Text), ("number", DataType::Text)]);
    let mut writer = world.history.writer(&loans(), &old).await.unwrap();
    let texts = |texts: [&str; 2]| Arc::new(StringArray::from(texts.to_vec()));
    let ints = Arc::new(Int64Array::from(vec![Some(1), None]));
    let batch = with_hidden(&old, vec![ints, texts(["x", "y"]), texts(["12", "13.5"])], 1);
    writer.write(0, &batch).await.unwrap();
    writer.commit(note()).await.unwrap();

    let new = schema(&[("new", DataType::Date), ("a.dotted", DataType::Float), ("number", DataType::Float)]);
    let snapshot = world.snapshot().await;
    let batches = read(&snapshot, &new, None).await.unwrap();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].column(0).null_count(), 2);
    assert_eq!(batches[0].column(1).as_primitive::<Float64Type>(), &Float64Array::from(vec![Some(1.0), None]));
    assert_eq!(batches[0].column(2).as_primitive::<Float64Type>().values(), &[12.0, 13.5]);
    assert_eq!(batches[0].column_by_name("_row").unwrap().as_primitive::<Int64Type>().values(), &[1, 2]);

    for (name, wanted) in [("number", DataType::Int), ("a.dotted", DataType::Bool), ("gone", DataType::Timestamp)] {
        let error = read(&snapshot, &schema(&[(name, wanted)]), None).await.unwrap_err();
        assert!(matches!(&error, HistoryError::ColumnType { column, commit: 1, .. } if column == name), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_writer_refuses_what_it_was_not_opened_for() {
    let world = World::new().await;
    let hidden = Schema::new(vec![Column::new("_known_time", DataType::Int)]);
    assert!(world.history.writer(&loans(), &hidden).await.is_err());
    let mut writer = world.writer().await;
    let other = with_hidden(&crate::world::ids(), vec![Arc::new(Int64Array::from(vec![1]))], 1);
    for (batch, word) in [(other, "announced"), (rows(&[1], 2), "_commit is not 1")] {
        let error = writer.write(0, &batch).await.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    writer.write(2, &rows(&[1], 1)).await.unwrap();
    writer.write(3, &rows(&[2], 1)).await.unwrap();
    let error = writer.write(2, &rows(&[3], 1)).await.unwrap_err().to_string();
    assert!(error.contains("partition 2 comes after partition 3"), "{error}");
    drop(writer);
    let mut writer = world.writer().await;
    writer.write(2, &rows(&[1], 1)).await.unwrap();
    let error = writer.commit(note()).await.unwrap_err().to_string();
    assert!(error.contains("partition 2 was written of 2"), "{error}");
    world.commit(0, 3).await;
    let writer = world.writer().await;
    assert_eq!(writer.partitions(), Some(2));
    let error = writer.commit(karat_history::CommitNote { partitions: 3, ..note() }).await.unwrap_err().to_string();
    assert!(error.contains("have 2 partitions"), "{error}");
}

#[tokio::test]
async fn a_commit_that_begins_anew_is_read_without_those_before() {
    let world = World::new().await;
    world.commit(0, 5).await;
    world.commit(5, 9).await;
    let mut writer = world.writer().await;
    writer.write(0, &rows(&[3, 7], 3)).await.unwrap();
    let (definition, quarantine) = (serde_json::json!({"event_time": "booked"}), "loans/0123.parquet".to_owned());
    let anew = karat_history::CommitNote {
        partitions: 1,
        definition: Some(definition.clone()),
        anew: true,
        quarantine: Some(quarantine.clone()),
        ..note()
    };
    let info = writer.commit(anew).await.unwrap();
    assert_eq!((info.number, info.anew, info.definition.as_ref()), (3, true, Some(&definition)));
    let at = async |up_to| world.history.snapshot(&loans(), up_to).await.unwrap().unwrap();
    let new = at(None).await;
    assert_eq!((new.commit, new.first, new.partitions, new.definition.as_ref()), (3, 3, 1, Some(&definition)));
    assert_eq!(read_ids(&new, None).await.unwrap(), [3, 7]);
    new.verify().await.unwrap();
    // Whoever reads up to a commit before reads what was there then.
    let old = at(Some(2)).await;
    assert_eq!((old.commit, old.first, old.partitions, old.definition.clone()), (2, 1, 2, None));
    assert_eq!(read_ids(&old, None).await.unwrap(), [0, 2, 4, 1, 3, 6, 8, 5, 7]);
    let commits = world.history.commits(&loans()).await.unwrap();
    assert_eq!(commits.iter().map(|commit| commit.anew).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(commits[2].quarantine.as_ref(), Some(&quarantine));
    // Those that follow keep to its partitions.
    let mut writer = world.writer().await;
    writer.write(0, &rows(&[9], 4)).await.unwrap();
    writer.commit(karat_history::CommitNote { partitions: 1, ..note() }).await.unwrap();
    assert_eq!(read_ids(&at(None).await, None).await.unwrap(), [3, 7, 9]);
    assert_eq!(at(None).await.first, 3);
}

#[tokio::test]
async fn values_that_come_again_take_little_and_others_what_they_are() {
    let world = World::new().await;
    let declared = Schema::new(["status", "note"].map(|name| Column::new(name, DataType::Text)).to_vec());
    for commit in 1..=12 {
        let mut writer = world.history.writer(&loans(), &declared).await.unwrap();
        let statuses: StringArray = (0..2_000).map(|row| Some("late ".repeat(20 + row % 3))).collect();
        let notes: StringArray =
            (0..2_000).map(|row| Some(Digest::of(format!("{commit} {row}")).to_string())).collect();
        let rows = with_hidden(&declared, vec![Arc::new(statuses), Arc::new(notes)], commit);
        writer.write(0, &rows).await.unwrap();
        writer.commit(note()).await.unwrap();
    }
    let snapshot = world.snapshot().await;
    assert!((64..=72).contains(&snapshot.value_bytes(&["note"]).await), "hexadecimal digits of a digest");
    assert!(snapshot.value_bytes(&["status"]).await <= 2, "three texts");
    assert!((64..=74).contains(&snapshot.value_bytes(&["status", "note"]).await));
    assert_eq!(snapshot.value_bytes(&[]).await, 0);
    assert_eq!(snapshot.value_bytes(&["nothing"]).await, 0);
    let texts = snapshot.text_bytes(&["note", "nothing", "status"]).await;
    assert_eq!(texts, [64, 0, 105], "what each is, however often it comes");

    // What cannot be read tells nothing.
    std::fs::remove_file(world.file("loans/commit-000001/part-000.parquet")).unwrap();
    assert!((64..=72).contains(&snapshot.value_bytes(&["note"]).await));
}
