use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::output::{Output, duration, heading, line, note};

/// A step shorter than this has no time worth telling.
const BLINK: Duration = Duration::from_millis(5);

/// Tells the story, numbering and timing its steps. With `--format json` it is told on stderr, and what it found is the
/// one document on stdout.
#[derive(Debug)]
pub struct Story {
    output: Output,
    begun: Instant,
    step_begun: Instant,
    number: usize,
    figures: Map<String, Json>,
}

impl Story {
    pub fn begin(output: Output) -> Story {
        let now = Instant::now();
        Story { output, begun: now, step_begun: now, number: 0, figures: Map::new() }
    }

    pub fn say(&self, text: &str) {
        if self.output.is_for_programs() { note(text) } else { line(text) }
    }

    pub fn step(&mut self, title: &str) {
        self.number += 1;
        self.step_begun = Instant::now();
        self.say(&heading(&format!("{}. {title}", self.number)));
    }

    pub fn end_step(&self) {
        match self.step_begun.elapsed() {
            blink if blink < BLINK => self.say(""),
            length => self.say(&format!("   took {}\n", duration(length.as_secs_f64()))),
        }
    }

    /// How long the whole took so far.
    pub fn total(&self) -> String {
        duration(self.begun.elapsed().as_secs_f64())
    }

    /// A figure of the story, for programs.
    pub fn keep(&mut self, name: &str, value: impl Serialize) {
        self.figures.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
    }

    pub fn figures(&self) -> &Map<String, Json> {
        &self.figures
    }
}
