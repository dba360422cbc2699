use std::collections::BTreeMap;

use karat_core::{ErrorKind, Instant, RunId};
use karat_registry::{DatasetInput, Metric, RunDraft, RunFilter, RunStatus};

use crate::{Office, now};

fn metric(key: &str, value: f64, timestamp_ms: i64, step: i64) -> Metric {
    Metric { key: key.into(), value, timestamp_ms, step }
}

fn words(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn dataset(context: &str) -> DatasetInput {
    DatasetInput {
        name: "loans".into(),
        digest: "ab12".into(),
        source_type: "karat".into(),
        source: "{\"commit\": 1}".into(),
        schema: "{}".into(),
        profile: "{\"rows\": 777715}".into(),
        context: context.into(),
        tags: BTreeMap::new(),
    }
}

#[tokio::test]
async fn experiments_are_made_once() {
    let office = Office::open().await;
    let registry = &office.registry;
    let first = registry.get_or_create_experiment("credit", now()).await.unwrap();
    let again = registry.get_or_create_experiment("credit", now()).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(first.creation_time_ms, 1_633_089_600_123);
    registry.get_or_create_experiment("other", now()).await.unwrap();
    let later = Instant::from_micros(now().micros() + 1_000_000);
    registry.tag_experiment(first.id, &words(&[("team", "risk")]), later).await.unwrap();
    registry.tag_experiment(first.id, &words(&[("team", "cards"), ("x", "y")]), later).await.unwrap();
    let tagged = registry.experiment("credit").await.unwrap();
    assert_eq!(tagged.tags, words(&[("team", "cards"), ("x", "y")]));
    assert_eq!(tagged.last_update_time_ms, first.last_update_time_ms + 1_000);
    assert_eq!(registry.experiments().await.unwrap().len(), 2);
    let error = registry.experiment("credti").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no experiment `credti`; did you mean `credit`?");
    assert!(registry.get_or_create_experiment(" ", now()).await.is_err());
}

#[tokio::test]
async fn a_run_remembers_everything() {
    let office = Office::open().await;
    let id = office.run().await;
    let registry = &office.registry;
    registry.log_params(&id, &words(&[("rounds", "2000"), ("seed", "7")])).await.unwrap();
    registry.log_tags(&id, &words(&[("git", "abc")])).await.unwrap();
    registry.log_tags(&id, &words(&[("git", "def")])).await.unwrap();
    registry.log_inputs(&id, &[dataset("training"), dataset("test")]).await.unwrap();
    registry.log_inputs(&id, &[dataset("training")]).await.unwrap();
    registry.log_metrics(&id, &[metric("auc", 0.93, 5, 0)]).await.unwrap();
    registry.finish_run(&id, RunStatus::Finished, Instant::from_micros(2_000_999)).await.unwrap();

    let office = office.reopen().await;
    let run = office.registry.run(id.as_str()).await.unwrap();
    assert_eq!(run.status, RunStatus::Finished);
    assert_eq!(run.end_time_ms, Some(2_000));
    assert_eq!(run.params, words(&[("rounds", "2000"), ("seed", "7")]));
    assert_eq!(run.tags, words(&[("git", "def")]));
    assert_eq!(run.measures(), BTreeMap::from([("auc".to_owned(), 0.93)]));
    let mut inputs = run.inputs.clone();
    inputs.sort_by(|a, b| a.context.cmp(&b.context));
    assert_eq!(inputs, [dataset("test"), dataset("training")]);
    // The second run of the experiment shares the data set.
    let other = office.run().await;
    office.registry.log_inputs(&other, &[dataset("training")]).await.unwrap();
    let datasets: i64 = karat_metadata::query_scalar("SELECT COUNT(*) FROM datasets")
        .fetch_one(&mut office.registry.metadata().read().await.unwrap())
        .await
        .unwrap();
    assert_eq!(datasets, 1);
}

#[tokio::test]
async fn metrics_keep_their_history_and_their_latest() {
    let office = Office::open().await;
    let id = office.run().await;
    let registry = &office.registry;
    // More than one INSERT holds, with every special number, out of order, and two batches.
    let curve: Vec<Metric> = (0..1_203).rev().map(|step| metric("loss", 1.0 / (step + 1) as f64, 10, step)).collect();
    registry.log_metrics(&id, &curve).await.unwrap();
    registry.log_metrics(&id, &curve[..7]).await.unwrap();
    registry
        .log_metrics(&id, &[metric("auc", 0.5, 9, 1), metric("auc", 0.6, 8, 2), metric("auc", 0.4, 8, 2)])
        .await
        .unwrap();
    registry.log_metrics(&id, &[metric("auc", 0.9, 99, 1)]).await.unwrap();
    registry.log_metrics(&id, &[metric("nan", f64::NAN, 1, 0), metric("inf", f64::NEG_INFINITY, 1, 0)]).await.unwrap();

    let run = registry.run(id.as_str()).await.unwrap();
    let latest = |key: &str| run.metrics.iter().find(|metric| metric.key == key).unwrap();
    assert_eq!(latest("loss"), &curve[0]);
    assert_eq!(latest("auc"), &metric("auc", 0.6, 8, 2));
    assert!(latest("nan").value.is_nan());
    assert_eq!(latest("inf").value, f64::NEG_INFINITY);
    assert_eq!(run.metrics.iter().map(|m| m.key.as_str()).collect::<Vec<_>>(), ["auc", "inf", "loss", "nan"]);
    let json = serde_json::to_value(&run).unwrap();
    assert_eq!(json["metrics"][1]["value"], "-Infinity");
    assert_eq!(json["metrics"][3]["value"], "NaN");

    let history = registry.metric_history(&id, "loss").await.unwrap();
    assert_eq!(history.iter().rev().cloned().collect::<Vec<_>>(), curve);
    let auc: Vec<f64> = registry.metric_history(&id, "auc").await.unwrap().iter().map(|m| m.value).collect();
    assert_eq!(auc, [0.4, 0.6, 0.5, 0.9]);
    assert!(registry.metric_history(&id, "nothing").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_param_is_written_once() {
    let office = Office::open().await;
    let id = office.run().await;
    let registry = &office.registry;
    registry.log_params(&id, &words(&[("rounds", "10")])).await.unwrap();
    registry.log_params(&id, &words(&[("rounds", "10")])).await.unwrap();
    let error = registry.log_params(&id, &words(&[("a", "1"), ("rounds", "20")])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("`rounds`"), "{error}");
    assert_eq!(registry.run(id.as_str()).await.unwrap().params, words(&[("rounds", "10")]));
}

#[tokio::test]
async fn runs_are_found_by_the_beginning_of_their_id() {
    let office = Office::open().await;
    let experiment = office.registry.get_or_create_experiment("credit", now()).await.unwrap();
    let other = office.registry.get_or_create_experiment("other", now()).await.unwrap();
    for (hour, (digits, experiment_id)) in
        [("aa", experiment.id), ("ab", experiment.id), ("b0", other.id)].into_iter().enumerate()
    {
        let draft = RunDraft {
            run_id: RunId::parse(&digits.repeat(16)).unwrap(),
            experiment_id,
            name: digits.into(),
            user: "ana".into(),
            artifact_uri: "a".into(),
            start: Instant::from_micros(hour as i64 * 3_600_000_000),
            tags: words(&[("t", digits)]),
        };
        office.registry.start_run(&draft).await.unwrap();
        assert_eq!(office.registry.start_run(&draft).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    let registry = &office.registry;
    assert_eq!(registry.run("b").await.unwrap().name, "b0");
    assert_eq!(registry.run("AAA").await.unwrap().name, "aa");
    let error = registry.run("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("several runs"), "{error}");
    assert_eq!(registry.run("c").await.unwrap_err().kind(), ErrorKind::NotFound);
    for bad in ["", "x", "%", &"a".repeat(33)] {
        assert_eq!(registry.run(bad).await.unwrap_err().kind(), ErrorKind::Invalid, "{bad}");
    }

    let names = async |filter: RunFilter| -> Vec<String> {
        registry.runs(&filter).await.unwrap().into_iter().map(|run| format!("{}{}", run.name, run.tags["t"])).collect()
    };
    assert_eq!(names(RunFilter::default()).await, ["b0b0", "abab", "aaaa"]);
    assert_eq!(names(RunFilter { experiment_id: Some(experiment.id), ..RunFilter::default() }).await, ["abab", "aaaa"]);
    assert_eq!(names(RunFilter { limit: Some(1), ..RunFilter::default() }).await, ["b0b0"]);
    assert!(names(RunFilter { status: Some(RunStatus::Failed), ..RunFilter::default() }).await.is_empty());
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let office = Office::open().await;
    let (nobody, registry) = (RunId::new(), &office.registry);
    let kinds = [
        registry.log_metrics(&nobody, &[metric("a", 1.0, 0, 0)]).await.unwrap_err().kind(),
        registry.log_params(&nobody, &words(&[("a", "b")])).await.unwrap_err().kind(),
        registry.log_tags(&nobody, &words(&[("a", "b")])).await.unwrap_err().kind(),
        registry.log_inputs(&nobody, &[dataset("x")]).await.unwrap_err().kind(),
        registry.finish_run(&nobody, RunStatus::Failed, now()).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::NotFound; 5]);
    let id = office.run().await;
    assert_eq!(registry.finish_run(&id, RunStatus::Running, now()).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_log_at_once_lose_nothing() {
    let office = Office::open().await;
    let id = office.run().await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (registry, id) = (office.registry.clone(), id.clone());
            tokio::spawn(async move {
                for step in 0..10 {
                    registry.log_metrics(&id, &[metric("loss", f64::from(writer), 0, step)]).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(office.registry.metric_history(&id, "loss").await.unwrap().len(), 80);
    assert_eq!(office.registry.run(id.as_str()).await.unwrap().metrics, [metric("loss", 7.0, 0, 9)]);
}
