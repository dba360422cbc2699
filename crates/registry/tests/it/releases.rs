use karat_core::{Digest, ErrorKind};
use karat_registry::{ReleaseDraft, What};
use serde_json::{Value, json};

use crate::{Office, now};

fn draft(content: Value) -> ReleaseDraft {
    ReleaseDraft { digest: Digest::of_json(&content), content }
}

#[tokio::test]
async fn releases_are_numbered_and_only_differences_make_one() {
    let office = Office::open().await;
    let registry = &office.registry;
    assert_eq!(registry.current_release().await.unwrap(), None);
    let one = draft(json!({"project": {"name": "credit"}, "resources": {"Source": {"loans": {"keys": ["id"]}}}}));
    let two =
        draft(json!({"project": {"name": "credit"}, "resources": {"Source": {"loans": {"keys": ["id", "month"]}}}}));

    let first = registry.record_release(&one, "ana", now()).await.unwrap();
    assert_eq!((first.number, first.summary.len()), (1, 2));
    let generation = registry.generation().await.unwrap();
    let again = registry.record_release(&one, "eve", now()).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(registry.generation().await.unwrap(), generation, "nothing happened");

    let second = registry.record_release(&two, "ana", now()).await.unwrap();
    assert_eq!(second.number, 2);
    assert_eq!(second.summary.len(), 1);
    assert_eq!((second.summary[0].what, second.summary[0].name.as_str()), (What::Changed, "loans"));
    assert_eq!(second.summary[0].fields, ["keys"]);
    assert!(registry.generation().await.unwrap() > generation);

    // Going back is a release of its own.
    let third = registry.record_release(&one, "ana", now()).await.unwrap();
    assert_eq!((third.number, &third.digest), (3, &first.digest));

    let office = office.reopen().await;
    let registry = &office.registry;
    assert_eq!(registry.current_release().await.unwrap(), Some(third));
    assert_eq!(registry.release(2).await.unwrap(), second);
    assert_eq!(registry.releases(2).await.unwrap().iter().map(|r| r.number).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(registry.release(9).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(office.audit().await, ["release.record"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appliers_at_once_make_one_release() {
    let office = Office::open().await;
    let draft = draft(json!({"project": {"name": "credit"}}));
    let appliers: Vec<_> = (0..4)
        .map(|_| {
            let (registry, draft) = (office.registry.clone(), draft.clone());
            tokio::spawn(async move { registry.record_release(&draft, "ana", now()).await.unwrap().number })
        })
        .collect();
    for applier in appliers {
        assert_eq!(applier.await.unwrap(), 1);
    }
}
