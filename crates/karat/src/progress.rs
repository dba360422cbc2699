//! Bars on a terminal, plain lines otherwise; always on stderr.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use karat_jobs::{Observer, Stage, Unit};

use crate::output::{duration, note};

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
    fn begin(&self, title: &str, total: u64, _: Unit) -> Box<dyn Stage> {
        let state = std::sync::Mutex::new(LineState { total, ..LineState::default() });
        Box::new(Line { title: title.to_owned(), begun: Instant::now(), state })
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
        let seconds = self.begun.elapsed().as_secs();
        if seconds / 10 > state.said {
            state.said = seconds / 10;
            note(&format!("{}: {seconds} s{}", self.title, share(seconds, state.done, state.total)));
        }
    }
}

/// How much is done, and how long the rest takes if it goes on as until now; nothing where the amount is not known.
fn share(seconds: u64, done: u64, total: u64) -> String {
    if done == 0 || total == 0 {
        return String::new();
    }
    let percent = (done * 100 / total).min(100);
    match (seconds as f64 / done as f64 * total.saturating_sub(done) as f64).round() {
        0.0 => format!(", {percent} %"),
        left => format!(", {percent} %, about {} left", duration(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn lines_tell_the_share_and_the_time_left() {
        assert_eq!(share(30, 25, 100), ", 25 %, about 90.0 s left");
        assert_eq!(share(10, 120, 100), ", 100 %");
        assert_eq!((share(10, 0, 100), share(10, 5, 0)), (String::new(), String::new()));
    }
}
