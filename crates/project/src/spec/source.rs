use indexmap::IndexMap;
use karat_core::{DataType, Name, TimeFormat, Window, Zone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::origin::PushForm;
use super::{Command, Csv, Lookup, Origin, Paths, Postgres, Push, Rule};

/// Where rows come from, what they mean in time, and what must hold of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,

    /// A file or a glob, or a list of them: relative to the project folder, or `s3://`, `gs://`, `az://` and a bucket.
    /// One of `path`, `postgres`, `command`, `sql` and `lookup` is given; with `push` none need be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Paths>,
    /// Of zip archives: the file in them, or a glob of several. Default: the only one there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Told by the file's name when left out (`.csv`, `.jsonl`, `.json`, `.parquet`; `.gz`, `.zst` or `.zip` after it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<Csv>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
    /// A program and its arguments: what it prints is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// A query over other sources' current rows. What an inner join leaves out is counted and reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// An outside service: its answers, a key each, are the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<Lookup>,
    /// Rows are pushed one by one (`POST /v1/features/push`), under `delivery: append` or `changes`; files may bring more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PushForm>")]
    pub push: Option<Push>,
    /// How often a server looks for what is new, such as `10 seconds`, and takes it in. A file is taken in once it looks the same
    /// twice in a row; better still, it is moved to its place when it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Window>,

    /// The columns read, in order, with their types. Optional for Parquet files (all columns); not used with `sql`, whose
    /// columns are planned.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty", with = "super::ordered")]
    #[schemars(with = "IndexMap<String, ColumnSpec>")]
    pub columns: IndexMap<String, ColumnSpec>,
    /// Columns computed row by row, in the order written, each an SQL expression over the columns before it.
    /// One of an existing name replaces it.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty", with = "super::ordered")]
    #[schemars(with = "IndexMap<String, String>")]
    pub prepare: IndexMap<String, String>,
    /// Columns left out of the history, after `prepare` used them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,

    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_time: Option<String>,
    /// Where there is no `known_time` column: how long after its event a row is known. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_after: Option<Window>,
    /// Events at exactly `as_of` count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_as_of: bool,
    /// A column that orders events of the same instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// The column that identifies an event under `delivery: append`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Under `delivery: changes`, a boolean SQL expression that says the row removes its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// Default: `full` with `keys` or `sql`, else `append`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Whether accepted rows are kept in history. `false` reads them in place.
    #[serde(default = "yes")]
    pub keep: bool,
    /// The zone of naive timestamps and bare dates, and the one months step in. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub time_zone: Option<Zone>,

    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contract: Vec<Rule>,
}

fn yes() -> bool {
    true
}

impl Source {
    /// Validation has made sure that there is exactly one, or none and rows are pushed.
    pub fn origin(&self) -> Origin<'_> {
        match (&self.path, &self.postgres, &self.command, &self.sql, &self.lookup) {
            (Some(paths), ..) => Origin::Path(paths),
            (_, Some(postgres), ..) => Origin::Postgres(postgres),
            (_, _, Some(command), ..) => Origin::Command(command),
            (_, _, _, Some(sql), _) => Origin::Sql(sql),
            (.., Some(lookup)) => Origin::Lookup(lookup),
            (None, None, None, None, None) => Origin::Pushed,
        }
    }

    /// How rows are taken one by one, where they are: pushed by clients, or answers of a service.
    pub fn takes_rows(&self) -> Option<Push> {
        self.push.or_else(|| self.lookup.as_ref().map(|lookup| Push { survives: lookup.survives }))
    }

    /// As declared, else told by the file's name, or by that of the member of an archive; `None` where neither tells
    /// it, where several paths tell different ones, and for SQL. What databases and commands give is CSV.
    pub fn file_format(&self) -> Option<Format> {
        if self.format.is_some() {
            return self.format;
        }
        if self.postgres.is_some() || self.command.is_some() {
            return Some(Format::Csv);
        }
        let names: Vec<&str> = match (&self.member, &self.path) {
            (Some(member), _) => vec![member],
            (None, Some(paths)) => paths.iter().map(String::as_str).collect(),
            (None, None) => return None,
        };
        let mut formats = names.into_iter().map(|name| Told::by(name).format);
        let first = formats.next()??;
        formats.all(|other| other == Some(first)).then_some(first)
    }

    /// Whether archives are read; a member may be compressed in them once more.
    pub fn reads_archives(&self) -> bool {
        self.compression == Some(Compression::Zip) || self.told().any(|told| told.compression == Compression::Zip)
    }

    /// As declared, else whether any path's name tells of one.
    pub(crate) fn is_compressed(&self) -> bool {
        match self.compression {
            Some(compression) => compression != Compression::None,
            None => self.told().any(|told| told.compression != Compression::None),
        }
    }

    fn told(&self) -> impl Iterator<Item = Told<'_>> {
        self.path.iter().flat_map(Paths::iter).map(|path| Told::by(path))
    }

    pub fn delivery(&self) -> Delivery {
        match self.delivery {
            Some(delivery) => delivery,
            None if self.keys.is_empty() => Delivery::Append,
            None => Delivery::Full,
        }
    }

    pub fn zone(&self) -> Zone {
        self.time_zone.clone().unwrap_or_else(Zone::utc)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Each delivery is a snapshot: differences by key become revisions, a missing key is a removal.
    Full,
    /// Rows revise by key; `deleted` removes.
    Changes,
    /// Rows only ever arrive.
    Append,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Csv,
    /// An object a line, or one array of objects.
    Json,
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    /// An archive: its members are the files.
    Zip,
}

/// What a file's name tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<'a> {
    pub format: Option<Format>,
    pub compression: Compression,
    /// The last extension, before that of a compression.
    pub extension: Option<&'a str>,
}

impl<'a> Told<'a> {
    pub fn by(name: &'a str) -> Told<'a> {
        let file = name.rsplit('/').next().unwrap_or(name);
        let ending = |file: &'a str| file.rsplit_once('.');
        let compression_of = |extension: &str| match extension.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Some(Compression::Gzip),
            "zst" | "zstd" => Some(Compression::Zstd),
            "zip" => Some(Compression::Zip),
            _ => None,
        };
        let (stem, compression) = match ending(file) {
            Some((stem, extension)) => match compression_of(extension) {
                Some(compression) => (stem, compression),
                None => (file, Compression::None),
            },
            None => (file, Compression::None),
        };
        let extension = ending(stem).map(|(_, extension)| extension);
        let format = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("csv" | "tsv" | "txt") => Some(Format::Csv),
            Some("json" | "jsonl" | "ndjson") => Some(Format::Json),
            Some("parquet" | "pq") => Some(Format::Parquet),
            _ => None,
        };
        Told { format, compression, extension }
    }
}

/// A column's type, or its type and the name it has in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ColumnSpec {
    Type(DataType),
    Full {
        #[serde(rename = "type")]
        data_type: DataType,
        /// The column's name in the file; in JSON a path, such as `customer.address.city` or `items.0.price`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// How the file writes its dates or timestamps, in the words of `strptime`, such as `%d.%m.%Y`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<TimeFormat>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
}

impl ColumnSpec {
    pub fn data_type(&self) -> DataType {
        match self {
            ColumnSpec::Type(data_type) | ColumnSpec::Full { data_type, .. } => *data_type,
        }
    }

    /// How the column's dates or timestamps are written, where it says so itself.
    pub fn format(&self) -> Option<&TimeFormat> {
        match self {
            ColumnSpec::Full { format, .. } => format.as_ref(),
            ColumnSpec::Type(_) => None,
        }
    }

    /// The name in the file of the column called `name` here.
    pub fn file_name<'a>(&'a self, name: &'a str) -> &'a str {
        match self {
            ColumnSpec::Full { from: Some(from), .. } => from,
            _ => name,
        }
    }
}
