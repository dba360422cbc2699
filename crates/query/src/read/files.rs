//! The files of a source, found and told apart by their names.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use karat_core::nearest;
use karat_project::spec::{Compression, Format, Origin, Paths, Source, Told};

use super::WantedColumn;
use super::archive::{self, Member};
use super::command::{Run, timeout};
use super::postgres::Copy;
use super::remote::{Object, is_remote, objects};
use crate::{QueryError, Result};

/// An input file, found and told apart by its name.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    pub location: Location,
    /// As reports name it: relative to the project folder where it is inside.
    pub label: String,
    pub format: Format,
    pub compression: Compression,
    pub bytes: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Location {
    Local(PathBuf),
    Member { archive: PathBuf, member: Member },
    Remote(Object),
    Postgres(Box<Copy>),
    Command(Run),
}

impl Location {
    /// What it looks like without being read: its name and what changes when it does. `None` of what has no looks.
    pub(crate) fn look(&self) -> Result<Option<(String, String)>> {
        let path = match self {
            Location::Local(path) | Location::Member { archive: path, .. } => path,
            Location::Remote(object) => return Ok(Some((object.url.clone(), object.state()))),
            Location::Postgres(_) | Location::Command(_) => return Ok(None),
        };
        let wrong = |error| QueryError::Io { path: path.display().to_string(), error };
        let metadata = std::fs::metadata(path).map_err(wrong)?;
        let since = metadata.modified().map_err(wrong)?.duration_since(std::time::UNIX_EPOCH);
        let changed = since.map_or(0, |since| since.as_nanos());
        Ok(Some((path.display().to_string(), format!("{} {changed}", metadata.len()))))
    }
}

/// What a source reads: the files of its `path` (relative to `root`), each once, by pattern, then by path; or the one
/// stream of its database or command.
pub(crate) fn find(root: &Path, source: &Source, columns: &[WantedColumn]) -> Result<Vec<FoundFile>> {
    match source.origin() {
        Origin::Path(paths) => find_files(root, source, paths),
        Origin::Postgres(postgres) => {
            let wrong = |problem: String| QueryError::source(&source.name, "postgres", problem);
            let url = filled_in(source, "postgres.url", &postgres.url)?;
            let table = postgres.table.as_ref().map(|table| filled_in(source, "postgres.table", table)).transpose()?;
            let copy = Copy::new(postgres, &url, table.as_deref(), columns).map_err(wrong)?;
            let label = match &postgres.table {
                Some(table) => format!("PostgreSQL table {table}"),
                None => "PostgreSQL query".to_owned(),
            };
            Ok(vec![stream(Location::Postgres(Box::new(copy)), label, Format::Csv)])
        }
        Origin::Command(command) => {
            let fill_in = |word: &String| filled_in(source, "command", word);
            let words = command.run.iter().map(fill_in).collect::<Result<Vec<String>>>()?;
            let label = command.run.join(" ");
            let label = match label.char_indices().nth(60) {
                Some((at, _)) => format!("`{}…`", &label[..at]),
                None => format!("`{label}`"),
            };
            let (timeout, stderr) = (timeout(command.timeout), command.stderr);
            let run = Run { words, folder: root.to_owned(), timeout, stderr };
            Ok(vec![stream(Location::Command(run), label, source.format.unwrap_or(Format::Csv))])
        }
        Origin::Sql(_) | Origin::Lookup(_) | Origin::Pushed => Ok(Vec::new()),
    }
}

fn stream(location: Location, label: String, format: Format) -> FoundFile {
    FoundFile { location, label, format, compression: Compression::None, bytes: 0 }
}

fn find_files(root: &Path, source: &Source, patterns: &Paths) -> Result<Vec<FoundFile>> {
    let mut files: Vec<FoundFile> = Vec::new();
    let mut labels = HashSet::new();
    for pattern in patterns.iter() {
        let pattern = &filled_in(source, "path", pattern)?;
        if is_remote(pattern) {
            for object in objects(pattern)? {
                let file = remote(source, object)?;
                if labels.insert(file.label.clone()) {
                    files.push(file);
                }
            }
            continue;
        }
        let whole = root.join(pattern);
        let mut paths = if pattern.contains(['*', '?', '[']) { matching(root, pattern)? } else { vec![whole] };
        paths.sort_by(|a, b| by_name(&a.to_string_lossy(), &b.to_string_lossy()));
        for path in paths {
            for file in found(root, path, source)? {
                if labels.insert(file.label.clone()) {
                    files.push(file);
                }
            }
        }
    }
    Ok(files)
}

/// As people count: `2021-9` comes before `2021-10`.
pub(super) fn by_name(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        (left, right) = match (leading_number(left), leading_number(right)) {
            (Some((number, left)), Some((other, right))) => {
                match number.len().cmp(&other.len()).then_with(|| number.cmp(other)) {
                    Ordering::Equal => (left, right),
                    unequal => return unequal,
                }
            }
            _ => match (left, right) {
                ([byte, left @ ..], [other, right @ ..]) if byte == other => (left, right),
                _ => return left.cmp(right).then_with(|| a.cmp(b)),
            },
        };
    }
}

/// The digits that stand first, without zeros before them, and what is behind them.
fn leading_number(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = name.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(name.len());
    let (digits, rest) = name.split_at(end);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (end > 0).then_some((&digits[zeros..], rest))
}

/// The text with its variables, which are looked up only here: specs and Releases hold what they are called.
fn filled_in(source: &Source, at: &str, text: &str) -> Result<String> {
    karat_project::expand(text).map_err(|error| QueryError::source(&source.name, at, error.to_string()))
}

fn matching(root: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let file_error = |problem: String| QueryError::File { path: pattern.to_owned(), problem };
    // The project folder's own name may hold characters that mean something in a glob.
    let escaped = PathBuf::from(glob::Pattern::escape(&root.to_string_lossy())).join(pattern);
    let found = glob::glob(&escaped.to_string_lossy()).map_err(|error| file_error(error.to_string()))?;
    let mut paths = Vec::new();
    for path in found {
        let path =
            path.map_err(|error| QueryError::Io { path: error.path().display().to_string(), error: error.into() })?;
        if path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        let problem = format!("no file in {} matches", root.display());
        return Err(QueryError::NoFile { path: pattern.to_owned(), problem });
    }
    Ok(paths)
}

fn found(root: &Path, path: PathBuf, source: &Source) -> Result<Vec<FoundFile>> {
    let label = path.strip_prefix(root).unwrap_or(&path).display().to_string();
    let metadata = std::fs::metadata(&path).map_err(|error| match missing(&path, &label, &error) {
        Some(explained) => explained,
        None => QueryError::Io { path: label.clone(), error },
    })?;
    if metadata.is_dir() {
        let problem = format!("is a folder; write `{label}/*.csv` for the files in it");
        return Err(QueryError::File { path: label, problem });
    }
    let told = Told::by(&label);
    let compression = source.compression.unwrap_or(told.compression);
    if compression != Compression::Zip {
        let format = format_of(source, &[told], &label)?;
        let bytes = metadata.len();
        return Ok(vec![checked(FoundFile { location: Location::Local(path), label, format, compression, bytes })?]);
    }
    let member = source.member.as_ref().map(|member| filled_in(source, "member", member)).transpose()?;
    let members = archive::members(&path, &label, member.as_deref())?;
    let file = |member: Member| {
        let inner = Told::by(&member.name);
        let label = format!("{label}/{}", member.name);
        let format = format_of(source, &[inner, told], &label)?;
        let (compression, bytes) = (inner.compression, member.bytes);
        let location = Location::Member { archive: path.clone(), member };
        checked(FoundFile { location, label, format, compression, bytes })
    };
    members.into_iter().map(file).collect()
}

fn remote(source: &Source, object: Object) -> Result<FoundFile> {
    let (label, bytes) = (object.url.clone(), object.bytes());
    let told = Told::by(&label);
    let compression = source.compression.unwrap_or(told.compression);
    if compression == Compression::Zip {
        let problem =
            "zip archives are read from local files: fetch it with a `command:`, or store its members".to_owned();
        return Err(QueryError::File { path: label, problem });
    }
    let format = format_of(source, &[told], &label)?;
    checked(FoundFile { location: Location::Remote(object), label, format, compression, bytes })
}

/// As declared, else by the first of the names that tells it.
fn format_of(source: &Source, names: &[Told], label: &str) -> Result<Format> {
    source.format.or_else(|| names.iter().find_map(|told| told.format)).ok_or_else(|| {
        let problem = "its name does not tell its format; say `format: csv`, `format: json` or `format: parquet` in \
                       the source";
        QueryError::File { path: label.to_owned(), problem: problem.to_owned() }
    })
}

fn checked(file: FoundFile) -> Result<FoundFile> {
    let problem = match (&file.location, file.format, file.compression) {
        (Location::Member { .. }, _, Compression::Zip) => "is an archive in an archive: unpack one of them",
        (Location::Member { .. }, Format::Parquet, _) => "Parquet is read from files of its own, not from archives",
        (_, Format::Parquet, compression) if compression != Compression::None => {
            "Parquet compresses inside; a compressed Parquet file cannot be read"
        }
        _ => return Ok(file),
    };
    Err(QueryError::File { path: file.label, problem: problem.to_owned() })
}

fn missing(path: &Path, label: &str, error: &io::Error) -> Option<QueryError> {
    if error.kind() != io::ErrorKind::NotFound {
        return None;
    }
    let wanted = path.file_name()?.to_string_lossy();
    let neighbours: Vec<String> = std::fs::read_dir(path.parent()?)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let nearest = nearest(&wanted, neighbours.iter().map(String::as_str))?;
    Some(QueryError::File {
        path: label.to_owned(),
        problem: format!("there is no such file; did you mean `{nearest}`?"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_in_the_order_that_their_names_count_in() {
        let wanted = [
            "a.csv",
            "a1.csv",
            "b/2021-09.csv",
            "b/2021-9.csv",
            "b/2021-10.csv",
            "b/2021-10b.csv",
            "b/18446744073709551616.csv",
            "b/x",
            "b/ž2.csv",
            "b/ž10.csv",
        ];
        let mut names = wanted;
        names.reverse();
        names.sort_by(|a, b| by_name(a, b));
        assert_eq!(names, wanted);
    }
}
