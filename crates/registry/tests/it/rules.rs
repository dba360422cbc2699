//! Approval permits; only an alias move deploys.

use karat_core::ErrorKind;
use karat_registry::{AliasAction, ApprovalRule, Decision, Standing};

use crate::{MODEL, Office, change, decision, failed, name, now, passed, refused};

#[tokio::test]
async fn four_eyes_are_two_people() {
    let office = Office::open().await;
    // Runs are ana's.
    office.train_as("a", ApprovalRule::FourEyes, vec![passed()]).await;
    assert_eq!(office.registry.model(MODEL).await.unwrap().approval, ApprovalRule::FourEyes);
    refused(office.set(1, "champion").await, "is not approved");
    let own = Decision { who: " Ana", ..decision(1) };
    refused(office.registry.approve(own, None, now()).await, "asks for four eyes");
    office.approve(1, Some("champion")).await.unwrap();
    // Who trains may still say that something is wrong with it.
    office.train_as("b", ApprovalRule::FourEyes, vec![passed()]).await;
    office.registry.reject(Decision { who: "ana", ..decision(2) }, now()).await.unwrap();
}

#[tokio::test]
async fn who_was_champion_when_by_whose_decision() {
    let office = Office::open().await;
    office.train("a").await;
    office.train("b").await;
    let at = |day: i64| now().saturating_add_micros(day * 86_400_000_000);
    let champion = name("champion");
    office.registry.approve(decision(1), Some(&champion), at(1)).await.unwrap();
    office.registry.approve(decision(2), None, at(2)).await.unwrap();
    office.registry.set_alias(change(&champion), 2, at(3)).await.unwrap();
    office.registry.rollback(change(&champion), at(5)).await.unwrap();
    office.registry.delete_alias(change(&champion), at(7)).await.unwrap();
    let held = async |day: i64| {
        let held = office.registry.held_at(MODEL, at(day)).await.unwrap();
        held.into_iter().map(|held| (held.version, held.approval.map(|one| one.at))).collect::<Vec<_>>()
    };
    assert_eq!(held(0).await, []);
    assert_eq!(held(2).await, [(1, Some(at(1)))]);
    assert_eq!(held(4).await, [(2, Some(at(2)))]);
    assert_eq!(held(6).await, [(1, Some(at(1)))]);
    assert_eq!(held(8).await, []);
    assert_eq!(office.registry.held_at("nobody", at(8)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn approval_permits_and_only_an_alias_move_deploys() {
    let office = Office::open().await;
    office.train("a").await;
    refused(office.set(1, "champion").await, "requires approval");
    let approved = office.approve(1, None).await.unwrap();
    assert_eq!((approved.standing, approved.aliases.len()), (Standing::Approved, 0));
    assert_eq!(office.champion().await.unwrap_err().kind(), ErrorKind::NotFound, "approval deploys nothing");
    office.set(1, "champion").await.unwrap();
    assert_eq!(office.champion().await.unwrap(), 1);
    assert_eq!(office.audit().await, ["model.register", "model.approve", "alias.set"]);
}

#[tokio::test]
async fn approving_as_champion_does_both_or_nothing() {
    let office = Office::open().await;
    office.train("a").await;
    let before = office.registry.generation().await.unwrap();
    let version = office.approve(1, Some("champion")).await.unwrap();
    assert_eq!(version.aliases, ["champion"]);
    assert!(office.registry.generation().await.unwrap() > before);
    assert_eq!(office.audit().await, ["model.register", "model.approve", "alias.set"]);

    // The alias is refused after the approval was written: nothing of it stays.
    office.train("b").await;
    let error = office.approve(2, Some("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(office.registry.version(MODEL, 2).await.unwrap().standing, Standing::Undecided);
    assert_eq!(office.audit().await, ["model.register", "model.approve", "alias.set", "model.register"]);
}

#[tokio::test]
async fn gates_not_passed_keep_a_version_out() {
    let office = Office::open().await;
    office.train_as("a", ApprovalRule::Required, vec![passed(), failed()]).await;
    refused(office.approve(1, Some("champion")).await, "did not pass its gates: ks >= 0.7 (measured 0.68)");
    office.train_as("b", ApprovalRule::NotRequired, vec![failed()]).await;
    refused(office.set(2, "champion").await, "did not pass its gates");
    // An approval does not outlive gates that fail afterwards.
    office.train_as("c", ApprovalRule::Required, vec![passed()]).await;
    office.approve(3, None).await.unwrap();
    office.train_as("c", ApprovalRule::Required, vec![failed()]).await;
    refused(office.set(3, "champion").await, "did not pass its gates");
}

#[tokio::test]
async fn where_approval_is_not_required_the_alias_moves_without_unless_rejected() {
    let office = Office::open().await;
    office.train_as("a", ApprovalRule::NotRequired, vec![]).await;
    office.train_as("b", ApprovalRule::NotRequired, vec![]).await;
    office.set(1, "champion").await.unwrap();
    assert_eq!(office.registry.reject(decision(2), now()).await.unwrap().standing, Standing::Rejected);
    refused(office.set(2, "champion").await, "was rejected");
    office.approve(2, Some("champion")).await.unwrap();
    assert_eq!(office.champion().await.unwrap(), 2);
}

#[tokio::test]
async fn what_serves_cannot_be_rejected() {
    let office = Office::open().await;
    office.train("a").await;
    office.approve(1, Some("champion")).await.unwrap();
    refused(office.registry.reject(decision(1), now()).await, "credit_default/1 is `champion`");
    assert_eq!(office.registry.version(MODEL, 1).await.unwrap().standing, Standing::Approved);
}

#[tokio::test]
async fn rollbacks_go_back_through_the_holders() {
    let office = Office::open().await;
    for (version, files) in [(1, "a"), (2, "b"), (3, "c")] {
        office.train(files).await;
        office.approve(version, Some("champion")).await.unwrap();
    }
    assert_eq!(office.rollback().await.unwrap().version, 2);
    assert_eq!(office.rollback().await.unwrap().version, 1);
    refused(office.rollback().await, "no holder before");
    assert_eq!(office.champion().await.unwrap(), 1);
    office.set(3, "champion").await.unwrap();
    assert_eq!(office.rollback().await.unwrap().version, 1);

    let moves = office.registry.alias_moves(MODEL, "champion").await.unwrap();
    let told: Vec<_> = moves.iter().map(|step| (step.action, step.version)).collect();
    use AliasAction::*;
    assert_eq!(
        told,
        [
            (Set, Some(1)),
            (Set, Some(2)),
            (Set, Some(3)),
            (Rollback, Some(2)),
            (Rollback, Some(1)),
            (Set, Some(3)),
            (Rollback, Some(1))
        ]
    );
}

#[tokio::test]
async fn a_rollback_deploys_nothing_that_was_rejected_since() {
    let office = Office::open().await;
    for (version, files) in [(1, "a"), (2, "b")] {
        office.train(files).await;
        office.approve(version, Some("champion")).await.unwrap();
    }
    office.registry.reject(decision(1), now()).await.unwrap();
    refused(office.rollback().await, "credit_default/1 was rejected");
    assert_eq!(office.champion().await.unwrap(), 2);
}

#[tokio::test]
async fn a_deleted_alias_can_be_rolled_back() {
    let office = Office::open().await;
    office.train("a").await;
    office.approve(1, Some("champion")).await.unwrap();
    let champion = name("champion");
    office.registry.delete_alias(change(&champion), now()).await.unwrap();
    assert_eq!(office.champion().await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = office.registry.delete_alias(change(&champion), now()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(office.rollback().await.unwrap().version, 1);
    let expected = ["model.register", "model.approve", "alias.set", "alias.delete", "alias.rollback"];
    assert_eq!(office.audit().await, expected);
}

#[tokio::test]
async fn moving_an_alias_where_it_is_changes_nothing() {
    let office = Office::open().await;
    office.train("a").await;
    office.approve(1, Some("champion")).await.unwrap();
    let generation = office.registry.generation().await.unwrap();
    office.set(1, "champion").await.unwrap();
    assert_eq!(office.registry.generation().await.unwrap(), generation);
    assert_eq!(office.registry.alias_moves(MODEL, "champion").await.unwrap().len(), 1);
}

#[tokio::test]
async fn decisions_have_an_author_and_aliases_have_names() {
    let office = Office::open().await;
    office.train("a").await;
    let nobody = Decision { who: " ", ..decision(1) };
    assert_eq!(office.registry.approve(nobody, None, now()).await.unwrap_err().kind(), ErrorKind::Invalid);
    office.approve(1, None).await.unwrap();
    for reserved in ["latest", "v1", "v42"] {
        assert_eq!(office.set(1, reserved).await.unwrap_err().kind(), ErrorKind::Invalid, "{reserved}");
    }
    office.set(1, "vip").await.unwrap();
    assert_eq!(office.approve(7, None).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn movers_at_once_leave_one_holder_and_a_whole_history() {
    let office = Office::open().await;
    for (version, files) in [(1, "a"), (2, "b")] {
        office.train(files).await;
        office.approve(version, None).await.unwrap();
    }
    let movers: Vec<_> = (0..8)
        .map(|mover| {
            let registry = office.registry.clone();
            tokio::spawn(async move {
                let alias = name("champion");
                for _ in 0..5 {
                    registry.set_alias(change(&alias), mover % 2 + 1, now()).await.unwrap();
                }
            })
        })
        .collect();
    for mover in movers {
        mover.await.unwrap();
    }
    let moves = office.registry.alias_moves(MODEL, "champion").await.unwrap();
    assert_eq!(moves.last().unwrap().version, Some(office.champion().await.unwrap()));
    assert!(moves.windows(2).all(|pair| pair[0].version != pair[1].version), "every move moved");
    assert_eq!(office.audit().await.iter().filter(|action| *action == "alias.set").count(), moves.len());
}
