//! Fuzz targets: plain functions over a stranger's bytes, one for every parser that meets some.
//!
//! Tests run them on stable over the committed corpus (`fuzz/corpus/NAME/`) and mutations of it; `fuzz/` makes the same
//! functions targets of cargo-fuzz. A target panics when the code under it panics, or when what it answers is wrong: a
//! loss, a 5xx, a value that does not print back to itself.

mod csv;
mod drive;
mod expression;
mod log;
mod model;
mod project;
mod request;
mod state;
mod texts;

pub use drive::{Budget, corpus, drive};

/// One parser under fire.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its folder in `fuzz/corpus`, and its name for cargo-fuzz.
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// What the corpus begins with: written there once, by `KARAT_BLESS=1`.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What mutations put in.
    pub words: &'static [&'static str],
    /// Mutations in a usual test run: about a second's worth.
    pub inputs: u32,
}

pub const TARGETS: [Target; 13] = [
    Target { name: "project", run: project::files, seeds: project::seeds, words: project::WORDS, inputs: 600 },
    Target {
        name: "release",
        run: project::release,
        seeds: project::release_seeds,
        words: project::WORDS,
        inputs: 1000,
    },
    Target { name: "csv", run: csv::dialect, seeds: csv::seeds, words: csv::WORDS, inputs: 600 },
    Target {
        name: "expression",
        run: expression::expression,
        seeds: expression::seeds,
        words: expression::WORDS,
        inputs: 1500,
    },
    Target { name: "gate", run: texts::gate, seeds: texts::gate_seeds, words: texts::GATE_WORDS, inputs: 30_000 },
    Target {
        name: "filter",
        run: texts::filter,
        seeds: texts::filter_seeds,
        words: texts::FILTER_WORDS,
        inputs: 20_000,
    },
    Target { name: "tables", run: texts::tables, seeds: texts::table_seeds, words: texts::TABLE_WORDS, inputs: 20_000 },
    Target { name: "window", run: texts::window, seeds: texts::window_seeds, words: texts::TIME_WORDS, inputs: 30_000 },
    Target { name: "name", run: texts::name, seeds: texts::name_seeds, words: texts::NAME_WORDS, inputs: 20_000 },
    Target { name: "model", run: model::files, seeds: model::seeds, words: model::WORDS, inputs: 4000 },
    Target { name: "request", run: request::body, seeds: request::seeds, words: request::WORDS, inputs: 10_000 },
    Target { name: "log", run: log::segment, seeds: log::seeds, words: &[], inputs: 250 },
    Target { name: "state", run: state::bytes, seeds: state::seeds, words: &[], inputs: 20_000 },
];

/// The target of that name, for cargo-fuzz. Panics where there is none.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of that name");
    (target.run)(data);
}

/// The input's first byte, which chooses among variants, and the rest.
fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}
