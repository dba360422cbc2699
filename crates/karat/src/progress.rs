//! Bars on a terminal, plain lines otherwise; always on stderr.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use karat_jobs::{Observer, Stage, Unit};

use crate::output::note;

pub fn observer() -> std::sync::Arc<dyn Observer> {
    if std::io::stderr().is_terminal() { std::sync::Arc::new(Bars::default()) } else { std::sync::Arc::new(Lines) }
}

#[derive(Default)]
struct Bars(MultiProgress);

impl Observer for Bars {
    fn begin(&self, title: &str, total: u64, unit: Unit) -> Box<dyn Stage> {
        let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
        let bar = self.0.add(bar);
        bar.set_style(style(total, unit));
        bar.set_message(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Box::new(Bar { bar, unit })
    }

    fn say(&self, line: &str) {
        // Above the bars; they are drawn again below it.
        self.0.suspend(|| note(line));
    }
}

struct Bar {
    bar: ProgressBar,
    unit: Unit,
}

impl Stage for Bar {
    fn expect(&self, total: u64) {
        self.bar.set_length(total);
        self.bar.set_style(style(total, self.unit));
    }

    fn advance(&self, by: u64) {
        self.bar.inc(by);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(total: u64, unit: Unit) -> ProgressStyle {
    let counts = match unit {
        Unit::Bytes => "{bytes}/{total_bytes}",
        Unit::Rows => "{human_pos}/{human_len} rows",
        Unit::Rounds => "{human_pos}/{human_len} rounds",
        Unit::Keys => "{human_pos}/{human_len} keys",
    };
    let template = if total == 0 {
        "  {spinner} {msg} {elapsed}".to_owned()
    } else {
        format!("  {{spinner}} {{msg:28}} [{{bar:32}}] {counts} {{eta}} left")
    };
    ProgressStyle::with_template(&template).expect("a fixed, valid template").progress_chars("=> ")
}

/// Without a terminal: the beginning of long work, and nothing that repeats faster than every ten seconds.
struct Lines;

impl Observer for Lines {
    fn begin(&self, title: &str, _: u64, _: Unit) -> Box<dyn Stage> {
        Box::new(Line { title: title.to_owned(), begun: Instant::now(), state: std::sync::Mutex::default() })
    }

    fn say(&self, line: &str) {
        note(line);
    }
}

#[derive(Default)]
struct LineState {
    done: u64,
    total: u64,
    said: u64,
}

struct Line {
    title: String,
    begun: Instant,
    state: std::sync::Mutex<LineState>,
}

impl Stage for Line {
    fn expect(&self, total: u64) {
        self.state.lock().expect("no holder panics").total = total;
    }

    fn advance(&self, by: u64) {
        let mut state = self.state.lock().expect("no holder panics");
        state.done += by;
        let tens = self.begun.elapsed().as_secs() / 10;
        if tens > state.said {
            state.said = tens;
            let share = (state.done * 100).checked_div(state.total);
            let share = share.map(|share| format!(", {share} %")).unwrap_or_default();
            note(&format!("{}: {} s{share}", self.title, self.begun.elapsed().as_secs()));
        }
    }
}
