//! However batches of metrics come, what is read is what one list of all points says.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use karat_core::RunId;
use karat_metadata::Metadata;
use karat_registry::{Batch, Metric, Registry};

use crate::Office;

/// Numbers from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// Few keys, times, steps and values, so that points meet.
    fn point(&mut self) -> Metric {
        let value = match self.below(9) {
            0 => f64::NAN,
            1 => f64::MIN,
            other => other as f64 / 3.0,
        };
        let timestamp_ms = self.below(40) as i64;
        Metric { key: format!("m{}", self.below(5)), value, timestamp_ms, step: self.below(12) as i64 - 3 }
    }
}

/// A point as it is stored: NaN is 0 with a word beside it.
fn stored(metric: &Metric) -> (i64, i64, f64, bool) {
    let is_nan = metric.value.is_nan();
    (metric.timestamp_ms, metric.step, if is_nan { 0.0 } else { metric.value }, is_nan)
}

fn in_order(a: &(i64, i64, f64, bool), b: &(i64, i64, f64, bool)) -> Ordering {
    (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)).then(a.3.cmp(&b.3))
}

/// Reads the run's histories and latest values, and says them of the list alone.
async fn compare(registry: &Registry, run_id: &RunId, points: &[Metric]) {
    let mut expected: BTreeMap<&str, Vec<(i64, i64, f64, bool)>> = BTreeMap::new();
    for point in points {
        expected.entry(&point.key).or_default().push(stored(point));
    }
    let run = registry.run(run_id.as_str()).await.unwrap();
    assert_eq!(
        run.metrics.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(),
        expected.keys().copied().collect::<Vec<_>>()
    );
    for (latest, (key, points)) in run.metrics.iter().zip(&mut expected) {
        points.sort_by(in_order);
        points.dedup();
        let page = registry.metric_page(run_id.as_str(), key, None, None).await.unwrap();
        assert_eq!(page.items.iter().map(stored).collect::<Vec<_>>(), *points, "{key}");
        // The greatest step, then time, then value; of equal ones either.
        let greatest = |point: &(i64, i64, f64, bool)| (point.1, point.0, point.2);
        let last = points.iter().map(greatest).max_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        assert_eq!(last, Some(greatest(&stored(latest))), "{key}");
    }
}

#[tokio::test]
async fn histories_are_those_of_all_points_in_whatever_batches_they_came() {
    for seed in 0..8 {
        let office = Office::open().await;
        let (registry, run_id) = (&office.registry, office.run().await);
        let other = Registry::new(Metadata::open(&office.uri).await.unwrap());
        let (mut chance, mut points) = (Chance(seed), Vec::new());
        for _ in 0..60 {
            let metrics: Vec<Metric> = (0..chance.below(30)).map(|_| chance.point()).collect();
            points.extend(metrics.iter().cloned());
            match chance.below(4) {
                0 => registry.log_metrics(&run_id, &metrics).await.unwrap(),
                1 => {
                    let batch = Batch { metrics, ..Batch::default() };
                    other.log_batch(run_id.as_str(), batch).await.unwrap();
                }
                _ => {
                    let batch = Batch { metrics, ..Batch::default() };
                    registry.log_batch(run_id.as_str(), batch).await.unwrap();
                }
            }
            match chance.below(12) {
                0 => compare(registry, &run_id, &points).await,
                1 => compare(&other, &run_id, &points).await,
                _ => {}
            }
        }
        compare(&other, &run_id, &points).await;
        compare(registry, &run_id, &points).await;
    }
}

#[tokio::test]
async fn so_many_batches_that_they_are_moved_unasked_lose_nothing() {
    let office = Office::open().await;
    let (registry, run_id) = (&office.registry, office.run().await);
    let mut points = Vec::new();
    for batch in 0..24 {
        let point = |step| Metric { key: format!("m{}", step % 7), value: step as f64, timestamp_ms: step, step };
        let metrics: Vec<Metric> = (batch * 500..(batch + 1) * 500).map(point).collect();
        points.extend(metrics.iter().cloned());
        registry.log_batch(run_id.as_str(), Batch { metrics, ..Batch::default() }).await.unwrap();
    }
    compare(registry, &run_id, &points).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_batches_written_together_each_is_answered_for_itself() {
    let office = Office::open().await;
    let run_id = office.run().await;
    let of = |key: &str, value: String| vec![(key.to_owned(), value)];
    office
        .registry
        .log_batch(run_id.as_str(), Batch { params: of("depth", "6".into()), ..Batch::default() })
        .await
        .unwrap();
    let clients = (0..8).map(|client: i64| {
        let (registry, run_id) = (office.registry.clone(), run_id.clone());
        tokio::spawn(async move {
            let mut written = Vec::new();
            for step in 0..40 {
                let metric = Metric { key: format!("c{client}"), value: 1.0, timestamp_ms: step, step };
                // Every third wants to change what was logged.
                let depth = if step % 3 == 0 { "8" } else { "6" };
                let params =
                    vec![(format!("p{client}.{step}"), "x".to_owned()), ("depth".to_owned(), depth.to_owned())];
                let batch = Batch { metrics: vec![metric.clone()], params, ..Batch::default() };
                match registry.log_batch(run_id.as_str(), batch).await {
                    Ok(()) => written.push(metric),
                    Err(error) => assert!(error.to_string().contains("depth"), "{error}"),
                }
            }
            written
        })
    });
    let mut points = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        let written = client.await.unwrap();
        assert_eq!(
            written.iter().map(|metric| metric.step).collect::<Vec<_>>(),
            (0..40).filter(|step| step % 3 != 0).collect::<Vec<_>>()
        );
        points.extend(written);
    }
    compare(&office.registry, &run_id, &points).await;
    let run = office.registry.run(run_id.as_str()).await.unwrap();
    assert_eq!(run.params.len(), 1 + points.len());
    assert!(
        run.params.keys().filter_map(|key| key.split_once('.')).all(|(_, step)| step.parse::<i64>().unwrap() % 3 != 0)
    );
}
