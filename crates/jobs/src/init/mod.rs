//! A project planned from a stranger's file: what its columns are, which is the key and which the time, what may be
//! learned from, what gives the label away. Reading is `karat_query`'s survey; everything here is a pure function of it.
//!
//! What cannot be told is asked for by the name of a flag ([`Unclear`]); nothing is guessed in silence: what was decided,
//! and the counts behind it, stand in the files as comments.

mod compose;
mod contract;
mod features;
mod leaks;
mod names;
mod numbers;
mod plan;
mod roles;
mod split;
mod target;
mod words;
mod write;

use std::path::{Path, PathBuf};

use anyhow::Result;
use karat_core::Window;
use karat_query::{DateOrder, Known, Survey};
use serde::Serialize;

pub use plan::Plan;
pub use write::write;

/// What the caller wants, and what it knows better than the file tells.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub from: PathBuf,
    /// The project's name.
    pub name: String,
    pub target: Option<String>,
    /// A column, or `none`.
    pub time: Option<String>,
    /// A column, or `none`.
    pub key: Option<String>,
    /// The target's value that is to be predicted.
    pub positive: Option<String>,
    /// How long after a row's time its target was known.
    pub label_after: Option<Window>,
    pub encoding: Option<String>,
    pub dates: Option<DateOrder>,
}

/// What the file does not tell, and a flag can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{question}: say {flag}{}", shown(choices))]
pub struct Unclear {
    /// `--target`
    pub flag: &'static str,
    pub question: String,
    /// Sensible answers, the likeliest first; not always all there are.
    pub choices: Vec<String>,
}

fn shown(choices: &[String]) -> String {
    match choices {
        [] => String::new(),
        choices => format!(" ({})", choices.join(", ")),
    }
}

/// One thing decided, for people: `predicts`, `late = yes (1.5 % of 777,715 rows)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub about: &'static str,
    pub text: String,
}

/// Reads the file through a few times, in bounded memory.
pub fn survey(wishes: &Wishes) -> Result<Survey> {
    let known = Known { encoding: wishes.encoding.clone(), dates: wishes.dates };
    let mut survey = Survey::of(&wishes.from, &known)?;
    numbers::read_numbers_as_times(&mut survey, wishes);
    roles::read_ids_as_ints(&mut survey, wishes);
    Ok(survey)
}

/// Plans a project in `dir` from what was surveyed. An error that is an [`Unclear`] can be answered and tried again.
pub fn plan(survey: &Survey, wishes: &Wishes, dir: &Path) -> Result<Plan> {
    plan::plan(survey, wishes, dir)
}
