use karat_core::{Digest, ErrorKind, Instant, Name};
use karat_metadata::commits::{self, HistoryCommit};

use crate::Fresh;

fn commit(source: &str, number: u64) -> HistoryCommit {
    HistoryCommit {
        source: Name::new(source).unwrap(),
        number,
        at: Instant::from_micros(-7),
        delivery: Digest::of(number.to_le_bytes()),
        partitions: 16,
        rows: 1 << 40,
        manifest: serde_json::json!({"parts": [{"file": "a.parquet", "rows": number}]}),
        counts: serde_json::json!({"read": 3}),
    }
}

#[tokio::test]
async fn commits_are_found_by_source_and_number() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    for (source, number) in [("loans", 1), ("loans", 2), ("credit", 1), ("loans", 5)] {
        commits::insert(&mut tx, &commit(source, number)).await.unwrap();
    }
    tx.commit().await.unwrap();

    let mut reader = fresh.metadata.read().await.unwrap();
    let loans = Name::new("loans").unwrap();
    let all = commits::list(&mut reader, &loans).await.unwrap();
    assert_eq!(all, [commit("loans", 1), commit("loans", 2), commit("loans", 5)]);
    assert_eq!(commits::latest(&mut reader, &loans).await.unwrap(), Some(commit("loans", 5)));
    assert_eq!(commits::at_or_before(&mut reader, &loans, 4).await.unwrap(), Some(commit("loans", 2)));
    assert_eq!(commits::at_or_before(&mut reader, &loans, 0).await.unwrap(), None);
    assert_eq!(commits::latest(&mut reader, &Name::new("nothing").unwrap()).await.unwrap(), None);
    let sources = commits::sources(&mut reader).await.unwrap();
    assert_eq!(sources.iter().map(Name::as_str).collect::<Vec<_>>(), ["credit", "loans"]);
}

#[tokio::test]
async fn a_number_is_taken_once() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    commits::insert(&mut tx, &commit("loans", 1)).await.unwrap();
    let error = commits::insert(&mut tx, &commit("loans", 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("`loans` has a commit 1"), "{error}");
}
