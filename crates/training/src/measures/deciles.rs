use serde::{Deserialize, Serialize};

use super::confusion::share;
use super::{Group, Scored};

/// A tenth of the rows by score, the highest scores first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decile {
    /// 1 holds the highest scores.
    pub decile: u8,
    pub rows: u64,
    pub positives: u64,
    pub min_score: f64,
    pub max_score: f64,
    /// Positives among its rows.
    pub rate: f64,
    /// Its rate over the rate of all rows.
    pub lift: f64,
    /// Positives of this and the higher deciles, over all positives.
    pub captured: f64,
    /// The gap between the shares of positives and negatives caught by this and the higher deciles.
    pub ks: f64,
}

/// Rows that share a score are never torn apart: they all stand where their middle row falls, so that the table does not
/// depend on the rows' order. Ties across a whole decile leave that one out.
pub fn decile_table(scored: &Scored) -> Vec<Decile> {
    let base_rate = share(scored.positives(), scored.rows());
    let mut positives_so_far = 0;
    let mut rows_so_far = 0;
    tenths(scored.groups().iter(), scored.rows())
        .into_iter()
        .map(|(tenth, groups)| {
            let rows: u64 = groups.iter().map(|group| group.rows()).sum();
            let positives: u64 = groups.iter().map(|group| group.positives).sum();
            rows_so_far += rows;
            positives_so_far += positives;
            let captured = share(positives_so_far, scored.positives());
            let rate = share(positives, rows);
            Decile {
                decile: tenth + 1,
                rows,
                positives,
                min_score: groups[groups.len() - 1].score,
                max_score: groups[0].score,
                rate,
                lift: rate / base_rate,
                captured,
                ks: captured - share(rows_so_far - positives_so_far, scored.negatives()),
            }
        })
        .collect()
}

/// Groups dealt into ten bins of as equal a number of rows as ties allow; empty bins are left out.
pub(super) fn tenths<'a>(groups: impl Iterator<Item = &'a Group>, rows: u64) -> Vec<(u8, Vec<Group>)> {
    let mut bins: Vec<(u8, Vec<Group>)> = Vec::with_capacity(10);
    let mut start = 0u64;
    for group in groups {
        let end = start + group.rows();
        // Ten times the middle of the half-open range [start, end), over rows; the middle is always under `rows`.
        let tenth = (u128::from(start + end) * 10 / (2 * u128::from(rows))) as u8;
        match bins.last_mut() {
            Some((last, members)) if *last == tenth => members.push(*group),
            _ => bins.push((tenth, vec![*group])),
        }
        start = end;
    }
    bins
}
