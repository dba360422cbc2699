use karat_core::{Digest, ErrorKind, Instant, Name};
use karat_metadata::commits::{self, HistoryCommit};
use karat_metadata::compactions::{self, HistoryCompaction};

use crate::Fresh;

fn compaction(source: &str, first: u64, last: u64) -> HistoryCompaction {
    HistoryCompaction {
        source: Name::new(source).unwrap(),
        first,
        last,
        at: Instant::from_micros(5),
        manifest: serde_json::json!({"parts": []}),
    }
}

#[tokio::test]
async fn of_those_that_begin_together_the_widest_comes_first() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    for (source, number) in [("loans", 4), ("loans", 9), ("loans", 12), ("credit", 4)] {
        let commit = HistoryCommit {
            source: Name::new(source).unwrap(),
            number,
            at: Instant::from_micros(1),
            delivery: Digest::of("x"),
            partitions: 1,
            rows: 1,
            manifest: serde_json::json!({}),
            counts: serde_json::json!({}),
        };
        commits::insert(&mut tx, &commit).await.unwrap();
    }
    for (source, first, last) in [("loans", 1, 4), ("loans", 10, 12), ("loans", 1, 9), ("credit", 1, 4)] {
        compactions::insert(&mut tx, &compaction(source, first, last)).await.unwrap();
    }
    let error = compactions::insert(&mut tx, &compaction("loans", 1, 9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("commits 1 to 9 of `loans` were compacted"), "{error}");
    tx.commit().await.unwrap();

    let loans = Name::new("loans").unwrap();
    let mut tx = fresh.metadata.begin().await.unwrap();
    let all = [(1, 9), (1, 4), (10, 12)].map(|(first, last)| compaction("loans", first, last));
    assert_eq!(compactions::list(&mut tx, &loans).await.unwrap(), all);
    compactions::remove(&mut tx, &loans, 1, 4).await.unwrap();
    compactions::remove(&mut tx, &loans, 1, 4).await.unwrap();
    tx.commit().await.unwrap();
    let mut reader = fresh.metadata.read().await.unwrap();
    assert_eq!(compactions::list(&mut reader, &loans).await.unwrap(), [all[0].clone(), all[2].clone()]);
    let credit = Name::new("credit").unwrap();
    assert_eq!(compactions::list(&mut reader, &credit).await.unwrap(), [compaction("credit", 1, 4)]);
}

#[tokio::test]
async fn a_compaction_is_of_commits_that_are_there() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    compactions::insert(&mut tx, &compaction("loans", 1, 9)).await.unwrap_err();
}
