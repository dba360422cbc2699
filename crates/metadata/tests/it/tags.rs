use karat_core::{Digest, Instant, Name};
use karat_metadata::commits::{self, HistoryCommit};
use karat_metadata::tags::{self, SourceTag};

use crate::Fresh;

fn tag(source: &str, tag: &str, commit: u64) -> SourceTag {
    SourceTag {
        source: Name::new(source).unwrap(),
        tag: tag.to_owned(),
        commit,
        at: Instant::from_micros(5),
        actor: "ana".to_owned(),
        why: "because".to_owned(),
    }
}

async fn with_commits() -> Fresh {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    for (source, number) in [("loans", 1), ("loans", 2), ("credit", 1)] {
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
    tx.commit().await.unwrap();
    fresh
}

#[tokio::test]
async fn a_tag_names_one_commit_of_each_source() {
    let fresh = with_commits().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    for one in [tag("loans", "may", 1), tag("credit", "may", 1), tag("loans", "june", 1), tag("loans", "may", 2)] {
        tags::put(&mut tx, &one).await.unwrap();
    }
    let loans = Name::new("loans").unwrap();
    assert_eq!(tags::get(&mut tx, &loans, "may").await.unwrap(), Some(tag("loans", "may", 2)));
    assert_eq!(tags::get(&mut tx, &loans, "May").await.unwrap(), None);
    tx.commit().await.unwrap();
    let mut reader = fresh.metadata.read().await.unwrap();
    let all = tags::list(&mut reader).await.unwrap();
    assert_eq!(all, [tag("credit", "may", 1), tag("loans", "june", 1), tag("loans", "may", 2)]);
}

#[tokio::test]
async fn a_tag_may_name_rows_that_are_no_commit_yet() {
    let fresh = with_commits().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    tags::put(&mut tx, &tag("loans", "may", 3)).await.unwrap();
    assert_eq!(tags::list(&mut tx).await.unwrap(), [tag("loans", "may", 3)]);
}
