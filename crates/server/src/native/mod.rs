//! The native API under `/v1`.

pub mod catalogue;
pub mod decisions;
pub mod endpoints;
pub mod features;
pub mod models;
pub mod predict;
pub mod prediction;
pub mod push;
pub mod versions;

/// A time as it stood in a query, where an unescaped `+` means a space: after a time there is nothing but its offset.
fn with_plus(text: String) -> String {
    match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains(':') && offset.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("{time}+{offset}")
        }
        _ => text,
    }
}
