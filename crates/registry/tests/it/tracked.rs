//! What MLflow's clients do to experiments and runs.

use std::collections::BTreeMap;

use karat_core::{ErrorKind, RunId};
use karat_registry::import::ImportRun;
use karat_registry::search::Page;
use karat_registry::{
    Batch, DatasetInput, ExperimentSearch, Lifecycle, LoggedModelSearch, Metric, NewExperiment, NewRun, Registry, Run,
    RunModel, RunSearch, RunStatus, RunUpdate, View,
};

use crate::{Office, now};

async fn experiment(registry: &Registry, name: &str) -> i64 {
    let new = NewExperiment { name: name.into(), artifact_location: None, tags: BTreeMap::new() };
    registry.create_experiment(&new, now()).await.unwrap()
}

async fn started(registry: &Registry, experiment_id: i64, name: &str, start_time_ms: i64) -> Run {
    let new = NewRun { experiment_id, name: name.into(), user: "ana".into(), start_time_ms, tags: BTreeMap::new() };
    registry.create_run(&new).await.unwrap()
}

fn metric(key: &str, value: f64, step: i64) -> Metric {
    Metric { key: key.into(), value, timestamp_ms: step, step }
}

fn found(page: &Page<Run>) -> Vec<&str> {
    page.items.iter().map(|run| run.name.as_str()).collect()
}

#[tokio::test]
async fn the_default_experiment_is_number_0_and_others_count_on() {
    let office = Office::open().await;
    let registry = &office.registry;
    registry.ensure_default_experiment(now()).await.unwrap();
    registry.ensure_default_experiment(now()).await.unwrap();
    let default = registry.experiment_by_id(0).await.unwrap();
    assert_eq!((default.name.as_str(), default.artifact_location.as_str()), ("Default", "mlflow-artifacts:/0"));
    assert_eq!(experiment(registry, "one").await, 1);
    let one = registry.find_experiment("one").await.unwrap().unwrap();
    assert_eq!(one.artifact_location, "mlflow-artifacts:/1");
    let again = NewExperiment { name: "one".into(), artifact_location: None, tags: BTreeMap::new() };
    assert_eq!(registry.create_experiment(&again, now()).await.unwrap_err().kind(), ErrorKind::Conflict);
    experiment(registry, "two").await;
    assert_eq!(registry.rename_experiment(1, "two", now()).await.unwrap_err().kind(), ErrorKind::Conflict);
    registry.rename_experiment(1, "one", now()).await.unwrap();
}

#[tokio::test]
async fn an_experiment_takes_its_runs_with_it() {
    let office = Office::open().await;
    let registry = &office.registry;
    let id = experiment(registry, "one").await;
    let run = started(registry, id, "a", 1).await;
    let run_id = run.run_id.as_str();
    registry.move_experiment(id, Lifecycle::Deleted, "ana", now()).await.unwrap();
    assert_eq!(registry.run_by_id(run_id).await.unwrap().lifecycle_stage, Lifecycle::Deleted);
    let refused = registry.move_experiment(id, Lifecycle::Deleted, "ana", now()).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("No Experiment with id={id} exists"));
    let late = registry.log_batch(run_id, Batch::default()).await.unwrap_err();
    assert!(late.to_string().contains("must be in the 'active' state. Current state is deleted."), "{late}");
    assert_eq!(registry.rename_experiment(id, "x", now()).await.unwrap_err().kind(), ErrorKind::Refused);
    registry.move_experiment(id, Lifecycle::Active, "ana", now()).await.unwrap();
    registry.log_batch(run_id, Batch::default()).await.unwrap();
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let office = Office::open().await;
    let registry = &office.registry;
    let id = experiment(registry, "one").await;
    let run = started(registry, id, "a", 1).await;
    let run_id = run.run_id.as_str();
    let first = Batch {
        metrics: vec![metric("auc", 0.5, 1), metric("auc", f64::NAN, 2)],
        model_metrics: Vec::new(),
        params: vec![("depth".into(), "3".into())],
        tags: vec![("a".into(), "1".into()), ("a".into(), "2".into()), ("mlflow.runName".into(), "named".into())],
    };
    registry.log_batch(run_id, first.clone()).await.unwrap();
    registry.log_batch(run_id, first.clone()).await.unwrap();
    let refused = Batch {
        metrics: vec![metric("late", 1.0, 1)],
        params: vec![("new".into(), "1".into()), ("depth".into(), "4".into())],
        ..Batch::default()
    };
    let error = registry.log_batch(run_id, refused.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("[{'key': 'depth', 'old_value': '3', 'new_value': '4'}]"), "{error}");
    let run = registry.run_by_id(run_id).await.unwrap();
    assert_eq!(run.params.keys().collect::<Vec<_>>(), ["depth"]);
    assert_eq!(
        (run.name.as_str(), run.tags["mlflow.runName"].as_str(), run.tags["a"].as_str()),
        ("named", "named", "2")
    );
    assert_eq!(run.metrics.len(), 1);
    assert!(run.metrics[0].value.is_nan());
    assert_eq!(registry.metric_page(run_id, "auc", None, None).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn inputs_outputs_and_the_end_of_a_run_are_kept() {
    let office = Office::open().await;
    let registry = &office.registry;
    let id = experiment(registry, "one").await;
    let run = started(registry, id, "a", 1).await;
    let run_id = run.run_id.as_str();
    let dataset = |context: &str| DatasetInput {
        name: "loans".into(),
        digest: "ab".into(),
        source_type: "local".into(),
        source: "x".into(),
        schema: String::new(),
        profile: String::new(),
        context: context.into(),
        tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
    };
    let model = |step| RunModel { model_id: "m-1".into(), step };
    registry.add_inputs(run_id, &[dataset("train")], &[model(0)]).await.unwrap();
    registry.add_inputs(run_id, &[dataset("test")], &[]).await.unwrap();
    registry.add_outputs(run_id, &[model(7)]).await.unwrap();
    let update = RunUpdate { status: Some(RunStatus::Failed), end_time_ms: Some(9), name: Some("b".into()) };
    let run = registry.update_run(run_id, &update).await.unwrap();
    assert_eq!(run.inputs, [dataset("train")]);
    assert_eq!((run.model_inputs, run.model_outputs), (vec![model(0)], vec![model(7)]));
    assert_eq!((run.status, run.end_time_ms, run.name.as_str()), (RunStatus::Failed, Some(9), "b"));
    assert_eq!(registry.delete_run_tag(run_id, "nope").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(registry.run_by_id("nope").await.unwrap_err().to_string(), "Run with id=nope not found");
}

#[tokio::test]
async fn pages_stay_right_while_runs_are_added() {
    let office = Office::open().await;
    let registry = &office.registry;
    let id = experiment(registry, "one").await;
    for number in 0..20 {
        let run = started(registry, id, &format!("r{number:02}"), number / 3).await;
        // Values, NaN, and none at all.
        let value = match number % 4 {
            0 => None,
            1 => Some(f64::NAN),
            other => Some(f64::from(other as i32)),
        };
        let metrics = value.map(|value| metric("auc", value, 0)).into_iter().collect();
        registry.log_batch(run.run_id.as_str(), Batch { metrics, ..Batch::default() }).await.unwrap();
    }
    for order_by in
        [vec![], vec!["metrics.auc DESC"], vec!["metrics.auc", "end_time DESC"], vec!["tags.x", "run_name DESC"]]
    {
        let order_by: Vec<String> = order_by.into_iter().map(str::to_owned).collect();
        let mut asked = RunSearch { experiment_ids: vec![id], order_by, most: 1_000, ..RunSearch::default() };
        let all = registry.search_runs(&asked).await.unwrap();
        assert!(all.next.is_none());
        asked.most = 3;
        let mut paged: Vec<String> = Vec::new();
        loop {
            let page = registry.search_runs(&asked).await.unwrap();
            paged.extend(page.items.iter().map(|run| run.name.clone()));
            // Newer than all: an offset would show some run twice.
            started(registry, id, "later", 1_000).await;
            let Some(next) = page.next else { break };
            asked.page_token = Some(next);
        }
        let paged: Vec<&str> = paged.iter().map(String::as_str).filter(|name| *name != "later").collect();
        let all: Vec<&str> = found(&all).into_iter().filter(|name| *name != "later").collect();
        assert_eq!(paged, all, "{:?}", asked.order_by);
    }
    let asked = RunSearch { experiment_ids: vec![id], most: 3, ..RunSearch::default() };
    let token = registry.search_runs(&asked).await.unwrap().next;
    let other = RunSearch { filter: "metrics.auc > 1".into(), page_token: token, ..asked.clone() };
    let error = registry.search_runs(&other).await.unwrap_err();
    assert!(error.to_string().contains("it belongs to another search"), "{error}");
    for bad in ["zz", "00", "é", "7b7d"] {
        let asked = RunSearch { page_token: Some(bad.into()), ..asked.clone() };
        assert_eq!(registry.search_runs(&asked).await.unwrap_err().kind(), ErrorKind::Invalid, "{bad}");
    }
}

#[tokio::test]
async fn a_filter_is_never_sql() {
    let office = Office::open().await;
    let registry = &office.registry;
    let id = experiment(registry, "one").await;
    let run = started(registry, id, "a", 1).await;
    let nasty = "x' OR 1=1; DROP TABLE runs; --";
    let batch = Batch { params: vec![("p`\" '".into(), nasty.into())], ..Batch::default() };
    registry.log_batch(run.run_id.as_str(), batch).await.unwrap();
    for (filter, names) in [
        (format!("params.`p\"` = \"{nasty}\""), vec![]),
        (format!("params.p = \"{nasty}\""), vec![]),
        ("params.`'; DROP TABLE runs; --` IS NULL".to_owned(), vec!["a"]),
        ("tags.mlflow.runName LIKE '%'".to_owned(), vec!["a"]),
        ("tags.mlflow.runName LIKE '*'".to_owned(), vec![]),
        ("tags.mlflow.runName LIKE '?'".to_owned(), vec![]),
    ] {
        let asked = RunSearch { experiment_ids: vec![id], filter, most: 10, ..RunSearch::default() };
        assert_eq!(found(&registry.search_runs(&asked).await.unwrap()), names, "{}", asked.filter);
    }
}

#[tokio::test]
async fn experiments_are_searched_by_name_number_time_and_tag() {
    let office = Office::open().await;
    let registry = &office.registry;
    registry.ensure_default_experiment(now()).await.unwrap();
    for name in ["alpha", "Beta", "beta_2"] {
        let id = experiment(registry, name).await;
        registry.set_experiment_tag(id, "team", name).await.unwrap();
    }
    registry.delete_experiment_tag(1, "team").await.unwrap();
    assert_eq!(registry.delete_experiment_tag(1, "team").await.unwrap_err().kind(), ErrorKind::NotFound);
    let search = async |filter: &str, order: &[&str], most| {
        let order_by = order.iter().map(|one| one.to_string()).collect();
        let asked = ExperimentSearch { filter: filter.into(), order_by, most, view: View::Active, page_token: None };
        let page = registry.search_experiments(&asked).await.unwrap();
        (page.items.into_iter().map(|one| one.name).collect::<Vec<_>>(), page.next.is_some())
    };
    assert_eq!(search("", &[], 10).await.0, ["Default", "alpha", "Beta", "beta_2"]);
    assert_eq!(search("name ILIKE 'beta%'", &["name DESC"], 10).await.0, ["beta_2", "Beta"]);
    assert_eq!(search("tags.team IS NULL AND experiment_id != '0'", &[], 10).await.0, ["alpha"]);
    assert_eq!(search("experiment_id NOT IN ('0', '1')", &["experiment_id"], 1).await, (vec!["Beta".into()], true));
    assert_eq!(search("creation_time > 1633089600123", &[], 10).await.0.len(), 0);
}

#[tokio::test]
async fn histories_come_in_pages_and_samples() {
    let office = Office::open().await;
    let registry = &office.registry;
    let id = experiment(registry, "one").await;
    let run_id = started(registry, id, "a", 1).await.run_id.to_string();
    let metrics: Vec<Metric> =
        (0..100).map(|step| metric("m", if step == 50 { f64::NAN } else { 1.0 }, step)).collect();
    registry.log_batch(&run_id, Batch { metrics, ..Batch::default() }).await.unwrap();
    let (mut token, mut steps) = (None, Vec::new());
    loop {
        let page = registry.metric_page(&run_id, "m", Some(7), token.as_deref()).await.unwrap();
        steps.extend(page.items.iter().map(|value| value.step));
        // One before the page's place moves nothing after it.
        registry.log_batch(&run_id, Batch { metrics: vec![metric("m", 2.0, 0)], ..Batch::default() }).await.unwrap();
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(steps, (0..100).collect::<Vec<_>>());
    let wrong = registry.metric_page(&run_id, "m", Some(7), Some("1.2.3.4.x")).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Invalid);
    let sample = registry.metric_sample(&run_id, "m", None, 5).await.unwrap();
    assert_eq!(sample.iter().map(|value| value.step).collect::<Vec<_>>(), [0, 20, 40, 60, 99]);
    let sample = registry.metric_sample(&run_id, "m", Some(10..=12), 5).await.unwrap();
    assert_eq!(sample.len(), 3);
    let last = registry.metric_sample(&run_id, "m", None, 1).await.unwrap();
    assert_eq!(last.iter().map(|value| value.step).collect::<Vec<_>>(), [99]);
    assert_eq!(registry.metric_of_runs(&[run_id], "m", 10).await.unwrap().len(), 10);
}

#[tokio::test]
async fn who_names_nothing_to_search_finds_nothing() {
    let office = Office::open().await;
    let registry = &office.registry;
    let id = experiment(registry, "one").await;
    started(registry, id, "a", 1).await;
    let none = RunSearch { most: 10, ..RunSearch::default() };
    assert!(registry.search_runs(&none).await.unwrap().items.is_empty());
    let none = LoggedModelSearch { most: 10, ..LoggedModelSearch::default() };
    assert!(registry.search_logged_models(&none).await.unwrap().items.is_empty());
    assert!(registry.metric_of_runs(&[], "m", 10).await.unwrap().is_empty());
}

/// The first pages of an order by a metric are read from that metric's index: of many runs, and of those that are most of it.
#[tokio::test]
async fn pages_in_an_index_s_order_are_those_of_all_sorted() {
    compare_pages([2_100, 50], 190).await;
    compare_pages([60, 30], 7).await;
}

/// What fits one page is sorted: by it those of pages of `most` are judged.
async fn compare_pages(runs: [i64; 2], most: u32) {
    let office = Office::open().await;
    let registry = &office.registry;
    let (many, few) = (experiment(registry, "many").await, experiment(registry, "few").await);
    let run = |experiment_id: i64, number: i64| {
        // Few values, so that many are equal; NaN, and none at all.
        let value = match number * 7 % 11 {
            0 => None,
            1 => Some(f64::NAN),
            other => Some(other as f64 / 4.0),
        };
        let metrics = value.map(|value| metric("auc", value, 0)).into_iter().collect();
        let params = BTreeMap::from([("depth".to_owned(), (number % 3).to_string())]);
        let run = Run {
            run_id: RunId::new(),
            experiment_id,
            name: format!("r{number}"),
            user: "ana".into(),
            status: RunStatus::Finished,
            start_time_ms: number / 5,
            end_time_ms: None,
            lifecycle_stage: Lifecycle::Active,
            artifact_uri: "elsewhere".into(),
            metrics,
            params,
            tags: BTreeMap::new(),
            inputs: Vec::new(),
            model_inputs: Vec::new(),
            model_outputs: Vec::new(),
        };
        ImportRun { run, deleted_time_ms: None, history: None }
    };
    let numbered = [many, few].into_iter().zip(runs).flat_map(|(id, runs)| (0..runs).map(move |number| (id, number)));
    let runs: Vec<ImportRun> = numbered.map(|(id, number)| run(id, number)).collect();
    registry.import_runs(&runs).await.unwrap();
    for experiment_ids in [vec![many], vec![many, few], vec![few]] {
        for (order, filter) in [
            ("metrics.auc DESC", ""),
            ("metrics.auc", ""),
            ("metrics.auc DESC", "metrics.auc > 0.6 AND params.depth = '2'"),
            ("metrics.auc", "metrics.auc <= 1.5 AND metrics.auc != 1"),
            ("metrics.auc", "params.depth = '1'"),
            ("metrics.auc DESC, run_name", "metrics.auc = 1.5"),
            ("metrics.other", ""),
        ] {
            let order_by = order.split(", ").map(str::to_owned).collect();
            let mut asked = RunSearch {
                experiment_ids: experiment_ids.clone(),
                filter: filter.into(),
                order_by,
                most: 10_000,
                ..RunSearch::default()
            };
            let all = registry.search_runs(&asked).await.unwrap();
            assert!(all.next.is_none());
            asked.most = most;
            let mut paged = Vec::new();
            loop {
                let page = registry.search_runs(&asked).await.unwrap();
                paged.extend(page.items);
                asked.page_token = page.next;
                if asked.page_token.is_none() {
                    break;
                }
            }
            let ids = |runs: &[Run]| runs.iter().map(|run| run.run_id.to_string()).collect::<Vec<_>>();
            assert!(ids(&paged) == ids(&all.items), "{experiment_ids:?} {order} {filter}");
        }
    }
}

/// Who keeps a run as it was read relies on it: whatever is written of a run gives it another revision.
#[tokio::test]
async fn every_write_gives_a_run_another_revision() {
    let office = Office::open().await;
    let registry = &office.registry;
    let experiment_id = experiment(registry, "one").await;
    let run = started(registry, experiment_id, "a", 1).await;
    let (run_id, id) = (&run.run_id, run.run_id.as_str());
    let other = started(registry, experiment_id, "b", 2).await;
    let last = std::cell::Cell::new((None, run.clone()));
    let moved = async |what: &str| {
        let asked =
            RunSearch { experiment_ids: vec![experiment_id], view: View::All, most: 10, ..RunSearch::default() };
        let found = registry.find_runs(&asked).await.unwrap().items;
        let found = found.iter().find(|found| found.run_id == *run_id).unwrap();
        let read = registry.runs_by_ids(&[id]).await.unwrap();
        assert_eq!((&read[0].0, &read[0].1), (found, &registry.run_by_id(id).await.unwrap()), "{what}");
        let (before, was) = last.replace((Some(found.revision), read[0].1.clone()));
        assert!(before.is_none_or(|before| before < found.revision), "{what}: {before:?} {}", found.revision);
        assert_ne!(was, read[0].1, "{what}");
    };
    let data = |name: &str| DatasetInput {
        name: name.into(),
        digest: "d".into(),
        source_type: "file".into(),
        source: "s".into(),
        schema: String::new(),
        profile: String::new(),
        context: String::new(),
        tags: BTreeMap::new(),
    };
    let pairs = |key: &str| BTreeMap::from([(key.to_owned(), "v".to_owned())]);
    let model = RunModel { model_id: "m-1".into(), step: 1 };
    let batches = [
        Batch { metrics: vec![metric("a", 1.0, 1)], ..Batch::default() },
        Batch { params: vec![("p".into(), "1".into())], ..Batch::default() },
        Batch { tags: vec![("t".into(), "1".into())], ..Batch::default() },
        Batch { tags: vec![("mlflow.runName".into(), "renamed".into())], ..Batch::default() },
    ];
    for batch in batches {
        let what = format!("{batch:?}");
        registry.log_batch(id, batch).await.unwrap();
        moved(&what).await;
    }
    registry.log_metrics(run_id, &[metric("b", 1.0, 1)]).await.unwrap();
    moved("log_metrics").await;
    registry.log_params(run_id, &pairs("q")).await.unwrap();
    moved("log_params").await;
    registry.log_tags(run_id, &pairs("u")).await.unwrap();
    moved("log_tags").await;
    registry.log_inputs(run_id, &[data("x")]).await.unwrap();
    moved("log_inputs").await;
    registry.delete_run_tag(id, "u").await.unwrap();
    moved("delete_run_tag").await;
    registry.add_inputs(id, &[data("y")], &[]).await.unwrap();
    moved("add_inputs, a data set").await;
    registry.add_inputs(id, &[], std::slice::from_ref(&model)).await.unwrap();
    moved("add_inputs, a model").await;
    registry.add_outputs(id, &[model]).await.unwrap();
    moved("add_outputs").await;
    registry.update_run(id, &RunUpdate { name: Some("again".into()), ..RunUpdate::default() }).await.unwrap();
    moved("update_run, its name").await;
    registry.update_run(id, &RunUpdate { end_time_ms: Some(5), ..RunUpdate::default() }).await.unwrap();
    moved("update_run, its end").await;
    registry.finish_run(run_id, RunStatus::Failed, now()).await.unwrap();
    moved("finish_run").await;
    for to in [Lifecycle::Deleted, Lifecycle::Active] {
        registry.move_run(id, to, "ana", now()).await.unwrap();
        moved("move_run").await;
    }
    for to in [Lifecycle::Deleted, Lifecycle::Active] {
        registry.move_experiment(experiment_id, to, "ana", now()).await.unwrap();
        moved("move_experiment").await;
    }
    let untouched = registry.runs_by_ids(&[other.run_id.as_str()]).await.unwrap().remove(0).1;
    assert_eq!(untouched, other);
}
