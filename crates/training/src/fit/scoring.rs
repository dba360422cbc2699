use std::num::NonZeroUsize;

use karat_model::Model;

use crate::encode::Encoded;
use crate::measures::{MeasureError, Scored};

/// Rows scored at a time: small enough for the cache.
const CHUNK: usize = 4096;

/// The threads `OMP_NUM_THREADS` asks for, else one a core.
pub fn threads_from_environment() -> usize {
    let asked = std::env::var("OMP_NUM_THREADS").ok();
    // OpenMP takes a list, one number a level of nesting.
    let asked = asked.as_deref().and_then(|list| list.split(',').next()).and_then(|first| first.trim().parse().ok());
    match asked {
        Some(threads) if threads > 0 => threads,
        _ => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
    }
}

/// The given rows' scores as serving would give them, against what came true.
pub(super) fn scored(
    model: &Model,
    encoded: &Encoded,
    labels: &[bool],
    rows: &[usize],
    threads: usize,
) -> Result<Scored, MeasureError> {
    let scores = scores(model, encoded, rows, threads);
    let labels: Vec<bool> = rows.iter().map(|row| labels[*row]).collect();
    Scored::new(&scores, &labels)
}

fn scores(model: &Model, encoded: &Encoded, rows: &[usize], threads: usize) -> Vec<f64> {
    let score = |rows: &[usize]| -> Vec<f64> {
        rows.chunks(CHUNK).flat_map(|chunk| model.score_batch(&encoded.row_major(chunk))).collect()
    };
    let share = rows.len().div_ceil(threads).max(CHUNK);
    std::thread::scope(|scope| {
        let workers: Vec<_> = rows.chunks(share).map(|rows| scope.spawn(move || score(rows))).collect();
        let scores =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        scores.collect::<Vec<_>>().concat()
    })
}
