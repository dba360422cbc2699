//! Questions to a person at a terminal. Without one nothing is asked.

use std::io::{BufRead, IsTerminal, Write};

/// Whether there is somebody to ask: both ends are a terminal.
pub fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The answer, blanks around it cut off; empty at the end of input.
pub fn ask(question: &str) -> std::io::Result<String> {
    let mut stdout = std::io::stdout();
    write!(stdout, "{question} ")?;
    stdout.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Only a clear yes is one.
pub fn confirm(question: &str) -> std::io::Result<bool> {
    let answer = ask(&format!("{question} [y/N]"))?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}
