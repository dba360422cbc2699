//! What messages offer in place of an unknown word.

/// Longer words are no slips of the pen, and comparing them costs.
const LONGEST: usize = 100;
/// Below this, a suggestion puzzles more than it helps.
const SIMILAR: f64 = 0.6;

/// The candidate most like `wanted`, if one is.
pub(crate) fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > LONGEST {
        return None;
    }
    let similarity = |near: &str| strsim::normalized_damerau_levenshtein(&wanted.to_lowercase(), &near.to_lowercase());
    karat_core::nearest(wanted, candidates).filter(|near| similarity(near) >= SIMILAR)
}

/// ``did you mean `near`?``, or what there is.
pub(crate) fn did_you_mean<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    match nearest(wanted, candidates) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise(),
    }
}

/// `` `a`, `b`, `c` ``
pub(crate) fn ticked<T: AsRef<str>>(words: &[T]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The first line of a text, cut where it is long.
pub(crate) fn shorten(text: &str) -> String {
    let first_line = text.lines().next().unwrap_or_default();
    let short: String = first_line.chars().take(40).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
