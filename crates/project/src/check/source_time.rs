use super::columns::{Columns, Reading};
use super::scope::Scope;
use crate::spec::Source;

/// When a source's rows happened and when they were known.
pub(super) fn check(scope: &mut Scope<'_>, source: &Source) {
    let columns = Columns::of(scope.draft, source);
    if let Some(event_time) = &source.event_time {
        columns.require_time(scope, event_time, Reading::Kept, "event_time");
    }
    if let Some(known_time) = &source.known_time {
        columns.require_time(scope, known_time, Reading::Kept, "known_time");
    }
    if let Some(sequence) = &source.sequence {
        columns.require(scope, sequence, Reading::Kept, "sequence");
    }
    if source.known_time.is_some() && source.available_after.is_some() {
        scope.at_key_with_help(
            "available_after",
            "`known_time` and `available_after` exclude one another: both say when a row is known",
            "keep the column where there is one",
        );
    }
    if source.event_time.is_none() && scope.is_sound() {
        let given = [
            ("known_time", source.known_time.is_some()),
            ("available_after", source.available_after.is_some()),
            ("include_as_of", source.include_as_of),
            ("sequence", source.sequence.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let message = format!(
                "`{key}` needs `event_time`: a source without it is a record of facts, known from their ingest"
            );
            scope.at_key(key, message);
        }
    }
}
