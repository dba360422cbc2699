use std::collections::BTreeMap;

use karat_core::ErrorKind;
use karat_history::{Artifacts, HistoryError};

fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

#[tokio::test]
async fn artifacts_are_kept_listed_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path().join("artifacts")).unwrap();
    let model = files(&[("model.json", "{}"), ("trees.txt", "tree"), ("reports/roc curve (1).svg", "<svg/>")]);
    artifacts.put_all("models/credit/1", &model).await.unwrap();
    artifacts.put("runs/ab/plot.png", vec![1, 2, 3]).await.unwrap();
    artifacts.put("runs/ab/plot.png", vec![4]).await.unwrap();
    assert_eq!(artifacts.get("models/credit/1/trees.txt").await.unwrap(), b"tree");
    assert_eq!(artifacts.get("runs/ab/plot.png").await.unwrap(), [4]);
    let listed = [
        ("models/credit/1/model.json".to_owned(), 2),
        ("models/credit/1/reports/roc curve (1).svg".to_owned(), 6),
        ("models/credit/1/trees.txt".to_owned(), 4),
    ];
    assert_eq!(artifacts.list("models/credit").await.unwrap(), listed);
    assert_eq!(artifacts.list("models/cred").await.unwrap(), []);
    assert_eq!(artifacts.list("").await.unwrap().len(), 4);
    assert!(artifacts.exists("models/credit/1/model.json").await.unwrap());
    assert!(!artifacts.exists("models/credit/2/model.json").await.unwrap());
    let error = artifacts.get("models/credit/2/model.json").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(artifacts.local_path("runs/ab/plot.png").unwrap().is_file());
    artifacts.delete("models/credit").await.unwrap();
    artifacts.delete("runs/ab/plot.png").await.unwrap();
    artifacts.delete("never/there").await.unwrap();
    assert_eq!(artifacts.list("").await.unwrap(), []);
}

#[tokio::test]
async fn a_prefix_is_written_once_and_the_same_again_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    let first = files(&[("a", "1"), ("b/c", "2")]);
    artifacts.put_all("x/1", &first).await.unwrap();
    artifacts.put_all("x/1", &first).await.unwrap();
    for other in
        [files(&[("a", "1")]), files(&[("a", "1"), ("b/c", "3")]), files(&[("a", "1"), ("b/c", "2"), ("d", "")])]
    {
        let error = artifacts.put_all("x/1", &other).await.unwrap_err();
        assert!(matches!(error, HistoryError::ArtifactsExist { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    assert_eq!(artifacts.get("x/1/b/c").await.unwrap(), b"2");
    assert_eq!(artifacts.list("").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_put_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    // `a` would have to be a file and a folder.
    let impossible = files(&[("a", "1"), ("a/b", "2")]);
    let error = artifacts.put_all("x/1", &impossible).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(artifacts.put_all("file/1", &files(&[("a", "1")])).await.is_err());
    for bad in ["../x", "/x", "x/../../y", ""] {
        assert_eq!(artifacts.put_all(bad, &files(&[("a", "1")])).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(artifacts.put_all("x", &files(&[(bad, "1")])).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(artifacts.get(bad).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(artifacts.list("").await.unwrap(), [("file".to_owned(), 0)]);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["file"]);
}
