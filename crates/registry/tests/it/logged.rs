//! Models as MLflow 3 logs them.

use std::collections::BTreeMap;

use karat_core::ErrorKind;
use karat_registry::{
    Batch, LoggedModelSearch, LoggedModelStatus, Metric, ModelMetric, NewExperiment, NewLoggedModel, NewRun,
};

use crate::{Office, now};

fn words(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

#[tokio::test]
async fn a_logged_model_is_made_measured_found_and_deleted() {
    let office = Office::open().await;
    let registry = &office.registry;
    let new = NewExperiment { name: "one".into(), artifact_location: None, tags: BTreeMap::new() };
    let experiment_id = registry.create_experiment(&new, now()).await.unwrap();
    let new = NewRun { experiment_id, name: "a".into(), user: String::new(), start_time_ms: 1, tags: BTreeMap::new() };
    let run_id = registry.create_run(&new).await.unwrap().run_id.to_string();
    let mut made = Vec::new();
    for (name, depth) in [("small", "2"), ("large", "9"), ("plain", "2")] {
        let new = NewLoggedModel {
            experiment_id,
            name: name.into(),
            model_type: "agent".into(),
            source_run_id: run_id.clone(),
            params: words(&[("depth", depth)]),
            tags: words(&[("team", name)]),
        };
        made.push(registry.create_logged_model(&new, now()).await.unwrap());
    }
    let [small, large, plain] = made.as_slice() else { panic!() };
    assert_eq!(
        small.artifact_location,
        format!("mlflow-artifacts:/{experiment_id}/models/{}/artifacts", small.model_id)
    );
    assert_eq!(small.status, LoggedModelStatus::Pending);

    let measured = |model_id: &str, value: f64, step: i64| ModelMetric {
        model_id: model_id.into(),
        run_id: String::new(),
        metric: Metric { key: "rmse".into(), value, timestamp_ms: 5, step },
        dataset_name: "loans".into(),
        dataset_digest: String::new(),
    };
    let values = vec![
        measured(&small.model_id, 9.0, 0),
        measured(&small.model_id, 0.25, 1),
        measured(&large.model_id, 0.5, 0),
        measured(&large.model_id, 7.0, 0),
    ];
    registry.log_batch(&run_id, Batch { model_metrics: values, ..Batch::default() }).await.unwrap();
    let missing = Batch { model_metrics: vec![measured("m-none", 1.0, 0)], ..Batch::default() };
    assert_eq!(registry.log_batch(&run_id, missing.clone()).await.unwrap_err().kind(), ErrorKind::NotFound);

    let ready = registry.finalize_logged_model(&small.model_id, LoggedModelStatus::Ready, now()).await.unwrap();
    assert_eq!((ready.status, ready.metrics.len()), (LoggedModelStatus::Ready, 2));
    assert_eq!(ready.metrics[0].run_id, run_id);
    // A value under a time and step that is there stays as it is.
    let kept = registry.logged_model(&large.model_id, false).await.unwrap();
    assert_eq!(kept.metrics.iter().map(|one| one.metric.value).collect::<Vec<_>>(), [0.5]);

    let found = async |filter: &str, order: &[&str]| {
        let order_by = order.iter().map(|one| one.to_string()).collect();
        let asked = LoggedModelSearch {
            experiment_ids: vec![experiment_id],
            filter: filter.into(),
            order_by,
            most: 2,
            page_token: None,
        };
        let mut names = Vec::new();
        let mut asked = asked;
        loop {
            let page = registry.search_logged_models(&asked).await.unwrap();
            names.extend(page.items.into_iter().map(|model| model.name));
            match page.next {
                Some(next) => asked.page_token = Some(next),
                None => return names,
            }
        }
    };
    assert_eq!(found("", &["metrics.rmse"]).await, ["small", "large", "plain"]);
    assert_eq!(found("", &["metrics.rmse DESC"]).await, ["large", "small", "plain"]);
    assert_eq!(found("params.depth = '2'", &["name"]).await, ["plain", "small"]);
    assert_eq!(found("metrics.rmse < 1 AND tags.team LIKE 's%'", &[]).await, ["small"]);
    assert_eq!(found("name IN ('plain', 'large') AND status = 'PENDING'", &["name DESC"]).await, ["plain", "large"]);
    assert_eq!(found("creation_timestamp > 0 AND model_type != 'agent'", &[]).await, [""; 0]);

    registry.tag_logged_model(&plain.model_id, &words(&[("a", "1"), ("team", "b")])).await.unwrap();
    registry.untag_logged_model(&plain.model_id, "a").await.unwrap();
    assert_eq!(registry.untag_logged_model(&plain.model_id, "a").await.unwrap_err().kind(), ErrorKind::NotFound);
    registry.log_model_params(&plain.model_id, &words(&[("depth", "2"), ("width", "3")])).await.unwrap();
    let changed = registry.log_model_params(&plain.model_id, &words(&[("depth", "3")])).await.unwrap_err();
    assert_eq!(changed.kind(), ErrorKind::Invalid);
    registry.delete_logged_model(&plain.model_id, now()).await.unwrap();
    assert_eq!(registry.logged_model(&plain.model_id, false).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(registry.logged_model(&plain.model_id, true).await.unwrap().tags, words(&[("team", "b")]));
    assert_eq!(found("", &["name"]).await, ["large", "small"]);
}
