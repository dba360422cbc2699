//! Engines that turn rows into raw scores.

mod interleaved;

pub use interleaved::Interleaved;

/// The seam for scoring engines.
///
/// Rows are row-major `f64`, `features()` values each, NaN where a value is missing. Outputs are `outputs()` raw scores
/// a row. Every engine gives LightGBM's bits: per output, leaf values added in boosting order to 0.0.
///
/// The methods panic when a slice's length does not fit; rows that come from `Model::encode` always do.
pub trait TreeScorer: Send + Sync + std::fmt::Debug {
    fn features(&self) -> usize;

    fn outputs(&self) -> usize;

    /// One row, in about a microsecond: does not allocate.
    fn raw(&self, row: &[f64], out: &mut [f64]);

    /// Many rows on the calling thread: `rows.len() / features()` of them.
    fn raw_batch(&self, rows: &[f64], out: &mut [f64]);
}
