//! What goes to stdout: one JSON document, text for people, or a list as CSV.

mod sheet;
mod table;
mod words;

use anyhow::Result;
use karat_jobs::Usage;
use serde::Serialize;

pub use sheet::Sheet;
pub use table::{dynamic_table, indent, table};
pub use words::{count, difference, duration, exact, measure, millis, percent, quoted, short_instant, thousands};

use crate::args::Format;

#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
}

impl Output {
    pub fn new(format: Format) -> Output {
        Output { format }
    }

    /// Prints the document, or what `human` makes of it.
    pub fn print<T: Serialize + ?Sized>(self, document: &T, human: impl FnOnce(&T) -> String) -> Result<()> {
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(document)?,
            Format::Human => human(document),
            Format::Csv => {
                let message = "this is no list, so there is no CSV of it: --format json".to_owned();
                return Err(Usage(message).into());
            }
        };
        line(text.trim_end());
        Ok(())
    }

    /// Prints a list, which can be CSV as well.
    pub fn print_list<T: Serialize + ?Sized>(
        self,
        document: &T,
        human: impl FnOnce(&T) -> String,
        sheet: impl FnOnce(&T) -> Sheet,
    ) -> Result<()> {
        match self.format {
            Format::Csv => {
                line(sheet(document).csv()?.trim_end());
                Ok(())
            }
            Format::Json | Format::Human => self.print(document, human),
        }
    }

    /// Whether a program reads what is printed.
    pub fn is_for_programs(self) -> bool {
        self.format != Format::Human
    }
}

/// A line on stdout. A reader that went away wants no more of it, and what the command comes to is told by its exit code
/// all the same; what cannot be written for another reason ends it.
pub fn line(text: &str) {
    use std::io::{ErrorKind, Write};
    let mut stdout = std::io::stdout();
    let written = match is_fancy() {
        true => writeln!(stdout, "{}", coloured(text)),
        false => writeln!(stdout, "{text}"),
    };
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            note(&format!("error: what was asked for cannot be printed: {error}"));
            std::process::exit(1);
        }
        _ => {}
    }
}

/// A line on stderr: for people, whatever the format.
#[expect(clippy::print_stderr, reason = "the binary is where people are spoken to")]
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Whether stdout shows colours and signs.
fn is_fancy() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How something turned out, as a sign on a terminal and as a word elsewhere.
pub fn passed() -> &'static str {
    if is_fancy() { "✓" } else { "passed" }
}

pub fn failed() -> &'static str {
    if is_fancy() { "✗" } else { "FAILED" }
}

/// Signs get their colour last: in a table's cell it would count as text.
fn coloured(text: &str) -> String {
    text.replace('✓', "\u{1b}[32m✓\u{1b}[0m").replace('✗', "\u{1b}[31m✗\u{1b}[0m")
}

/// A heading stands out on a terminal.
pub fn heading(text: &str) -> String {
    if is_fancy() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}
