//! One decision and a batch of them, on trees of the usual sizes: `cargo bench -p karat-model`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use karat_model::{Explainer, Interleaved, TreeScorer, Trees};

const FEATURES: usize = 20;

/// A model of random, leaf-wise grown trees: the shape, not the meaning, is what costs.
fn random_model(trees: usize, leaves: usize) -> Trees {
    let mut rng = Rng::with_seed(7);
    let names: Vec<String> = (0..FEATURES).map(|feature| format!("f{feature}")).collect();
    let mut text = format!(
        "tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx={}\nobjective=binary sigmoid:1\nfeature_names={}\n\n",
        FEATURES - 1,
        names.join(" ")
    );
    for index in 0..trees {
        text.push_str(&random_tree(index, leaves, &mut rng));
    }
    text.push_str("end of trees\n");
    Trees::parse(&text).expect("the text is well formed")
}

fn random_tree(index: usize, leaves: usize, rng: &mut Rng) -> String {
    let mut counts = vec![100_000u32];
    let (mut left, mut right, mut internal) = (Vec::<i32>::new(), Vec::<i32>::new(), Vec::<u32>::new());
    while counts.len() < leaves {
        // Larger leaves are likelier to split, as their gain is.
        let leaf = (0..3).map(|_| rng.usize(0..counts.len())).max_by_key(|leaf| counts[*leaf]).expect("three draws");
        if counts[leaf] < 2 {
            continue;
        }
        let split = left.len() as i32;
        let parents = left.iter_mut().chain(right.iter_mut());
        parents.filter(|child| **child == !(leaf as i32)).for_each(|child| *child = split);
        let share = rng.u32(1..counts[leaf]);
        left.push(!(leaf as i32));
        right.push(!(counts.len() as i32));
        internal.push(counts[leaf]);
        counts.push(counts[leaf] - share);
        counts[leaf] = share;
    }
    let splits = leaves - 1;
    let list = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<String>>().join(" ");
    let features = list(&mut (0..splits).map(|_| rng.usize(0..FEATURES).to_string()));
    let thresholds = list(&mut (0..splits).map(|_| rng.f64().to_string()));
    let values = list(&mut (0..leaves).map(|_| (rng.f64() - 0.5).to_string()));
    format!(
        "Tree={index}\nnum_leaves={leaves}\nnum_cat=0\nsplit_feature={features}\nthreshold={thresholds}\n\
         decision_type={}\nleft_child={}\nright_child={}\nleaf_value={values}\nleaf_count={}\ninternal_count={}\n\n",
        list(&mut (0..splits).map(|_| "10".to_owned())),
        list(&mut left.iter().map(i32::to_string)),
        list(&mut right.iter().map(i32::to_string)),
        list(&mut counts.iter().map(u32::to_string)),
        list(&mut internal.iter().map(u32::to_string)),
    )
}

fn model(criterion: &mut Criterion) {
    for (trees, leaves) in [(100, 31), (500, 63)] {
        let size = format!("{trees} trees x {leaves} leaves");
        let trees = random_model(trees, leaves);
        let engine = Interleaved::new(&trees);
        let explainer = Explainer::new(&trees).expect("the trees have counts");
        let mut rng = Rng::with_seed(8);
        const ROWS: usize = 1024;
        let rows: Vec<f64> = (0..ROWS * FEATURES).map(|_| rng.f64()).collect();
        // A different row each time, or the branch predictor would learn the one row by heart.
        let mut next = rows.chunks_exact(FEATURES).cycle();
        let mut row = || next.next().expect("the rows repeat");

        let mut group = criterion.benchmark_group(&size);
        let mut raw = [0.0];
        group.bench_function("score one row", |b| b.iter(|| engine.raw(black_box(row()), &mut raw)));
        let mut contributions = vec![0.0; explainer.width()];
        group.bench_function("explain one row", |b| {
            b.iter(|| explainer.contributions(black_box(row()), &mut contributions));
        });
        let mut scores = vec![0.0; ROWS];
        group.throughput(Throughput::Elements(ROWS as u64));
        group.bench_function(BenchmarkId::new("score rows", ROWS), |b| {
            b.iter(|| engine.raw_batch(black_box(&rows), &mut scores));
        });
        group.finish();
    }
}

criterion_group!(benches, model);
criterion_main!(benches);
