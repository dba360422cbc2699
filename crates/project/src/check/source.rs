use std::collections::HashSet;

use karat_core::Window;

use super::columns::{Columns, Reading, check_declared, check_names, check_origin};
use super::scope::Scope;
use crate::spec::{Check, Compression, Delivery, Format, Origin, Source, Told};
use crate::variables::has_variables;

/// Where rows come from, what identifies them, and the columns they have.
pub(super) fn check(scope: &mut Scope<'_>, source: &Source) {
    check_origin(scope, source);
    check_names(scope, source);
    check_declared(scope, source);
    check_file(scope, source);
    check_delivery(scope, source);
    check_push(scope, source);
    check_watch(scope, source);

    let columns = Columns::of(scope.draft, source);
    check_list(scope, &columns, &source.keys, "keys", Reading::Kept);
    check_list(scope, &columns, &source.drop, "drop", Reading::Delivered);
    if let Some(event_id) = &source.event_id {
        columns.require(scope, event_id, Reading::Kept, "event_id");
    }
}

fn check_list(scope: &mut Scope<'_>, columns: &Columns<'_>, names: &[String], list: &str, reading: Reading) {
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        let path = format!("{list}[{index}]");
        columns.require(scope, name, reading, &path);
        if !seen.insert(name) {
            scope.at(&path, format!("`{name}` stands twice in `{list}`"));
        }
    }
}

fn check_file(scope: &mut Scope<'_>, source: &Source) {
    let (Some(paths), None) = (&source.path, &source.sql) else { return };
    let several = paths.iter().count() > 1;
    for (index, path) in paths.iter().enumerate() {
        let at = if several { format!("path[{index}]") } else { "path".to_owned() };
        check_path(scope, source, path, &at);
    }
    if source.member.is_some() && !source.reads_archives() {
        scope.at_key_with_help(
            "member",
            "`member` names a file in a zip archive, and `path` names none",
            "say `compression: zip` if its name does not tell",
        );
    }
    let format = source.file_format();
    if source.csv.is_some() && !matches!(format, None | Some(Format::Csv)) {
        let found = if format == Some(Format::Json) { "JSON" } else { "Parquet" };
        scope.at_key("csv", format!("`csv` says how a CSV file is written, and this source reads {found}"));
    }
    if format == Some(Format::Parquet) && source.is_compressed() && !source.reads_archives() {
        let at = if source.compression.is_some() { "compression" } else { "path" };
        scope.at(at, "Parquet files are compressed inside, not as a whole");
    }
}

/// Where objects are kept, beside files.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

fn check_path(scope: &mut Scope<'_>, source: &Source, path: &str, at: &str) {
    if path.trim().is_empty() {
        scope.at(at, "`path` is empty: write a file or a glob, relative to the project folder");
        return;
    }
    if let Some((scheme, rest)) = path.split_once("://")
        && !has_variables(scheme)
    {
        if !SCHEMES.contains(&scheme) {
            let help = "write `s3://BUCKET/KEY`, `gs://…`, `az://…`, or a path relative to the project folder; `command:` \
                        reads whatever else there is";
            scope.at_with_help(at, format!("`{scheme}://` is not read here"), help);
            return;
        }
        if !rest.contains('/') && !has_variables(rest) {
            scope.at_with_help(at, format!("`{path}` names no file in its bucket"), format!("write `{path}/*.csv`"));
            return;
        }
    }
    if has_variables(path) {
        // What it is called is known where it is read.
        return;
    }
    let told = Told::by(path);
    let archive = told.compression == Compression::Zip || source.compression == Some(Compression::Zip);
    // Of an archive whose members nobody names, what is found in it tells.
    let by_member = archive && source.member.as_deref().is_none_or(|member| Told::by(member).format.is_some());
    if source.format.is_none() && told.format.is_none() && !by_member && !scope.has_key("format") {
        let message = match told.extension {
            Some(extension) => format!("cannot tell the format of a `.{extension}` file"),
            None => format!("cannot tell the format of `{path}`"),
        };
        scope.at_with_help(at, message, "say `format: csv`, `format: json` or `format: parquet`");
    }
}

fn check_delivery(scope: &mut Scope<'_>, source: &Source) {
    let by_sql = source.sql.is_some() && source.path.is_none();
    let streamed = source.postgres.is_some() || source.command.is_some();
    if streamed && source.keep && source.keys.is_empty() && source.event_id.is_none() && scope.is_sound() {
        let at = if source.postgres.is_some() { "postgres" } else { "command" };
        scope.at_key_with_help(
            at,
            format!(
                "a source with `{at}` needs `keys`, or an `event_id`: its rows stand in no file that tells them apart"
            ),
            "name the columns that identify a row: `keys: [id]`",
        );
    }
    if by_sql && let Some(delivery @ (Delivery::Changes | Delivery::Append)) = source.delivery {
        let word = word(delivery);
        scope.at_with_help(
            "delivery",
            format!("a source with `sql` cannot be delivered as `{word}`: it is evaluated as a whole at each ingest"),
            "write `delivery: full`, or leave it out",
        );
        return;
    }
    let no_keys = source.keys.is_empty() && scope.is_sound();
    match source.delivery {
        Some(delivery @ (Delivery::Full | Delivery::Changes)) if no_keys => {
            let word = word(delivery);
            scope.at_with_help(
                "delivery",
                format!("`delivery: {word}` needs `keys`: rows are compared by them"),
                "name the columns that identify a row: `keys: [id]`",
            );
        }
        None if by_sql && no_keys && source.keep => {
            scope.at_key_with_help(
                "sql",
                "a source with `sql` needs `keys`: each evaluation is compared with the last by them",
                "name the columns that identify a row: `keys: [id]`",
            );
        }
        _ => {}
    }
    let delivery = if by_sql { Delivery::Full } else { source.delivery() };
    if source.deleted.is_some() && delivery != Delivery::Changes {
        let message = match delivery {
            Delivery::Append => "`deleted` has no meaning under `delivery: append`: rows only ever arrive",
            _ => "`deleted` has no meaning under `delivery: full`: a missing key is a removal",
        };
        scope.at_key_with_help("deleted", message, "write `delivery: changes` if rows announce their removal");
    }
    if source.event_id.is_some() && delivery != Delivery::Append {
        scope.at_key(
            "event_id",
            format!("`event_id` identifies rows under `delivery: append`; under `{}` the `keys` do", word(delivery)),
        );
    }
}

/// What rows that come one by one ask of their source.
fn check_push(scope: &mut Scope<'_>, source: &Source) {
    let key = if source.lookup.is_some() { "lookup" } else { "push" };
    if source.takes_rows().is_none() {
        return;
    }
    if source.sql.is_some() {
        scope.at_key(key, "a source with `sql` is evaluated over other sources: push the rows to those");
        return;
    }
    if !source.keep {
        let what = if source.lookup.is_some() { "what a service answers" } else { "what is pushed" };
        scope.at_key(key, format!("{what} is kept in history, and this source keeps none (`keep: false`)"));
    }
    if source.delivery() == Delivery::Full && scope.is_sound() {
        let what = if source.lookup.is_some() { "was answered before" } else { "is pushed" };
        scope.at_key_with_help(
            key,
            format!(
                "under `delivery: full` each delivery is all there is, so that the next would take back what {what}"
            ),
            "say `delivery: changes` where rows revise by `keys`, or `delivery: append` where each row is an event",
        );
    }
    for (index, rule) in source.contract.iter().enumerate() {
        if matches!(rule.check, Check::Relation { .. }) {
            scope.at(
                &format!("contract[{index}].check"),
                "a `relation` looks into another source's rows, which is not done for rows that come one by one",
            );
        }
    }
}

/// Looking more often costs more than it tells.
const WATCHED_EVERY: Window = Window::Fixed(1_000_000);

fn check_watch(scope: &mut Scope<'_>, source: &Source) {
    let Some(every) = source.watch else { return };
    if every.longest_micros() < WATCHED_EVERY.longest_micros() {
        scope.at("watch", format!("`watch` is looked at no more often than each second (`watch: {WATCHED_EVERY}`)"));
    }
    match source.origin() {
        Origin::Sql(_) => scope.at_key("watch", "a source with `sql` follows the sources it reads: watch those"),
        Origin::Lookup(_) => {
            scope.at_key("watch", "a service is asked when its answers are wanted: nothing is watched")
        }
        Origin::Pushed => {
            scope.at_key("watch", "rows that are pushed are taken in at once, and nothing else brings any")
        }
        _ if !source.keep => {
            scope.at_key("watch", "what is watched is taken into history, and this source keeps none (`keep: false`)");
        }
        _ => {}
    }
}

fn word(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Full => "full",
        Delivery::Changes => "changes",
        Delivery::Append => "append",
    }
}
