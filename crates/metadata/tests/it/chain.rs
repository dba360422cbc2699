use karat_metadata::Dialect;
use karat_metadata::audit::{self, Breach, Filter, Head, Verdict};

use crate::{Fresh, append};

async fn five_entries() -> (Fresh, Head) {
    let fresh = Fresh::new().await;
    for name in ["one", "two", "three", "four", "five"] {
        let mut tx = fresh.metadata.begin().await.unwrap();
        append(&mut tx, name).await;
        tx.commit().await.unwrap();
    }
    let head = audit::head(&mut fresh.metadata.read().await.unwrap()).await.unwrap();
    (fresh, head)
}

/// What verification says after somebody with a database tool ran `statements`, all taken back afterwards.
async fn verdict_after(fresh: &Fresh, kept: &Head, statements: &str) -> Verdict {
    let mut tx = fresh.metadata.begin().await.unwrap();
    tx.script(statements.to_owned()).await.unwrap();
    audit::verify(&mut tx, kept).await.unwrap()
}

#[tokio::test]
async fn every_way_of_tampering_is_found() {
    let (fresh, head) = five_entries().await;
    assert_eq!(verdict_after(&fresh, &head, "SELECT 1").await, Verdict::Intact { head: head.clone() });
    let broken = |id, breach| Verdict::Broken { id, breach };
    let cases = [
        ("UPDATE audit_entries SET at = at + 1 WHERE id = 3", broken(3, Breach::Altered)),
        ("UPDATE audit_entries SET actor = 'eve' WHERE id = 1", broken(1, Breach::Altered)),
        ("UPDATE audit_entries SET action = 'x' WHERE id = 5", broken(5, Breach::Altered)),
        ("UPDATE audit_entries SET subject_kind = 'x' WHERE id = 2", broken(2, Breach::Altered)),
        ("UPDATE audit_entries SET subject_name = 'x' WHERE id = 2", broken(2, Breach::Altered)),
        ("UPDATE audit_entries SET subject_version = NULL WHERE id = 2", broken(2, Breach::Altered)),
        ("UPDATE audit_entries SET details = '{}' WHERE id = 2", broken(2, Breach::Altered)),
        ("UPDATE audit_entries SET previous = hash WHERE id = 2", broken(2, Breach::Altered)),
        ("UPDATE audit_entries SET hash = 'x' WHERE id = 2", broken(2, Breach::Altered)),
        ("DELETE FROM audit_entries WHERE id = 1", broken(1, Breach::Missing)),
        ("DELETE FROM audit_entries WHERE id = 3", broken(3, Breach::Missing)),
        ("DELETE FROM audit_entries WHERE id = 5", broken(5, Breach::Missing)),
        ("DELETE FROM audit_entries", broken(1, Breach::Missing)),
        (
            "UPDATE audit_entries SET id = 9 WHERE id = 2; UPDATE audit_entries SET id = 2 WHERE id = 3; \
             UPDATE audit_entries SET id = 3 WHERE id = 9",
            broken(2, Breach::Altered),
        ),
        ("UPDATE audit_entries SET id = 0 WHERE id = 5", broken(1, Breach::Unlinked)),
    ];
    for (statements, expected) in cases {
        assert_eq!(verdict_after(&fresh, &head, statements).await, expected, "{statements}");
    }
    // Columns of PostgreSQL keep their types.
    if fresh.metadata.dialect() == Dialect::Sqlite {
        let word = "UPDATE audit_entries SET at = 'noon' WHERE id = 3";
        assert_eq!(verdict_after(&fresh, &head, word).await, broken(3, Breach::Altered));
    }
    // What is cut off the end shows against a kept head only.
    let cut = "DELETE FROM audit_entries WHERE id = 5";
    assert!(matches!(verdict_after(&fresh, &Head::genesis(), cut).await, Verdict::Intact { head } if head.id == 4));
}

#[tokio::test]
async fn a_kept_head_holds_while_the_chain_grows() {
    let (fresh, kept) = five_entries().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    let newest = append(&mut tx, "six").await;
    tx.commit().await.unwrap();
    let mut reader = fresh.metadata.read().await.unwrap();
    let head = Head { id: 6, hash: newest.hash };
    assert_eq!(audit::verify(&mut reader, &kept).await.unwrap(), Verdict::Intact { head });
}

#[tokio::test]
async fn chains_longer_than_a_page_are_walked_to_the_end() {
    let fresh = Fresh::new().await;
    let mut tx = fresh.metadata.begin().await.unwrap();
    for index in 0..2_001 {
        append(&mut tx, &index.to_string()).await;
    }
    tx.commit().await.unwrap();
    let verdict = verdict_after(&fresh, &Head::genesis(), "SELECT 1").await;
    assert!(matches!(verdict, Verdict::Intact { head } if head.id == 2_001));
    let verdict = verdict_after(&fresh, &Head::genesis(), "UPDATE audit_entries SET at = 0 WHERE id = 2001").await;
    assert_eq!(verdict, Verdict::Broken { id: 2_001, breach: Breach::Altered });
}

#[tokio::test]
async fn lists_are_newest_first_and_narrowed() {
    let (fresh, _) = five_entries().await;
    let mut reader = fresh.metadata.read().await.unwrap();
    let all = audit::list(&mut reader, &Filter::default()).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.id).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    assert_eq!(all[0].details, serde_json::json!({"a": [1, null], "b": 0.1}));
    assert_eq!(all[0].previous, all[1].hash);
    let page = Filter { before: Some(4), limit: Some(2), ..Filter::default() };
    let page = audit::list(&mut reader, &page).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.id).collect::<Vec<_>>(), [3, 2]);
    let two = Filter { subject_name: Some("two".into()), actor: Some("ana".into()), ..Filter::default() };
    assert_eq!(audit::list(&mut reader, &two).await.unwrap().len(), 1);
    let nobody = Filter { actor: Some("eve".into()), ..Filter::default() };
    assert!(audit::list(&mut reader, &nobody).await.unwrap().is_empty());
}
