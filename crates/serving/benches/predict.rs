//! One whole decision, from the body's bytes to the record in the log and the answer's numbers; and how often it asks
//! for memory: `cargo bench -p karat-serving`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use karat_serving::read_view;
use karat_test_support::large::{Large, app};

/// Counts what is asked of the allocator.
struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn predict(criterion: &mut Criterion) {
    let Large { app, keys } = app();
    let bodies = |reasons: &str| -> Vec<Vec<u8>> {
        (1..=keys).map(|key| format!(r#"{{"key": {key}, "reasons": "{reasons}"}}"#).into_bytes()).collect()
    };
    let mut group = criterion.benchmark_group("predict");
    group.measurement_time(Duration::from_secs(5));
    for reasons in ["none", "all"] {
        let bodies = bodies(reasons);
        let one = |place: usize| black_box(app.endpoint.predict(&bodies[place % bodies.len()]).expect("a known key"));
        (0..2 * bodies.len()).for_each(|place| drop(one(place)));
        let before = ASKED.load(Ordering::Relaxed);
        (0..1000).for_each(|place| drop(one(place)));
        let each = (ASKED.load(Ordering::Relaxed) - before) as f64 / 1000.0;
        criterion_note(&format!("predict/{reasons}: {each} allocations"));
        let mut place = 0;
        group.bench_function(reasons, |bencher| {
            bencher.iter(|| {
                place += 7;
                one(place)
            });
        });
    }
    group.finish();
    let turn = || futures::executor::block_on(app.endpoint.enter()).expect("nobody else is here");
    let mut group = criterion.benchmark_group("part");
    let bodies = bodies("none");
    group.bench_function("read the body", |bencher| {
        bencher.iter(|| app.endpoint.read(black_box(&bodies[7])).expect("it is well-formed"))
    });
    group.bench_function("decide", |bencher| {
        bencher.iter(|| {
            let asked = app.endpoint.read(&bodies[7]).expect("it is well-formed");
            app.endpoint.decide(asked, turn().until()).expect("a known key")
        });
    });
    let view = &app.model.views()[0];
    let key = karat_core::Value::Int(7);
    let at = karat_test_support::serving_app::at(karat_test_support::serving_app::NOW);
    group.bench_function("read the features", |bencher| {
        let read = |key: &[karat_core::Value]| {
            read_view(app.online.as_ref(), &view.view, &view.definition, &[(key, at)]).expect("the store answers")
        };
        bencher.iter(|| read(black_box(std::slice::from_ref(&key))));
    });
    let decided = app.endpoint.predict(&bodies[7]).expect("a known key");
    let row =
        app.model.model.encode(decided.iter().next().expect("one answer").values()).expect("values of their types");
    group.bench_function("score", |bencher| bencher.iter(|| app.model.model.score(black_box(&row))));
    group.bench_function("explain", |bencher| bencher.iter(|| app.model.model.reasons(black_box(&row), 4)));
    group.finish();
}

#[expect(clippy::print_stderr, reason = "a benchmark's figure, beside criterion's own")]
fn criterion_note(text: &str) {
    eprintln!("{text}");
}

criterion_group!(benches, predict);
criterion_main!(benches);
