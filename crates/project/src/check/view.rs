use karat_core::Window;

use super::columns::Columns;
use super::scope::Scope;
use super::{entity, feature, lookup};
use crate::kind::Kind;
use crate::spec::{Aggregate, Feature, FeatureKind, FeatureView};
use crate::yaml::{Aim, path_key};

pub(super) fn check(scope: &mut Scope<'_>, view: &FeatureView) {
    entity::check_names(scope, &view.entities, "");
    scope.reference(Kind::Source, &view.source, "source", Aim::Value);
    if view.features.is_empty() && scope.is_sound() {
        scope.at_key_with_help(
            "features",
            "a feature view has features",
            "write a line `name: {mean: column}` for each",
        );
    }
    check_entity_keys(scope, view);
    check_time(scope, view);
    check_ttl(scope, view);
    check_horizon(scope, view);
    let keys = entity::key_names(scope, &view.entities);
    for (name, feature) in &view.features {
        feature::check(scope, name, feature, &keys);
    }
}

/// The entities' keys are columns of the source, of the same types.
fn check_entity_keys(scope: &mut Scope<'_>, view: &FeatureView) {
    let draft = scope.draft;
    let Some(source) = draft.sources.get(&view.source) else { return };
    if !source.keep {
        let message = format!("source `{}` says `keep: false`, and features are computed from history", view.source);
        scope.at_with_help("source", message, "keep the source");
    }
    let path = |scope: &Scope<'_>, place| entity::path_of(scope, "", place);
    entity::check_keys(scope, &view.entities, &Columns::of(draft, source), &path, &|entity, key, found| {
        format!(
            "the key `{}` of entity `{}` is of type {}, and in source `{}` of type {found}",
            key.name, entity.name, key.data_type, source.name
        )
    });
    let keys = entity::key_names(scope, &view.entities);
    lookup::check_view(scope, &view.entities, &keys, source);
}

/// What counts back from as_of needs a source whose rows have a time.
fn check_time(scope: &mut Scope<'_>, view: &FeatureView) {
    let Some(source) = scope.draft.sources.get(&view.source) else { return };
    if source.event_time.is_some() || !scope.is_source_sound(&view.source) {
        return;
    }
    let because = format!("source `{}` has no `event_time`", source.name);
    for (name, feature) in &view.features {
        let path = format!("features.{}", path_key(name));
        if feature.rows.window.is_some() {
            scope.at_key(&format!("{path}.window"), format!("`window` counts back in time, and {because}"));
        }
        if matches!(feature.kind, FeatureKind::Aggregate { aggregate: Aggregate::TimeSince, .. }) {
            scope.at_key(&format!("{path}.time_since"), format!("`time_since` measures time, and {because}"));
        }
    }
    let ages = [("ttl", view.ttl), ("stale_after", view.stale_after), ("online_horizon", view.online_horizon)];
    for (key, given) in ages {
        if given.is_some() {
            scope.at_key(key, format!("`{key}` is about the age of events, and {because}"));
        }
    }
}

/// No window reaches beyond the age at which events cease to count.
fn check_ttl(scope: &mut Scope<'_>, view: &FeatureView) {
    let Some(ttl) = view.ttl else { return };
    if matches!(ttl, Window::Fixed(0) | Window::Months(0)) {
        scope.at("ttl", "a `ttl` of no length holds no event");
    }
    for (name, feature) in &view.features {
        let Some(window) = feature.rows.window.filter(|window| !covers(ttl, *window)) else { continue };
        let message = format!("a window of {window} is longer than the view's `ttl` of {ttl}");
        let help = "events older than the `ttl` count in no feature: shorten the window, or put the feature into a view of its own";
        scope.at_with_help(&format!("features.{}.window", path_key(name)), message, help);
    }
}

/// Single events are kept online for at least the longest window.
fn check_horizon(scope: &mut Scope<'_>, view: &FeatureView) {
    let Some(horizon) = view.online_horizon else { return };
    if let Some(ttl) = view.ttl.filter(|ttl| !covers(horizon, *ttl)) {
        let message = format!("a `ttl` of {ttl} is longer than the `online_horizon` of {horizon}");
        scope.at_with_help(
            "ttl",
            message,
            "the online store keeps single events for the horizon: it is at least the `ttl`",
        );
    }
    for (name, feature) in &view.features {
        if view.ttl.is_none() {
            check_quantile(scope, name, feature);
        }
        let Some(window) = feature.rows.window.filter(|window| !covers(horizon, *window)) else { continue };
        let message = format!("a window of {window} is longer than the `online_horizon` of {horizon}");
        let help = "the online store keeps single events for the horizon: it is at least the longest window";
        scope.at_with_help(&format!("features.{}.window", path_key(name)), message, help);
    }
}

/// Events before the horizon are folded into what they add up to, and an exact quantile needs each of them.
fn check_quantile(scope: &mut Scope<'_>, name: &str, feature: &Feature) {
    let is_quantile = matches!(feature.kind, FeatureKind::Aggregate { aggregate: Aggregate::Quantile(_), .. });
    if is_quantile && feature.rows.window.is_none() && feature.rows.last.is_none() {
        scope.at_key_with_help(
            &format!("features.{}", path_key(name)),
            "an exact quantile of all events needs each of them, and before the `online_horizon` they are folded",
            "give the feature a `window` within the horizon, or `last: n`; or leave `online_horizon` out",
        );
    }
}

/// Whether every stretch of `horizon` is at least as long as every one of `window`, to the day.
fn covers(horizon: Window, window: Window) -> bool {
    match (horizon, window) {
        (Window::Fixed(horizon), Window::Fixed(window)) => horizon >= window,
        (Window::Months(horizon), Window::Months(window)) => horizon >= window,
        (Window::Months(horizon), Window::Fixed(window)) => micros(fewest_days(horizon)) >= window,
        (Window::Fixed(horizon), Window::Months(window)) => horizon >= micros(most_days(window)),
    }
}

fn micros(days: i64) -> i64 {
    days * karat_core::time::MICROS_PER_DAY
}

/// Of so many months in a row.
fn fewest_days(months: u32) -> i64 {
    const WITHIN_A_YEAR: [i64; 12] = [0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334];
    let within = WITHIN_A_YEAR.get((months % 12) as usize).copied().unwrap_or_default();
    i64::from(months / 12) * 365 + within
}

fn most_days(months: u32) -> i64 {
    const WITHIN_A_YEAR: [i64; 12] = [0, 31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337];
    let within = WITHIN_A_YEAR.get((months % 12) as usize).copied().unwrap_or_default();
    i64::from(months / 12) * 366 + within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_cover_windows_of_the_other_kind() {
        let window = |text: &str| text.parse::<Window>().unwrap();
        for (horizon, inside, outside) in [
            ("6 months", "181 days", "182 days"),
            ("1 year", "365 days", "366 days"),
            ("184 days", "6 months", "7 months"),
            ("366 days", "1 year", "13 months"),
            ("30 days", "30 days", "31 days"),
        ] {
            assert!(covers(window(horizon), window(inside)), "{horizon} {inside}");
            assert!(!covers(window(horizon), window(outside)), "{horizon} {outside}");
        }
    }

    #[test]
    fn months_in_a_row_have_so_many_days() {
        let days = |year: i16, month: i8| match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let all: Vec<i64> = (1890..2010).flat_map(|year| (1..=12).map(move |month| days(year, month))).collect();
        for months in 1..=30_u32 {
            let sums: Vec<i64> = all.windows(months as usize).map(|days| days.iter().sum()).collect();
            assert!(fewest_days(months) <= *sums.iter().min().unwrap(), "{months}");
            assert!(most_days(months) >= *sums.iter().max().unwrap(), "{months}");
            assert!(fewest_days(months) + 1 >= *sums.iter().min().unwrap() - i64::from(months / 12), "{months}");
        }
    }
}
