//! The plan as files: what was decided, and beside it what was seen.

use karat_core::DataType;
use karat_project::spec::{Compression, Format};
use karat_project::yaml_text;
use karat_query::{ColumnFacts, Survey};

use super::Wishes;
use super::contract::contract;
use super::features::{self, Feature, LeftOut};
use super::plan::{Design, Shape, is_name};
use super::roles::{Key, RowKey};
use super::split::Split;
use super::words::{count, day, number};

pub(super) struct Written<'a> {
    pub survey: &'a Survey,
    pub wishes: &'a Wishes,
    pub design: &'a Design,
    pub usable: &'a [usize],
    pub left_out: &'a [LeftOut],
    pub split: &'a Split,
    pub path: &'a str,
}

/// Text under construction, line by line.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, line: impl AsRef<str>) {
        self.0.push_str(line.as_ref());
        self.0.push('\n');
    }

    /// A line and what is remarked on it.
    fn noted(&mut self, line: impl AsRef<str>, remark: &str) {
        let remark = one_line(remark);
        if remark.is_empty() { self.add(line) } else { self.add(format!("{} # {remark}", line.as_ref())) }
    }
}

const LONGEST_REMARK: usize = 160;

/// As a comment can hold it: data must not end it.
fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
    match clean.char_indices().nth(LONGEST_REMARK) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

fn plural<'a>(number: usize, one: &'a str, many: &'a str) -> String {
    format!("{} {}", count(number as u64), if number == 1 { one } else { many })
}

pub(super) fn file_says(survey: &Survey) -> String {
    let size = format!("{} rows, {}", count(survey.rows), plural(survey.columns.len(), "column", "columns"));
    if survey.format == Format::Parquet {
        return format!("{size} (Parquet)");
    }
    let dialect = &survey.dialect;
    let separator = match dialect.delimiter {
        ',' => "comma".to_owned(),
        ';' => "semicolon".to_owned(),
        '\t' => "tab".to_owned(),
        ' ' => "blank".to_owned(),
        other => format!("`{other}`"),
    };
    let mut says = format!("{size} (CSV: {separator}, {}", dialect.encoding);
    if !dialect.header {
        says.push_str(", no header");
    }
    if dialect.trim {
        says.push_str(", blanks around cells");
    }
    if dialect.numbers.decimal == ',' {
        says.push_str(", decimal commas");
    }
    if dialect.numbers.thousands.is_some() {
        says.push_str(", grouped thousands");
    }
    let nulls: Vec<&str> = dialect.null_values.iter().skip(1).map(String::as_str).collect();
    if !nulls.is_empty() {
        says.push_str(&format!(", nulls written {}", nulls.join(" ")));
    }
    says.push(')');
    says
}

pub(super) fn features_say(design: &Design, usable: usize) -> String {
    let columns = plural(usable, "column", "columns");
    match design.shape {
        Shape::Rows => format!("{columns}, as they stand in the row"),
        Shape::History { panel: true } => format!("of a {}'s earlier rows, made of {columns}", design.entity),
        Shape::History { panel: false } => {
            format!("{columns} sent with the request, and those of the {}'s earlier rows", design.entity)
        }
    }
}

impl Written<'_> {
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let design = self.design;
        debug_assert!([&design.source, &design.entity, &design.view, &design.model].iter().all(|name| is_name(name)));
        vec![
            (format!("sources/{}.yaml", design.source), self.source()),
            (format!("entities/{}.yaml", design.entity), self.entity()),
            (format!("features/{}.yaml", design.view), self.view()),
            (format!("models/{}.yaml", design.model), self.model()),
            (format!("endpoints/{}.yaml", design.endpoint), self.endpoint()),
            (".gitignore".to_owned(), ".karat/\n".to_owned()),
            ("README.md".to_owned(), self.readme()),
            ("karat.yaml".to_owned(), self.config()),
        ]
    }

    fn file_name(&self) -> String {
        self.wishes.from.file_name().map(|name| one_line(&name.to_string_lossy())).unwrap_or_default()
    }

    fn column(&self, place: usize) -> &ColumnFacts {
        &self.survey.columns[place]
    }

    fn config(&self) -> String {
        let label = one_line(&self.column(self.design.target.place).name);
        let description =
            format!("Predicts {label} = {}, from {}.", one_line(&self.design.target.positive), self.file_name());
        format!("name: {}\ndescription: {}\n", self.wishes.name, yaml_text(&description))
    }

    fn source(&self) -> String {
        let (design, survey) = (self.design, self.survey);
        let mut lines = Lines::default();
        lines.add(format!(
            "# Planned from {}. The remarks say what was seen in it: {}.",
            self.file_name(),
            file_says(survey)
        ));
        lines.add("kind: Source");
        lines.add(format!("name: {}", design.source));
        lines.add(format!("path: {}", yaml_text(self.path)));
        self.reading(&mut lines);
        lines.add("columns:");
        for place in 0..survey.columns.len() {
            if design.is_unread(place) {
                let name = one_line(&self.column(place).name);
                lines.add(match name.is_empty() {
                    true => format!("  # the file's column {} has no name and is not read", place + 1),
                    false => format!("  # the file has two columns {name}: neither is read"),
                });
            } else {
                self.declared(place, &mut lines);
            }
        }
        self.prepare(&mut lines);
        self.identity(&mut lines);
        lines.add("contract:");
        for rule in contract(survey, design, self.usable) {
            lines.noted(format!("  - {}", rule.line), &rule.seen);
        }
        lines.0
    }

    /// What the file's name and the usual way to write CSV do not say.
    fn reading(&self, lines: &mut Lines) {
        let (survey, path) = (self.survey, self.path.to_lowercase());
        let bare = path.strip_suffix(".gz").or_else(|| path.strip_suffix(".zst")).unwrap_or(&path);
        match survey.format {
            Format::Parquet if !bare.ends_with(".parquet") => lines.add("format: parquet"),
            Format::Parquet => {}
            _ if !bare.ends_with(".csv") => lines.add("format: csv"),
            _ => {}
        }
        match survey.compression {
            Compression::Gzip if !path.ends_with(".gz") => lines.add("compression: gzip"),
            Compression::Zstd if !path.ends_with(".zst") => lines.add("compression: zstd"),
            _ => {}
        }
        let dialect = &survey.dialect;
        let mut said = Vec::new();
        let quoted = |sign: char| match sign {
            '\t' => "\"\\t\"".to_owned(),
            '"' => "'\"'".to_owned(),
            sign => format!("\"{sign}\""),
        };
        for (key, sign, usual) in [
            ("delimiter", dialect.delimiter, ','),
            ("quote", dialect.quote, '"'),
            ("decimal", dialect.numbers.decimal, '.'),
        ] {
            if sign != usual {
                said.push(format!("{key}: {}", quoted(sign)));
            }
        }
        said.extend(dialect.numbers.thousands.map(|sign| format!("thousands: {}", quoted(sign))));
        if dialect.encoding != "utf-8" {
            said.push(format!("encoding: {}", dialect.encoding));
        }
        if !dialect.header {
            said.push("header: false".to_owned());
        }
        if dialect.trim {
            said.push("trim: true".to_owned());
        }
        if dialect.null_values.len() > 1 {
            let nulls: Vec<String> =
                dialect.null_values.iter().map(|null| serde_json::Value::from(null.as_str()).to_string()).collect();
            said.push(format!("null_values: [{}]", nulls.join(", ")));
        }
        if survey.format == Format::Csv && !said.is_empty() {
            lines.add(format!("csv: {{{}}}", said.join(", ")));
        }
    }

    fn declared(&self, place: usize, lines: &mut Lines) {
        let (column, name) = (self.column(place), &self.design.names[place]);
        let data_type = column.data_type;
        let line = match column.name == *name {
            true => format!("  {name}: {data_type}"),
            false => format!("  {name}: {{type: {data_type}, from: {}}}", yaml_text(&column.name)),
        };
        lines.noted(line, &self.remark(place));
    }

    fn remark(&self, place: usize) -> String {
        let column = self.column(place);
        let mut remarks = Vec::new();
        match (column.min, column.max) {
            (Some(min), Some(max)) if column.is_time() => remarks.push(format!("{} to {}", day(min), day(max))),
            (Some(min), Some(max)) => remarks.push(format!("{} to {}", number(min), number(max))),
            _ => {}
        }
        if column.is_unique() {
            remarks.push("every value once".to_owned());
        } else if column.values > 0 {
            remarks.push(format!("{} different", count(column.distinct)));
        }
        if column.nulls > 0 {
            remarks.push(format!("{} empty", count(column.nulls)));
        }
        if column.strays > 0 {
            let kind = if column.is_time() { "dates" } else { "numbers" };
            remarks.push(format!("{} are no {kind}", count(column.strays)));
        }
        remarks.join(", ")
    }

    fn prepare(&self, lines: &mut Lines) {
        let design = self.design;
        let mut made: Vec<(String, String, String)> = Vec::new();
        for (place, column) in self.survey.columns.iter().enumerate() {
            let is_time = design.time_place() == Some(place);
            let time = design.roles.time.as_ref().filter(|_| is_time).and_then(|time| time.made_by.clone());
            let form = time.or_else(|| column.dates.map(|form| form.to_time("{}")));
            if let Some(form) = form.filter(|_| !design.is_unread(place) && place != design.target.place) {
                let name = &design.names[place];
                let remark = match column.dates {
                    Some(form) if form.is_of_short_years() => {
                        "the file's own way to write dates; years are 1970 to 2069"
                    }
                    Some(form) => form.counts().unwrap_or("the file's own way to write dates"),
                    None => "the file's own way to write dates",
                };
                made.push((name.clone(), form.replace("{}", name), remark.to_owned()));
            }
        }
        if let Some(expression) = &design.target.expression {
            let label = design.label();
            made.push((
                label.to_owned(),
                expression.of(label),
                format!("true is what is predicted; {}", design.target.because),
            ));
        }
        if design.numbers_rows() {
            made.push((
                design.row_id.clone(),
                "_row".to_owned(),
                "the row's number in the file: no column names the rows".to_owned(),
            ));
        }
        if let (Some(step), Some(time)) = (design.outcome, &design.roles.time) {
            let remark = "when a row, and how it turned out, was known".to_owned();
            let known = step.later_than(&design.names[time.place], time.month_ends);
            made.push((design.outcome_known.clone(), known, remark));
        }
        if !made.is_empty() {
            lines.add("prepare:");
        }
        for (name, sql, remark) in made {
            lines.noted(format!("  {name}: {}", yaml_text(&sql)), &remark);
        }
    }

    fn identity(&self, lines: &mut Lines) {
        let design = self.design;
        let name = |place: usize| design.names[place].as_str();
        let time = design.time_place().map(name);
        let keys = match (&design.roles.key, time) {
            (Key::Unique { place }, _) => name(*place).to_owned(),
            (Key::History { place, row: RowKey::Time, .. }, Some(time)) => format!("{}, {time}", name(*place)),
            (Key::History { row: RowKey::Column(id), .. } | Key::Group { row: RowKey::Column(id), .. }, _) => {
                name(*id).to_owned()
            }
            _ => design.row_id.clone(),
        };
        lines.add(format!("keys: [{keys}]"));
        let Some(time) = time else { return };
        lines.add(format!("event_time: {time}"));
        match design.shape {
            Shape::Rows => lines.noted("include_as_of: true", "a decision sees its own row"),
            Shape::History { .. } if design.outcome.is_some() => {
                lines.add(format!("known_time: {}", design.outcome_known))
            }
            Shape::History { .. } => {}
        }
    }

    fn entity(&self) -> String {
        let (key, data_type) = self.design.entity_key(self.survey);
        format!("kind: Entity\nname: {}\nkey: {key}\ntype: {data_type}\n", self.design.entity)
    }

    fn view_features(&self) -> Vec<Feature> {
        match self.design.shape {
            Shape::Rows => features::of_rows(self.survey, self.design, self.usable),
            Shape::History { .. } => features::of_history(self.survey, self.design, self.usable),
        }
    }

    fn view(&self) -> String {
        let design = self.design;
        let mut lines = Lines::default();
        lines.add("kind: FeatureView");
        lines.add(format!("name: {}", design.view));
        lines.add(match design.shape {
            Shape::Rows => "description: What the row says of itself.".to_owned(),
            Shape::History { .. } => {
                format!("description: What a {}'s earlier rows say, as known at the time.", design.entity)
            }
        });
        lines.add(format!("entity: {}\nsource: {}\nfeatures:", design.entity, design.source));
        for feature in self.view_features() {
            lines.add(format!("  {}: {{{}, words: {}}}", feature.name, feature.definition, yaml_text(&feature.words)));
        }
        if design.shape == Shape::Rows {
            self.remark_left_out(&mut lines);
        }
        lines.0
    }

    fn remark_left_out(&self, lines: &mut Lines) {
        if !self.left_out.is_empty() {
            lines.add("# Left out:");
        }
        for left in self.left_out {
            lines.add(format!("#   {}: {}", self.design.names[left.place], one_line(&left.why)));
        }
    }

    /// Fields of the request: the row's own columns, where decisions are about a key's next row.
    fn request(&self) -> Vec<usize> {
        match self.design.shape {
            Shape::History { panel: false } => {
                self.usable.iter().copied().filter(|place| !self.column(*place).is_time()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn model(&self) -> String {
        let design = self.design;
        let name = |place: usize| design.names[place].as_str();
        let mut lines = Lines::default();
        lines.add("kind: Model");
        lines.add(format!("name: {}", design.model));
        lines.add("task: binary");
        let as_of = design.time_place().map(|place| format!(", as_of: {}", name(place))).unwrap_or_default();
        let known = design.outcome.map(|_| format!(", label_time: {}", design.outcome_known)).unwrap_or_default();
        let spine = format!(
            "spine: {{source: {}, entity: {}{as_of}, label: {}{known}}}",
            design.source,
            design.entity,
            design.label()
        );
        lines.noted(spine, &design.target.says(&self.column(design.target.place).name));
        lines.add(format!("features: [{}]", design.view));
        let request = self.request();
        if !request.is_empty() {
            lines.add("request: # what a decision is asked with; in training, the row's own columns");
        }
        for place in request {
            lines.add(format!("  {}: {}", name(place), self.column(place).data_type));
        }
        match design.shape {
            Shape::History { panel: true } => {
                lines.add("# The row's own columns are no features: the file does not tell whether they were known when it began.");
                lines.add("# Those that were can be listed under `request:`.");
            }
            Shape::History { panel: false } => self.remark_left_out(&mut lines),
            Shape::Rows => {}
        }
        let line = match &design.roles.key {
            Key::Group { place, .. } | Key::History { place, .. } => self.split.line.replace("{}", name(*place)),
            _ => self.split.line.clone(),
        };
        lines.noted(format!("split: {line}"), &self.split.because);
        lines.add("estimator:");
        lines.add(format!("  lightgbm: {}", self.estimator()));
        lines.noted("threshold: {maximize: ks}", "on the validation part");
        let [negative, positive] = design.target.labels();
        lines.add(format!("labels: [{}, {}]", yaml_text(&negative), yaml_text(&positive)));
        lines.noted("gates: [auc >= 0.5, auc >= champion.auc]", "raise the first to what a version must reach");
        lines.add("approval: required");
        lines.0
    }

    /// Few rows bear only small trees, and stop by a measure that every row moves.
    fn estimator(&self) -> &'static str {
        match self.survey.rows {
            0..500 => {
                "{learning_rate: 0.05, num_leaves: 15, rounds: 1000, early_stopping: 50, metric: binary_logloss, min_data_in_leaf: 10}"
            }
            500..20_000 => {
                "{learning_rate: 0.05, num_leaves: 31, rounds: 1000, early_stopping: 50, metric: binary_logloss}"
            }
            _ => "{learning_rate: 0.05, num_leaves: 31, rounds: 2000, early_stopping: 50}",
        }
    }

    fn endpoint(&self) -> String {
        let design = self.design;
        let mut lines = Lines::default();
        lines.add("kind: Endpoint");
        lines.add(format!("name: {}", design.endpoint));
        lines.add(format!("model: {}", design.model));
        match design.shape {
            Shape::Rows => {
                lines.noted("unknown_key: reject", "of one that is not in the file send the row: {\"rows\": [{…}]}")
            }
            Shape::History { .. } => {
                lines.noted("unknown_key: score", "a key without earlier rows is flagged no_history")
            }
        }
        lines.add("reasons: 4");
        lines.add("log: {survives: crash}");
        lines.0
    }

    fn readme(&self) -> String {
        let design = self.design;
        let (key, data_type) = design.entity_key(self.survey);
        let example = if data_type == DataType::Text { "\"…\"" } else { "1" };
        let ask = match design.shape {
            Shape::Rows => format!(
                "- `{{\"key\": {example}}}` asks about a `{key}` that is in the data\n\
                 - `{{\"rows\": [{{…every feature by name…}}]}}` asks about one that is not\n"
            ),
            Shape::History { panel: true } => {
                format!("- `{{\"key\": {example}}}` asks about a `{key}`, from its rows so far\n")
            }
            Shape::History { panel: false } => format!(
                "- `{{\"key\": {example}, \"fields\": {{…}}}}` asks about a `{key}`, from its rows so far and the request's fields\n"
            ),
        };
        format!(
            "# {}\n\nPlanned from {}: {}.\nEvery decision stands in the files with what was seen; change what you know better, then:\n\n\
             ```sh\nkarat check    # every mistake in the folder, with its place\nkarat demo     # from the file to a served decision\n```\n\n\
             `karat serve` answers `POST /v1/endpoints/{}/predict`:\n\n{ask}",
            self.wishes.name,
            self.file_name(),
            file_says(self.survey),
            design.endpoint,
        )
    }
}
