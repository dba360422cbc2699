use std::fs;

use karat_core::ErrorKind;
use karat_history::HistoryError;

use crate::world::{World, columns, loans, note, read_ids, rows};

const PART: &str = "loans/commit-000001/part-000.parquet";

#[tokio::test]
async fn every_kind_of_damage_is_told_with_the_part() {
    let world = World::new().await;
    world.commit(0, 2000).await;
    let path = world.file(PART);
    let whole = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let mut longer = whole.clone();
    longer.push(0);
    // Flips that Parquet would not notice are among these.
    let mut damaged: Vec<Vec<u8>> = (0..whole.len()).step_by(whole.len() / 150).map(flipped).collect();
    damaged.extend([whole[..100].to_vec(), longer, vec![]]);
    for bytes in damaged {
        fs::write(&path, bytes).unwrap();
        let snapshot = world.again().snapshot(&loans(), None).await.unwrap().unwrap();
        let error = read_ids(&snapshot, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(PART), "{error}");
        // The other partition is unharmed.
        assert_eq!(read_ids(&snapshot, Some(1)).await.unwrap().len(), 1000);
    }
    fs::remove_file(&path).unwrap();
    let error = read_ids(&world.snapshot().await, None).await.unwrap_err();
    assert!(error.to_string().contains("missing") && error.to_string().contains(PART), "{error}");
    fs::write(&path, &whole).unwrap();
    world.snapshot().await.verify().await.unwrap();
    fs::write(&path, flipped(7)).unwrap();
    assert_eq!(world.snapshot().await.verify().await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_stream_ends_after_its_error() {
    use futures::StreamExt;
    let world = World::new().await;
    world.commit(0, 10).await;
    fs::remove_file(world.file(PART)).unwrap();
    let items: Vec<_> = world.snapshot().await.stream(&columns(), &karat_core::hidden::ALL, None).collect().await;
    assert_eq!(items.len(), 1, "part 1 must not follow what part 0 lacks");
    assert!(items[0].is_err());
}

#[tokio::test]
async fn what_an_unfinished_writer_left_is_swept_by_the_next() {
    let world = World::new().await;
    world.commit(0, 4).await;
    let mut abandoned = world.writer().await;
    for _ in 0..8 {
        abandoned.write(0, &rows(&(0..50_000).collect::<Vec<_>>(), 2)).await.unwrap();
    }
    drop(abandoned);
    // As if it had been killed after some of its parts got their names, or amid one.
    let folder = world.file("loans/commit-000002");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("part-001.parquet"), "orphan").unwrap();
    fs::write(folder.join("part-000.parquet#1"), "staged").unwrap();
    assert_eq!(read_ids(&world.snapshot().await, None).await.unwrap(), [0, 2, 1, 3]);
    let writer = world.writer().await;
    assert_eq!(writer.number(), 2);
    assert!(!folder.exists());
    drop(writer);
    world.commit(4, 6).await;
    assert_eq!(read_ids(&world.snapshot().await, None).await.unwrap(), [0, 2, 1, 3, 4, 5]);
}

#[tokio::test]
async fn histories_are_of_one_metadata_database() {
    let world = World::new().await;
    let open = async |name: &str| {
        let uri = format!("sqlite://{}/{name}.db", world.dir.path().display());
        let metadata = karat_metadata::Metadata::open(&uri).await.unwrap();
        karat_history::History::open(world.dir.path().join("history"), metadata).unwrap()
    };
    let other = open("other").await;
    // As long as there is nothing, whoever comes.
    other.claim().await.unwrap();
    world.history.claim().await.unwrap();
    world.commit(0, 4).await;
    world.again().claim().await.unwrap();
    for history in [other, open("new").await] {
        let error = history.claim().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("belong to another metadata database"), "{error}");
    }
    // A Karat that left no note is no stranger, and who knows none of its commits is.
    std::fs::remove_file(world.file("metadata.id")).unwrap();
    let error = open("new").await.claim().await.unwrap_err();
    assert!(error.to_string().contains("belong to another metadata database"), "{error}");
    world.history.claim().await.unwrap();
    assert_eq!(read_ids(&world.snapshot().await, None).await.unwrap().len(), 4);
}

#[tokio::test]
async fn nothing_is_swept_under_a_metadata_database_that_lacks_commits() {
    let world = World::new().await;
    world.commit(0, 4).await;
    world.commit(4, 6).await;
    let uri = format!("sqlite://{}/other.db", world.dir.path().display());
    let other = karat_metadata::Metadata::open(&uri).await.unwrap();
    let history = karat_history::History::open(world.dir.path().join("history"), other).unwrap();
    let error = history.writer(&loans(), &columns()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("metadata database knows none"), "{error}");
    assert_eq!(read_ids(&world.snapshot().await, None).await.unwrap().len(), 6);
}

#[tokio::test]
async fn one_writer_at_a_time_and_the_error_names_it() {
    let world = World::new().await;
    let writer = world.writer().await;
    let error = world.again().writer(&loans(), &columns()).await.unwrap_err();
    assert!(matches!(error, HistoryError::Locked { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    let other = karat_core::Name::new("credit").unwrap();
    world.history.writer(&other, &columns()).await.unwrap();
    writer.commit(note()).await.unwrap();
    world.writer().await;
}

#[tokio::test]
async fn a_disk_that_refuses_is_an_error_and_commits_nothing() {
    let world = World::new().await;
    let mut writer = world.writer().await;
    writer.write(0, &rows(&[0, 2], 1)).await.unwrap();
    // Where the commit's folder should be, there is a file.
    fs::write(world.file("loans/commit-000001"), "in the way").unwrap();
    let error = writer.commit(note()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(PART), "{error}");
    assert!(world.history.snapshot(&loans(), None).await.unwrap().is_none());
    fs::remove_file(world.file("loans/commit-000001")).unwrap();
    world.commit(0, 4).await;
}
