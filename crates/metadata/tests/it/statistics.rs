use karat_core::{Digest, Instant};
use karat_metadata::query_scalar;
use karat_metadata::statistics::{self, Statistics};
use serde_json::json;

use crate::Fresh;

fn of(definition: &str, commit: u64, nulls: u64) -> Statistics {
    let at = Instant::from_micros(i64::try_from(commit).unwrap());
    Statistics { definition: Digest::of(definition), commit, at, figures: json!({"nulls": nulls}) }
}

#[tokio::test]
async fn the_newest_commit_counts_and_the_oldest_are_forgotten() {
    let Fresh { _folder, metadata, .. } = Fresh::new().await;
    for commit in 1..=40 {
        let mut transaction = metadata.begin().await.unwrap();
        statistics::put(&mut transaction, &of("a", commit, commit)).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let mut transaction = metadata.begin().await.unwrap();
    statistics::put(&mut transaction, &of("b", 1, 7)).await.unwrap();
    // An older commit once more, as after a new state of it: the newest stays the newest.
    statistics::put(&mut transaction, &of("a", 39, 0)).await.unwrap();
    transaction.commit().await.unwrap();

    let mut connection = metadata.read().await.unwrap();
    let newest = statistics::newest(&mut connection, &Digest::of("a")).await.unwrap();
    assert_eq!(newest, Some(of("a", 40, 40)));
    assert_eq!(statistics::newest(&mut connection, &Digest::of("b")).await.unwrap(), Some(of("b", 1, 7)));
    assert_eq!(statistics::newest(&mut connection, &Digest::of("c")).await.unwrap(), None);
    let kept: i64 = query_scalar("SELECT COUNT(*) FROM feature_statistics").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 31);
}
