use std::time::Duration;

use karat_metadata::{Metadata, audit, generations, query};

use crate::{Fresh, append};

/// Reads, waits, writes: loses updates unless writers exclude one another.
async fn read_modify_write(metadata: &Metadata) {
    let mut tx = metadata.begin().await.unwrap();
    let before = generations::read(&mut tx, "counter").await.unwrap();
    tokio::task::yield_now().await;
    query("INSERT INTO generations (name, value) VALUES ('counter', $1) ON CONFLICT (name) DO UPDATE SET value = $1")
        .bind(before as i64 + 1)
        .execute(&mut tx)
        .await
        .unwrap();
    append(&mut tx, "counter").await;
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_lose_no_update() {
    const EACH: u64 = 25;
    let fresh = Fresh::new().await;
    let mut writers = Vec::new();
    for writer in 0..8 {
        // Half of them share a handle, the others have their own connections, as other processes would.
        let metadata = if writer % 2 == 0 { fresh.metadata.clone() } else { fresh.another_process().await };
        writers.push(tokio::spawn(async move {
            for _ in 0..EACH {
                read_modify_write(&metadata).await;
                metadata.generation("counter").await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(fresh.metadata.generation("counter").await.unwrap(), 8 * EACH);
    let mut reader = fresh.metadata.read().await.unwrap();
    let verdict = audit::verify(&mut reader, &audit::Head::genesis()).await.unwrap();
    assert!(matches!(verdict, audit::Verdict::Intact { head } if head.id == 8 * EACH as i64));
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    generations::bump(&mut tx, "things").await.unwrap();
    append(&mut tx, "things").await;
    assert_eq!(generations::read(&mut tx, "things").await.unwrap(), 1);
    // Others see nothing of it before the commit, and never wait for it.
    assert_eq!(fresh.metadata.generation("things").await.unwrap(), 0);
    drop(tx);
    let mut tx = fresh.metadata.begin().await.unwrap();
    assert_eq!(generations::read(&mut tx, "things").await.unwrap(), 0);
    assert_eq!(audit::head(&mut tx).await.unwrap(), audit::Head::genesis());
}

#[tokio::test]
async fn a_cancelled_writer_holds_nobody_up() {
    let fresh = Fresh::new().await;
    let other = fresh.another_process().await;
    let holder = fresh.metadata.begin().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(50), other.begin()).await;
    assert!(waiting.is_err(), "there is one writer at a time");
    drop(holder);
    for metadata in [&other, &fresh.metadata, &other] {
        let mut tx = metadata.begin().await.unwrap();
        generations::bump(&mut tx, "things").await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(fresh.metadata.generation("things").await.unwrap(), 3);
}
