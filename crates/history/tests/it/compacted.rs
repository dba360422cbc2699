//! Histories in fewer parts: every answer stays what it was, bit for bit and in the same order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use arrow::row::{OwnedRow, RowConverter, SortField};
use futures::TryStreamExt;
use karat_core::{Column, DataType, ErrorKind, Instant, Schema, hidden};
use karat_history::{CommitNote, CompactionPlan, History, HistoryError, Left, PushWriter, Removed, Sizes, Snapshot};
use proptest::prelude::*;

use crate::pushed::{push, pusher};
use crate::world::{World, columns, ids, loans, note, read_ids, rows, with_hidden};

/// Small enough that a handful of commits become several compactions.
const SIZES: Sizes = Sizes { part_bytes: 12_000, small_bytes: 0 };

/// Everything that can be merged is.
const ALL: Sizes = Sizes { part_bytes: u64::MAX, small_bytes: u64::MAX };

async fn compact(history: &History, sizes: Sizes) -> CompactionPlan {
    let compactor = history.compactor(&loans()).await.unwrap();
    let plan = compactor.plan(sizes).await.unwrap();
    let told = AtomicU64::new(0);
    for merge in &plan.merges {
        told.store(0, Ordering::Relaxed);
        let progress = |rows| {
            told.fetch_add(rows, Ordering::Relaxed);
        };
        compactor.merge(&plan, *merge, Instant::from_micros(100), &progress).await.unwrap();
        assert_eq!(told.load(Ordering::Relaxed), merge.rows);
    }
    plan
}

async fn remove_replaced(history: &History, before: i64) -> Removed {
    let compactor = history.compactor(&loans()).await.unwrap();
    compactor.remove_replaced(Instant::from_micros(before)).await.unwrap()
}

/// Every row in the order it comes, in a form that tells bits apart.
async fn exactly(snapshot: &Snapshot, wanted: &Schema, hidden: &[&str], partition: Option<u32>) -> Vec<OwnedRow> {
    let batches: Vec<RecordBatch> = snapshot.stream(wanted, hidden, partition).try_collect().await.unwrap();
    let Some(first) = batches.first() else { return Vec::new() };
    assert!(batches.iter().all(|batch| (1..=8192).contains(&batch.num_rows()) || partition.is_some()));
    let fields = first.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let converter = RowConverter::new(fields).unwrap();
    let together = concat_batches(&first.schema(), &batches).unwrap();
    converter.convert_columns(together.columns()).unwrap().iter().map(|row| row.owned()).collect()
}

async fn at(history: &History, up_to: u64) -> Option<Snapshot> {
    history.snapshot(&loans(), Some(up_to)).await.unwrap()
}

#[tokio::test]
async fn small_commits_become_one_part_a_partition_and_read_the_same() {
    let world = World::new().await;
    for commit in 0..20 {
        world.commit(10 * commit, 10 * commit + 10).await;
    }
    let before = world.snapshot().await;
    let rows = exactly(&before, &columns(), &hidden::ALL, None).await;
    assert_eq!((before.parts.len(), rows.len()), (40, 200));

    let dry = world.history.compaction(&loans(), ALL).await.unwrap();
    assert_eq!((dry.parts, dry.commits, dry.merges.len()), (40, 20, 1));
    assert_eq!(world.snapshot().await.parts.len(), 40);
    let plan = compact(&world.history, ALL).await;
    assert_eq!(plan, dry);
    let merge = plan.merges[0];
    assert_eq!((merge.first, merge.last, merge.commits, merge.rows), (1, 20, 20, 200));
    assert_eq!((merge.parts_before, merge.parts_after), (40, 2));

    let after = world.snapshot().await;
    assert_eq!((after.parts.len(), after.rows(), after.commit, after.first), (2, 200, 20, 1));
    assert!(after.bytes() < before.bytes());
    assert_eq!(exactly(&after, &columns(), &hidden::ALL, None).await, rows);
    after.verify().await.unwrap();
    let middle = at(&world.history, 12).await.unwrap().since(7);
    assert_eq!((middle.rows(), middle.parts.len()), (50, 2));
    assert!(middle.bytes() < after.bytes() / 2);
    assert_eq!(exactly(&middle, &columns(), &hidden::ALL, None).await, rows[70..120]);
    // The commits say what they said.
    let commits = world.history.commits(&loans()).await.unwrap();
    assert_eq!(commits.iter().map(|commit| commit.rows).collect::<Vec<_>>(), [10; 20]);
    // There is nothing left to do.
    let again = compact(&world.history, ALL).await;
    assert!(again.merges.is_empty());
    assert_eq!(again.left[0].why, Left::Compacted);
    // What comes after stands behind, and is merged with it.
    world.commit(200, 210).await;
    assert_eq!(world.snapshot().await.parts.len(), 4);
    compact(&world.history, ALL).await;
    let after = world.snapshot().await;
    assert_eq!((after.parts.len(), after.rows()), (2, 210));
    assert_eq!(exactly(&after, &columns(), &hidden::ALL, None).await[..200], rows);
}

#[tokio::test]
async fn what_was_replaced_goes_after_its_time_and_no_reader_fails() {
    let world = World::new().await;
    for commit in 0..4 {
        world.commit(10 * commit, 10 * commit + 10).await;
    }
    let old = world.snapshot().await;
    let rows = exactly(&old, &columns(), &hidden::ALL, None).await;
    compact(&world.history, ALL).await;
    let compacted = world.snapshot().await;
    assert_eq!(remove_replaced(&world.history, 99).await, Removed::default());
    assert!(world.file("loans/commit-000001/part-000.parquet").exists());
    let removed = remove_replaced(&world.history, 100).await;
    assert_eq!((removed.files, removed.bytes > 0), (8, true));
    assert!(!world.file("loans/commit-000001").exists() && !world.file("loans/commit-000004").exists());
    assert_eq!(remove_replaced(&world.history, 100).await, Removed::default());

    // Whoever held a snapshot of before finds the rows where they are now, of one partition as well.
    assert_eq!(exactly(&old, &columns(), &hidden::ALL, None).await, rows);
    assert_eq!(exactly(&old.since(2), &columns(), &hidden::ALL, None).await, rows[20..]);
    assert_eq!(read_ids(&old, Some(1)).await.unwrap().len(), 20);
    world.commit(40, 50).await;
    compact(&world.history, ALL).await;
    assert!(world.file("loans/compacted-000001-000004").exists());
    assert_eq!(remove_replaced(&world.history, 100).await.files, 4);
    assert!(!world.file("loans/compacted-000001-000004").exists());
    for snapshot in [&old, &compacted] {
        assert_eq!(exactly(snapshot, &columns(), &hidden::ALL, None).await, rows);
    }
    assert_eq!(read_ids(&world.snapshot().await, None).await.unwrap().len(), 50);
    world.snapshot().await.verify().await.unwrap();

    // What is missing otherwise is damage, and told.
    let part = "loans/compacted-000001-000005/part-001.parquet";
    std::fs::remove_file(world.file(part)).unwrap();
    let error = read_ids(&world.snapshot().await, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("missing") && error.to_string().contains(part), "{error}");
    assert_eq!(read_ids(&world.snapshot().await, Some(0)).await.unwrap().len(), 25);
}

#[tokio::test]
async fn a_damaged_part_is_not_written_again() {
    let world = World::new().await;
    world.commit(0, 100).await;
    world.commit(100, 200).await;
    let part = world.file("loans/commit-000001/part-001.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let history = world.again();
    let compactor = history.compactor(&loans()).await.unwrap();
    let plan = compactor.plan(ALL).await.unwrap();
    let error = compactor.merge(&plan, plan.merges[0], Instant::from_micros(1), &|_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("commit-000001/part-001"), "{error}");
    // Half of it is there, and belongs to nothing.
    let half = world.file("loans/compacted-000001-000002");
    assert!(half.exists());
    assert_eq!(world.snapshot().await.parts.len(), 4);
    assert_eq!(read_ids(&world.snapshot().await, Some(0)).await.unwrap().len(), 100);
    compactor.remove_replaced(Instant::from_micros(0)).await.unwrap();
    assert!(!half.exists());
}

#[tokio::test]
async fn one_compactor_at_a_time_beside_whoever_pushes_and_commits() {
    let world = World::new().await;
    let mut writer = pusher(&world.history).await;
    for id in 0..6 {
        push(&mut writer, &[id, id + 11, id + 22]);
        writer.turn_over().await.unwrap().run().await.unwrap();
    }
    push(&mut writer, &[7]);
    let compactor = world.history.compactor(&loans()).await.unwrap();
    let error = world.again().compactor(&loans()).await.unwrap_err();
    assert!(matches!(error, HistoryError::Locked { .. }), "{error}");
    assert!(
        error.to_string().contains("compaction") && error.to_string().ends_with("wait until that is done"),
        "{error}"
    );
    let plan = compactor.plan(ALL).await.unwrap();
    assert_eq!(plan.commits, 6);
    // Between the plan and its end rows come.
    push(&mut writer, &[8]);
    writer.turn_over().await.unwrap().run().await.unwrap();
    compactor.merge(&plan, plan.merges[0], Instant::from_micros(100), &|_| {}).await.unwrap();
    push(&mut writer, &[9]);
    drop(compactor);
    let mut found = read_ids(&world.snapshot().await, None).await.unwrap();
    found.sort_unstable();
    let mut expected: Vec<i64> = (0..6).flat_map(|id| [id, id + 11, id + 22]).chain([7, 8, 9]).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    drop(writer);
    let writer = world.history.writer(&loans(), &columns()).await.unwrap();
    compact(&world.history, ALL).await;
    drop(writer);
    assert_eq!(world.snapshot().await.rows(), 21);
}

#[tokio::test]
async fn a_column_that_cannot_be_given_is_told_with_its_commit() {
    let world = World::new().await;
    let texts = Schema::new(vec![Column::new("id", DataType::Text)]);
    for (number, text) in [(1, "1"), (2, "2"), (3, "x"), (4, "4")] {
        let mut writer = world.history.writer(&loans(), &texts).await.unwrap();
        let values: ArrayRef = Arc::new(StringArray::from(vec![text]));
        writer.write(0, &with_hidden(&texts, vec![values], number)).await.unwrap();
        writer.commit(note()).await.unwrap();
    }
    let error = read_ids(&world.snapshot().await, None).await.unwrap_err().to_string();
    compact(&world.history, ALL).await;
    assert_eq!(world.snapshot().await.parts.len(), 1);
    assert_eq!(read_ids(&world.snapshot().await, None).await.unwrap_err().to_string(), error);
    assert!(error.contains("commit 3 holds"), "{error}");
    let rest = world.snapshot().await.since(3);
    assert_eq!(read_ids(&rest, None).await.unwrap(), [4]);
}

#[tokio::test]
async fn parts_larger_than_a_row_group_come_in_the_order_of_their_commits() {
    let world = World::new().await;
    for (from, to) in [(0, 50_000), (50_000, 50_010), (50_010, 90_000), (90_000, 90_001)] {
        world.commit(from, to).await;
    }
    let twin: Vec<i64> = read_ids(&world.snapshot().await, None).await.unwrap();
    compact(&world.history, ALL).await;
    assert_eq!(world.snapshot().await.parts.len(), 2);
    assert_eq!(read_ids(&world.snapshot().await, None).await.unwrap(), twin);
    assert_eq!(read_ids(&world.snapshot().await.since(1), None).await.unwrap(), twin[50_000..]);
    assert_eq!(read_ids(&at(&world.history, 2).await.unwrap(), None).await.unwrap(), twin[..50_010]);
    // No column at all is read of rows that are counted only.
    let batches: Vec<RecordBatch> =
        world.snapshot().await.stream(&Schema::default(), &[], None).try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 90_001);
}

/// What is done to a source, one after the other.
#[derive(Debug, Clone, Copy)]
enum Step {
    Deliver { rows: u8, columns: u8 },
    Anew { rows: u8, partitions: u32 },
    Push(u8),
    Seal,
    Compact(Sizes),
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0u8..40, 0u8..6).prop_map(|(rows, columns)| Step::Deliver { rows, columns }),
        1 => (0u8..9, 1u32..4).prop_map(|(rows, partitions)| Step::Anew { rows, partitions }),
        5 => (0u8..9).prop_map(Step::Push),
        2 => Just(Step::Seal),
        2 => prop_oneof![Just(SIZES), Just(ALL)].prop_map(Step::Compact),
        1 => Just(Step::Remove),
    ]
}

/// Rows of a delivery: of the usual columns, or of fewer, one of another type.
fn delivered(ids_of: &[i64], commit: u64, variant: u8) -> (Schema, RecordBatch) {
    let (schema, batch) = match variant {
        0 => {
            let schema = Schema::new(vec![Column::new("id", DataType::Int), Column::new("amount", DataType::Text)]);
            let texts: ArrayRef = Arc::new(ids_of.iter().map(|id| Some(format!("{id}.5"))).collect::<StringArray>());
            let batch = with_hidden(&schema, vec![rows(ids_of, commit).column(0).clone(), texts], commit);
            (schema, batch)
        }
        _ => (columns(), rows(ids_of, commit)),
    };
    let files: DictionaryArray<Int32Type> =
        ids_of.iter().map(|id| Some(["file a", "file b"][*id as usize % 2])).collect();
    let mut arrays = batch.columns().to_vec();
    let place = batch.schema().index_of(hidden::FILE).unwrap();
    arrays[place] = Arc::new(files);
    (schema, RecordBatch::try_new(batch.schema(), arrays).unwrap())
}

/// A history, and whoever pushes to it.
struct Side {
    world: World,
    writer: Option<PushWriter>,
}

impl Side {
    async fn deliver(&mut self, ids_of: &[i64], variant: u8, anew: Option<u32>) {
        drop(self.writer.take());
        let next = self.world.history.writer(&loans(), &columns()).await.unwrap().number();
        let (schema, batch) = delivered(ids_of, next, variant);
        let mut writer = self.world.history.writer(&loans(), &schema).await.unwrap();
        let partitions = anew.or(writer.partitions()).unwrap_or(3);
        for partition in 0..partitions {
            let of: Vec<usize> =
                (0..ids_of.len()).filter(|row| ids_of[*row] as u32 % partitions == partition).collect();
            for row in of {
                writer.write(partition, &batch.slice(row, 1)).await.unwrap();
            }
        }
        writer.commit(CommitNote { partitions, anew: anew.is_some(), ..note() }).await.unwrap();
    }

    async fn push(&mut self, ids_of: &[i64]) {
        if self.writer.is_none() {
            self.writer = Some(pusher(&self.world.history).await);
        }
        push(self.writer.as_mut().unwrap(), ids_of);
    }

    async fn seal(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.turn_over().await.unwrap().run().await.unwrap();
        }
    }
}

async fn assert_twins(compacted: &History, twin: &History) {
    let newest = twin.snapshot(&loans(), None).await.unwrap().map_or(0, |snapshot| snapshot.commit);
    for up_to in 0..=newest {
        let (Some(compacted), Some(twin)) = (at(compacted, up_to).await, at(twin, up_to).await) else {
            assert!(at(compacted, up_to).await.is_none() && at(twin, up_to).await.is_none());
            continue;
        };
        assert_eq!(
            (compacted.commit, compacted.first, compacted.partitions),
            (twin.commit, twin.first, twin.partitions)
        );
        assert_eq!((compacted.at, &compacted.delivery), (twin.at, &twin.delivery));
        assert_eq!((&compacted.columns, &compacted.definition), (&twin.columns, &twin.definition));
        compacted.verify().await.unwrap();
        for after in [0, up_to / 2, up_to.saturating_sub(1)] {
            let (compacted, twin) = (compacted.since(after), twin.since(after));
            assert_eq!((compacted.rows(), compacted.is_pushed()), (twin.rows(), twin.is_pushed()));
            let partition = (after % 3 > 0).then(|| after as u32 % 3 - 1);
            let found = exactly(&compacted, &columns(), &hidden::ALL, partition).await;
            assert_eq!(found, exactly(&twin, &columns(), &hidden::ALL, partition).await, "after {after} to {up_to}");
            let few = exactly(&compacted, &ids(), &[hidden::KNOWN_TIME], None).await;
            assert_eq!(few, exactly(&twin, &ids(), &[hidden::KNOWN_TIME], None).await, "after {after} to {up_to}");
        }
    }
    assert_eq!(compacted.commits(&loans()).await.unwrap(), twin.commits(&loans()).await.unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Beside a twin that never is compacted.
    #[test]
    fn every_snapshot_of_a_compacted_history_is_its_twins(steps in proptest::collection::vec(step(), 4..18)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sides = [Side { world: World::new().await, writer: None }, Side { world: World::new().await, writer: None }];
            let mut held: Vec<(Snapshot, Vec<OwnedRow>)> = Vec::new();
            let mut next = 0_i64;
            let mut ids_of = |count: u8| { next += i64::from(count); (next - i64::from(count)..next).collect::<Vec<_>>() };
            for step in steps {
                match step {
                    Step::Compact(sizes) => {
                        if let Some(snapshot) = sides[0].world.history.snapshot(&loans(), None).await.unwrap() {
                            let rows = exactly(&snapshot, &columns(), &hidden::ALL, None).await;
                            held.push((snapshot, rows));
                        }
                        drop(compact(&sides[0].world.history, sizes).await);
                    }
                    Step::Remove => {
                        remove_replaced(&sides[0].world.history, 100).await;
                    }
                    Step::Deliver { rows, columns } => {
                        let ids = ids_of(rows);
                        for side in &mut sides { side.deliver(&ids, columns, None).await; }
                    }
                    Step::Anew { rows, partitions } => {
                        let ids = ids_of(rows);
                        for side in &mut sides { side.deliver(&ids, 1, Some(partitions)).await; }
                    }
                    Step::Push(count) => {
                        let ids = ids_of(count);
                        for side in &mut sides { side.push(&ids).await; }
                    }
                    Step::Seal => for side in &mut sides { side.seal().await; },
                }
            }
            assert_twins(&sides[0].world.again(), &sides[1].world.history).await;
            for (snapshot, rows) in held {
                assert_eq!(exactly(&snapshot, &columns(), &hidden::ALL, None).await, rows, "what was held");
            }
        });
    }
}
