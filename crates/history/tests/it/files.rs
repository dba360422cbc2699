//! The contract of files that others send, held on a folder and on a bucket; and what only one of the two can do wrong.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use karat_core::ErrorKind;
use karat_history::files::{Announced, Entry, FileStore, FilesError, Found, Opened, Writers, in_bucket, in_folder};
use karat_test_support::s3_server::S3Server;

fn threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn put(store: &dyn FileStore, path: &str, bytes: &[u8]) -> Result<(), FilesError> {
    let announced = Announced { bytes: Some(bytes.len() as u64), ..Announced::default() };
    let mut incoming = store.create(path, announced).await?;
    for piece in bytes.chunks(100_000) {
        incoming.write(piece).await?;
    }
    incoming.finish().await
}

async fn all(opened: Opened) -> Vec<u8> {
    opened.read_all().await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat()
}

async fn get(store: &dyn FileStore, path: &str) -> Vec<u8> {
    all(store.open(path).await.unwrap()).await
}

async fn names(store: &dyn FileStore, folder: &str) -> Vec<String> {
    let name = |Entry { name, found }| match found {
        Found::Folder => format!("{name}/"),
        Found::File { bytes, .. } => format!("{name} {bytes}"),
    };
    store.list(folder).await.unwrap().into_iter().map(name).collect()
}

/// No two bytes of a part are at the same place as in another.
fn long(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 16) as u8).collect()
}

/// Of an empty store.
async fn contract(store: Arc<dyn FileStore>) {
    let store = store.as_ref();
    store.ready().await.unwrap();
    assert_eq!(names(store, "").await, Vec::<String>::new());
    assert!(!store.delete("1").await.unwrap());
    put(store, "1/run/artifacts/a.txt", b"first").await.unwrap();
    put(store, "1/run/artifacts/b/ü (1) 50%.txt", b"").await.unwrap();
    put(store, "1/run2/x", b"other").await.unwrap();
    put(store, "top", b"t").await.unwrap();
    assert_eq!(names(store, "").await, ["1/", "top 1"]);
    assert_eq!(names(store, "1/run/artifacts").await, ["a.txt 5", "b/"]);
    assert_eq!(names(store, "1/run/artifacts/b").await, ["ü (1) 50%.txt 0"]);
    assert_eq!(names(store, "1/ru").await, Vec::<String>::new(), "a beginning of a name is no folder");
    assert_eq!(names(store, "top").await, Vec::<String>::new(), "a file is no folder");
    assert_eq!(get(store, "1/run/artifacts/a.txt").await, b"first");
    assert_eq!(get(store, "1/run/artifacts/b/ü (1) 50%.txt").await, b"");
    assert_eq!(store.find("1/run/artifacts/b").await.unwrap(), Some(Found::Folder));
    assert!(matches!(store.find("top").await.unwrap(), Some(Found::File { bytes: 1, .. })));
    assert_eq!(store.find("1/ru").await.unwrap(), None);
    assert_eq!(store.extent("1/run").await.unwrap(), (2, 5));
    assert_eq!(store.extent("top").await.unwrap(), (1, 1));
    assert_eq!(store.extent("nothing").await.unwrap(), (0, 0));
    assert!(matches!(store.open("1/run").await, Err(FilesError::IsFolder { .. })));
    assert!(matches!(store.open("1/ru").await, Err(FilesError::Missing { .. })));

    put(store, "1/run/artifacts/a.txt", b"second").await.unwrap();
    assert_eq!(get(store, "1/run/artifacts/a.txt").await, b"second");
    large(store).await;
    bad_paths(store).await;

    assert!(store.delete("1/run").await.unwrap());
    assert!(!store.delete("1/run").await.unwrap());
    assert_eq!(names(store, "1").await, ["run2/"], "what begins alike stays");
    assert!(store.delete("top").await.unwrap());
    assert_eq!(store.find("top").await.unwrap(), None);
}

/// Longer than a part of an upload, and read in pieces.
async fn large(store: &dyn FileStore) {
    let bytes = long(11 << 20);
    for announced in [Some(bytes.len() as u64), None] {
        let announced = Announced { bytes: announced, writers: Writers::Alone, ..Announced::default() };
        let mut incoming = store.create("large/bytes.bin", announced).await.unwrap();
        for piece in bytes.chunks(333_333) {
            incoming.write(piece).await.unwrap();
        }
        assert!(!names(store, "large").await.iter().any(|name| name.starts_with('.')));
        incoming.finish().await.unwrap();
        assert_eq!(get(store, "large/bytes.bin").await, bytes);
    }
    for range in [0..0, 0..1, 5_000_000..5_300_000, 11_534_335..11_534_336, 7..11_534_336] {
        let opened = store.open("large/bytes.bin").await.unwrap();
        assert_eq!(opened.bytes, 11 << 20);
        let read = opened.read(range.clone()).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat();
        assert_eq!(read, bytes[range.start as usize..range.end as usize]);
    }
    // Of a file that is given up before it is whole, nothing is there.
    let mut incoming = store.create("large/half.bin", Announced::default()).await.unwrap();
    for piece in bytes.chunks(1 << 20) {
        incoming.write(piece).await.unwrap();
    }
    drop(incoming);
    assert_eq!(names(store, "large").await, ["bytes.bin 11534336"]);
    assert_eq!(store.find("large/half.bin").await.unwrap(), None);
    assert!(store.delete("large").await.unwrap());
}

async fn bad_paths(store: &dyn FileStore) {
    for path in ["..", "../x", "1/../../x", "/etc/passwd", "1//x", "./x", "a\\b", "a\0b", ".staged-x", "1/", "a\nb"] {
        let wrong = |outcome: Result<(), FilesError>| {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid, "{path:?}");
        };
        wrong(put(store, path, b"x").await);
        wrong(store.open(path).await.map(drop));
        wrong(store.find(path).await.map(drop));
        wrong(store.list(path).await.map(drop));
        wrong(store.delete(path).await.map(drop));
        wrong(store.extent(path).await.map(drop));
    }
    assert_eq!(put(store, "", b"x").await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(store.delete("").await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_folder_keeps_files() {
    let dir = tempfile::tempdir().unwrap();
    threads().block_on(contract(in_folder(&dir.path().join("made when it is needed"))));
}

#[test]
fn a_bucket_keeps_files_below_its_prefix() {
    if S3Server::is_told() {
        threads().block_on(async { contract(in_bucket("s3://lake/mlflow/of us").unwrap()).await });
        return;
    }
    let test = "files::a_bucket_keeps_files_below_its_prefix";
    let Some(server) = S3Server::start(test) else { return };
    server.make_bucket("lake");
    // Another's, beside and above the prefix.
    server.put("lake", "mlflow/top", "not ours");
    server.put("lake", "mlflow/of%20us2/top", "not ours");
    server.run_again(test);
    let left = server.keys("lake");
    assert_eq!(left, ["mlflow/of us/1/run2/x", "mlflow/of us2/top", "mlflow/top"], "and no part of what was given up");
}

#[test]
fn a_bucket_says_what_is_wrong_with_it() {
    if S3Server::is_told() {
        threads().block_on(async {
            let nowhere = in_bucket("s3://nowhere/x").unwrap();
            let said = |error: FilesError| {
                assert!(matches!(error, FilesError::NoBucket { .. }), "{error}");
                error.to_string()
            };
            let expected = "s3://nowhere/x: there is no such bucket; make it, or name another";
            assert_eq!(said(nowhere.ready().await.unwrap_err()), expected);
            assert_eq!(said(nowhere.open("a").await.unwrap_err()), expected);
            assert_eq!(said(nowhere.list("a").await.unwrap_err()), expected);
            assert_eq!(said(nowhere.delete("a").await.unwrap_err()), expected);
            assert_eq!(said(put(nowhere.as_ref(), "a", b"x").await.unwrap_err()), expected);
            assert_eq!(said(put(nowhere.as_ref(), "a", &long(6 << 20)).await.unwrap_err()), expected);
            let lake = in_bucket("s3://lake").unwrap();
            put(lake.as_ref(), "a", &long(3 << 20)).await.unwrap();
            let opened = lake.open("a").await.unwrap();
            put(lake.as_ref(), "a", &long(2 << 20)).await.unwrap();
            let changed = opened.read_all().await.map(drop).unwrap_err();
            assert!(
                matches!(changed, FilesError::Refused { .. }),
                "never a part of the one and a part of the other: {changed}"
            );
        });
        return;
    }
    let test = "files::a_bucket_says_what_is_wrong_with_it";
    let Some(server) = S3Server::start(test) else { return };
    server.make_bucket("lake");
    server.run_again(test);
}

#[test]
fn a_bucket_of_others_lets_nobody_in() {
    if S3Server::is_told() {
        threads().block_on(async {
            let lake = in_bucket("s3://lake").unwrap();
            for error in [
                lake.ready().await.unwrap_err(),
                lake.open("a").await.map(drop).unwrap_err(),
                put(lake.as_ref(), "a", b"x").await.unwrap_err(),
            ] {
                let said = error.to_string();
                assert_eq!(error.kind(), ErrorKind::Refused, "{said}");
                assert!(said.contains("are the store's credentials in the environment right?"), "{said}");
                assert!(!said.contains("secret"), "{said}");
            }
        });
        return;
    }
    let test = "files::a_bucket_of_others_lets_nobody_in";
    let Some(server) = S3Server::strict(test) else { return };
    server.make_bucket("lake");
    server.run_again(test);
}

#[test]
fn a_store_that_is_away_is_told_from_one_that_refuses() {
    if S3Server::is_told() {
        threads().block_on(async {
            let lake = in_bucket("s3://lake").unwrap();
            let error = lake.ready().await.unwrap_err();
            assert!(matches!(error, FilesError::Away { .. }), "{error}");
            let error = put(lake.as_ref(), "a", b"x").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        });
        return;
    }
    // Nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    S3Server::run_again_with(
        "files::a_store_that_is_away_is_told_from_one_that_refuses",
        S3Server::variables_of(&format!("http://127.0.0.1:{port}")),
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_followed_within_the_folder_and_never_out_of_it() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    let store = in_folder(&root);
    let store = store.as_ref();
    put(store, "real/a", b"inside").await.unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, root.join("out")).unwrap();
    symlink(outside.join("secret"), root.join("file")).unwrap();
    symlink(root.join("real"), root.join("in")).unwrap();
    symlink(outside.join("not there"), root.join("nothing")).unwrap();
    assert_eq!(names(store, "").await, ["in/", "real/"]);
    assert_eq!(get(store, "in/a").await, b"inside");
    for path in ["out", "out/secret", "file", "out/new"] {
        let leads = |outcome: Result<(), FilesError>| {
            assert!(matches!(outcome, Err(FilesError::LeadsOut { .. })), "{path}: {outcome:?}");
        };
        leads(store.open(path).await.map(drop));
        leads(store.find(path).await.map(drop));
        leads(store.list(path).await.map(drop));
        leads(store.delete(path).await.map(drop));
        leads(store.extent(path).await.map(drop));
        leads(put(store, path, b"x").await);
    }
    assert!(put(store, "nothing/x", b"x").await.is_err());
    put(store, "nothing", b"in the link's place").await.unwrap();
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    // A folder goes with its links, not with what they lead to.
    symlink(&outside, root.join("real/out")).unwrap();
    assert!(store.delete("real").await.unwrap());
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
}

#[tokio::test]
async fn a_folder_is_no_file_and_a_file_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = in_folder(dir.path());
    put(store.as_ref(), "a/b", b"x").await.unwrap();
    for path in ["a", "a/b/c", "a/b/c/d"] {
        let outcome = put(store.as_ref(), path, b"x").await;
        assert!(matches!(outcome, Err(FilesError::Clash { .. })), "{path}: {outcome:?}");
    }
    assert_eq!(names(store.as_ref(), "a").await, ["b 1"], "nothing is left of them");
    // Whoever began to read goes on with what was there; times are kept where they are told.
    let opened = store.open("a/b").await.unwrap();
    let modified = Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let mut incoming = store.create("a/b", Announced { modified, ..Announced::default() }).await.unwrap();
    incoming.write(b"later").await.unwrap();
    incoming.finish().await.unwrap();
    assert_eq!(all(opened).await, b"x");
    assert_eq!(store.find("a/b").await.unwrap(), Some(Found::File { bytes: 5, modified }));
}
