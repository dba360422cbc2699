//! From a survey and wishes to the files of a project.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use karat_core::{DataType, Name};
use karat_query::Survey;

use super::roles::{Key, Roles, RowKey, Step, is_named, roles};
use super::target::{Target, target};
use super::words::{count, listed};
use super::{Note, Wishes, compose, features, names, numbers, split};
use crate::Usage;

/// A project that is not written yet.
#[derive(Debug)]
pub struct Plan {
    /// Paths inside the folder, and texts.
    pub files: Vec<(String, String)>,
    /// The file that the project reads, and its place in the folder; `None` where it is read where it lies.
    pub copy: Option<(PathBuf, String)>,
    pub notes: Vec<Note>,
    /// What a person should look at before trusting the plan.
    pub warnings: Vec<String>,
}

/// What the features are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each row describes what it is about, and that stands once.
    Rows,
    /// Rows of one key follow each other: the features are of those before.
    History {
        /// Whether rows come at regular steps, so that a row is a period's report rather than a request.
        panel: bool,
    },
}

impl Shape {
    /// Whether a decision sees columns of the row it is about.
    pub(super) fn looks_at_own_row(self) -> bool {
        !matches!(self, Shape::History { panel: true })
    }
}

/// Everything decided, by the places of the file's columns.
pub(super) struct Design {
    pub target: Target,
    pub roles: Roles,
    pub shape: Shape,
    /// How long after its time a row's outcome is known; `None` where neither the file nor anybody says.
    pub outcome: Option<Step>,
    /// What columns are called here.
    pub names: Vec<String>,
    /// Columns without a name of their own.
    pub unread: HashSet<usize>,
    /// The column of row numbers, where they name rows.
    pub row_id: String,
    /// The column of when the outcome was known.
    pub outcome_known: String,
    pub source: String,
    pub entity: String,
    pub view: String,
    pub model: String,
    pub endpoint: String,
}

impl Design {
    pub(super) fn label(&self) -> &str {
        &self.names[self.target.place]
    }

    pub(super) fn time_place(&self) -> Option<usize> {
        self.roles.time.as_ref().map(|time| time.place)
    }

    pub(super) fn is_unread(&self, place: usize) -> bool {
        self.unread.contains(&place)
    }

    /// The column that names what a decision is about, and its type.
    pub(super) fn entity_key<'a>(&'a self, survey: &Survey) -> (&'a str, DataType) {
        let of = |place: usize| (self.names[place].as_str(), survey.columns[place].data_type);
        match &self.roles.key {
            Key::Unique { place } | Key::History { place, .. } => of(*place),
            Key::Group { row: RowKey::Column(place), .. } => of(*place),
            Key::Group { .. } | Key::RowNumber => (&self.row_id, DataType::Int),
        }
    }

    pub(super) fn numbers_rows(&self) -> bool {
        matches!(
            &self.roles.key,
            Key::RowNumber | Key::Group { row: RowKey::RowNumber, .. } | Key::History { row: RowKey::RowNumber, .. }
        )
    }
}

/// Files up to this size become part of the project's folder.
const COPIED: u64 = 1 << 30;

pub(super) fn plan(survey: &Survey, wishes: &Wishes, dir: &Path) -> Result<Plan> {
    let design = design(survey, wishes)?;
    let (usable, left_out) = features::usable(survey, &design);
    let split = split::split(survey, &design.roles, &design.target);
    let (path, copy) = place_of_data(&wishes.from, dir)?;
    let mut warnings = warnings(survey, &design);
    warnings.extend(design.roles.warnings.iter().cloned());
    let unread = unread(survey);
    warnings.extend(unread.iter().cloned());
    for left in left_out.iter().filter(|left| left.is_warning) {
        warnings.push(format!("{}: {}; left out of the features", survey.columns[left.place].name, left.why));
    }
    if usable.is_empty() && design.shape.looks_at_own_row() {
        let left_out = left_out.iter().map(|left| format!("{} ({})", survey.columns[left.place].name, left.why));
        let why: Vec<String> = left_out.chain(unread).collect();
        let why = match why.as_slice() {
            [] => "the file has no columns beside the target and the time".to_owned(),
            why => listed(why, 12),
        };
        anyhow::bail!(Usage(format!("nothing is left to learn from: {why}")));
    }
    let notes = notes(survey, &design, &split, usable.len());
    let written = compose::Written {
        survey,
        wishes,
        design: &design,
        usable: &usable,
        left_out: &left_out,
        split: &split,
        path: &path,
    };
    Ok(Plan { files: written.files(), copy, notes, warnings })
}

fn design(survey: &Survey, wishes: &Wishes) -> Result<Design> {
    let target = target(survey, wishes)?;
    let roles = roles(survey, wishes, &target)?;
    let after = wishes.label_after.map(Step::of).transpose()?;
    if after.is_some() && roles.time.is_none() {
        anyhow::bail!(Usage(
            "--label-after counts from a row's time, and the file has none: say --time COLUMN".to_owned()
        ));
    }
    let (shape, outcome) = match &roles.key {
        Key::History { step, .. } => (Shape::History { panel: step.is_some() }, after.or(*step)),
        _ => (Shape::Rows, after),
    };
    let columns: Vec<String> = survey.columns.iter().map(|column| column.name.clone()).collect();
    let column_names = names::of_columns(&columns, Some(target.place));
    let unread: HashSet<usize> = (0..columns.len()).filter(|place| !is_named(survey, *place)).collect();
    let mut taken: HashSet<String> = column_names.iter().cloned().collect();
    let row_id = names::unused("row_id", &mut taken);
    let outcome_known = names::unused("outcome_known", &mut taken);
    let stem = wishes.from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let source = names::resource(stem.split('.').next().unwrap_or_default(), "data");
    let entity = match &roles.key {
        Key::Unique { place } | Key::History { place, .. } => entity_name(&column_names[*place]),
        Key::Group { row: RowKey::Column(place), .. } => entity_name(&column_names[*place]),
        Key::Group { .. } | Key::RowNumber => "row".to_owned(),
    };
    let label = names::resource(&column_names[target.place], "model");
    let view = match shape {
        Shape::Rows => format!("{entity}_facts"),
        Shape::History { .. } => format!("{entity}_history"),
    };
    Ok(Design {
        target,
        roles,
        shape,
        outcome,
        names: column_names,
        unread,
        row_id,
        outcome_known,
        source,
        view,
        endpoint: label.replace('_', "-"),
        model: label,
        entity,
    })
}

/// `client_id` names a client.
fn entity_name(key: &str) -> String {
    let bare = ["_id", "_uuid", "_guid", "_key", "_number", "_no", "_nr", "_code"]
        .iter()
        .find_map(|end| key.strip_suffix(end))
        .unwrap_or(key);
    match bare {
        "id" | "key" | "number" | "uuid" | "index" | "" => "record".to_owned(),
        bare => names::resource(bare, "record"),
    }
}

/// As the source's `path` has it, and what must be copied for that.
fn place_of_data(from: &Path, dir: &Path) -> Result<(String, Option<(PathBuf, String)>)> {
    let absolute = std::fs::canonicalize(from)?;
    let folder =
        std::fs::canonicalize(dir).unwrap_or_else(|_| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
    if let Ok(inside) = absolute.strip_prefix(&folder) {
        return Ok((as_path(&inside.display().to_string()), None));
    }
    if std::fs::metadata(&absolute)?.len() > COPIED {
        return Ok((as_path(&absolute.display().to_string()), None));
    }
    let name = from.file_name().map(|name| name.to_string_lossy().replace(PATTERN, "_")).unwrap_or_default();
    let path = format!("data/{name}");
    Ok((as_path(&path), Some((absolute, path))))
}

/// What makes a source's `path` a pattern.
const PATTERN: [char; 3] = ['*', '?', '['];

/// A file's own path as a source's `path`, where nothing of it is a pattern or a reference to a variable.
fn as_path(path: &str) -> String {
    let literal: String = match path.contains(PATTERN) {
        true => {
            path.chars().map(|sign| if PATTERN.contains(&sign) { format!("[{sign}]") } else { sign.into() }).collect()
        }
        false => path.to_owned(),
    };
    literal.replace("${", "$${")
}

/// The columns that no source can name, and what to do about it.
fn unread(survey: &Survey) -> Vec<String> {
    let names: Vec<&str> = survey.columns.iter().map(|column| column.name.as_str()).collect();
    let mut said = Vec::new();
    for (place, name) in names.iter().enumerate().filter(|(place, _)| !is_named(survey, *place)) {
        let same = names.iter().filter(|other| *other == name).count();
        said.push(match same {
            _ if name.is_empty() => format!("the file's column {} has no name: it is not read; name it", place + 1),
            _ if names[..place].contains(name) => continue,
            2 => format!("two columns are called {name}: neither is read; rename one"),
            many => format!("{many} columns are called {name}: none is read; rename all but one"),
        });
    }
    said
}

fn warnings(survey: &Survey, design: &Design) -> Vec<String> {
    let mut warnings = Vec::new();
    if survey.ragged > 0 {
        let ragged =
            if survey.ragged == 1 { "a row has".to_owned() } else { format!("{} rows have", count(survey.ragged)) };
        warnings.push(format!("{ragged} more or fewer cells than the file has columns: quarantined when ingested"));
    }
    if survey.garbled > 0 {
        let garbled =
            if survey.garbled == 1 { "a row has".to_owned() } else { format!("{} rows have", count(survey.garbled)) };
        let encoding = &survey.dialect.encoding;
        warnings.push(format!("{garbled} bytes that mean nothing in {encoding}, or a NUL: quarantined when ingested"));
    }
    for (name, kind) in &survey.other {
        warnings.push(format!("{name}: it is of {kind}, which no source reads: it is not read"));
    }
    let target = &survey.columns[design.target.place];
    warnings.extend(design.target.too_few(&target.name));
    warnings.extend(design.target.other_spellings(target));
    let is_read = |place: &usize| is_named(survey, *place) && *place != design.target.place;
    let numbers = (0..survey.columns.len()).filter(|place| is_read(place) && !design.roles.ids.contains(place));
    warnings.extend(numbers.filter_map(|place| numbers::says(&survey.columns[place])));
    for column in survey.columns.iter().filter(|column| column.strays > 0) {
        let kind = if column.is_time() { "date" } else { "number" };
        let strays = count(column.strays);
        warnings.push(format!(
            "{}: {strays} of {} cells are no {kind}: their rows are quarantined when ingested",
            column.name,
            count(column.values)
        ));
    }
    warnings
}

fn notes(survey: &Survey, design: &Design, split: &split::Split, usable: usize) -> Vec<Note> {
    let time = match &design.roles.time {
        Some(time) => format!("{} ({})", survey.columns[time.place].name, time.because),
        None => "none".to_owned(),
    };
    let mut notes = vec![
        Note { about: "file", text: compose::file_says(survey) },
        Note { about: "predicts", text: design.target.says(&survey.columns[design.target.place].name) },
        Note { about: "key", text: design.roles.says(survey) },
        Note { about: "time", text: time },
    ];
    let outcome = match (design.outcome, design.shape) {
        (Some(step), _) => Some(format!("taken to be known {} after a row's time (--label-after says otherwise)", step.words())),
        (None, Shape::History { .. }) => Some(
            "when it is known is not told by the file: earlier ones are no features (--label-after '30 days' would say)".to_owned(),
        ),
        (None, Shape::Rows) => None,
    };
    notes.extend(outcome.map(|text| Note { about: "outcome", text }));
    notes.push(Note { about: "features", text: compose::features_say(design, usable) });
    notes.push(Note { about: "split", text: split.says.clone() });
    notes
}

/// Every resource's name is one by construction; held here, where it would be noticed first.
pub(super) fn is_name(text: &str) -> bool {
    Name::new(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_file_and_no_other() {
        assert_eq!(as_path("data/loans.csv"), "data/loans.csv");
        assert_eq!(as_path("loans [1].csv"), "loans [[]1].csv");
        assert_eq!(as_path("what?*.csv"), "what[?][*].csv");
        assert_eq!(as_path("a]b.csv"), "a]b.csv");
        assert_eq!(as_path("a${X}b.csv"), "a$${X}b.csv");
    }
}
