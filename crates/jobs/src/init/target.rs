//! The target: two values, one of which is to be predicted.

use anyhow::{Result, bail};
use karat_core::{DataType, nearest};
use karat_query::{ColumnFacts, NumberForm, Survey};

use super::words::{count, listed, percent};
use super::{Unclear, Wishes};
use crate::Usage;

/// Words for what one fears or hopes for, and so predicts.
const POSITIVE: [&str; 33] = [
    "true",
    "t",
    "yes",
    "y",
    "late",
    "default",
    "defaulted",
    "bad",
    "charged off",
    "charged_off",
    "chargedoff",
    "churn",
    "churned",
    "fraud",
    "fraudulent",
    "delinquent",
    "overdue",
    "dead",
    "died",
    "death",
    "malignant",
    "positive",
    "pos",
    "failed",
    "failure",
    "fail",
    "event",
    "arrested",
    "lost",
    "left",
    "attrited customer",
    "rejected",
    "win",
];

/// Rows of either outcome below which no model comes out of a file.
const FEWEST: u64 = 10;

#[derive(Debug, Clone)]
pub(super) struct Target {
    pub place: usize,
    pub positive: String,
    /// The other value; `None` where there are several.
    pub negative: Option<String>,
    pub positives: u64,
    /// Rows with a value.
    pub rows: u64,
    /// Why this value is the positive one.
    pub because: &'static str,
    /// What the label's column is computed by; `None` where it is a label as it stands.
    pub expression: Option<Expression>,
}

/// SQL in which `{}` stands for the column's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression(String);

impl Expression {
    pub(super) fn of(&self, column: &str) -> String {
        self.0.replacen("{}", column, 1)
    }
}

pub(super) fn target(survey: &Survey, wishes: &Wishes) -> Result<Target> {
    let Some(name) = &wishes.target else {
        let two_valued = survey.columns.iter().filter(|column| column.listed.len() == 2 && column.distinct == 2);
        let choices = two_valued.map(|column| column.name.clone()).collect();
        return Err(
            Unclear { flag: "--target", question: "which column is to be predicted".to_owned(), choices }.into()
        );
    };
    let place = place_of(survey, name, "--target")?;
    let column = &survey.columns[place];
    if column.values == 0 {
        bail!(Usage(format!("--target {name}: the column is empty")));
    }
    let numbers = survey.dialect.numbers;
    let value = |wanted: &str| column.listed.iter().find(|(value, _)| same(value, wanted, numbers)).cloned();
    if let Some(wanted) = &wishes.positive {
        let Some((positive, positives)) = value(wanted) else {
            bail!(Usage(format!("--positive {wanted}: {name} has no such value: {}", values(column))));
        };
        return Ok(made(survey, place, positive, positives, "as --positive says"));
    }
    match column.listed.as_slice() {
        [_] => bail!(Usage(format!("--target {name}: every row has the same value, so there is nothing to learn"))),
        [(first, first_rows), (second, second_rows)] => {
            let (positive, rows, because) =
                match (is_positive(first, second, numbers), is_positive(second, first, numbers)) {
                    (true, false) => (first, first_rows, "by its word"),
                    (false, true) => (second, second_rows, "by its word"),
                    // The values stand in the order of their counts.
                    _ if first_rows > second_rows => (second, second_rows, "the rarer"),
                    _ => {
                        let question = format!("which value of {name} is to be predicted, both being equally frequent");
                        let choices = vec![first.clone(), second.clone()];
                        return Err(Unclear { flag: "--positive", question, choices }.into());
                    }
                };
            Ok(made(survey, place, positive.clone(), *rows, because))
        }
        [] => bail!(Usage(format!(
            "--target {name}: it has {} different values, and a model here tells two apart; compute a column of two first",
            count(column.distinct)
        ))),
        many => {
            let question = format!("{name} has {} values; which one is to be told from the others", many.len());
            let choices = many.iter().take(12).map(|(value, _)| value.clone()).collect();
            Err(Unclear { flag: "--positive", question, choices }.into())
        }
    }
}

/// By its word; 1 beside 0 is one, 1 beside 2 is none.
fn is_positive(value: &str, other: &str, numbers: NumberForm) -> bool {
    let zero = numbers.parse(other).is_some_and(|number| number == 0.0 || number == -1.0);
    let one = numbers.parse(value) == Some(1.0);
    (one && zero) || POSITIVE.contains(&value.trim().to_lowercase().as_str())
}

pub(super) fn place_of(survey: &Survey, name: &str, flag: &str) -> Result<usize> {
    let found = |place: &usize| survey.columns.iter().skip(place + 1).any(|column| column.name == name);
    match survey.column(name) {
        Some(place) if found(&place) => bail!(Usage(format!("{flag} {name}: the file has two columns of that name"))),
        Some(place) => Ok(place),
        None => {
            let names: Vec<&str> = survey.columns.iter().map(|column| column.name.as_str()).collect();
            let hint = match nearest(name, names.iter().copied()) {
                _ if !survey.dialect.header => format!(
                    "its first line reads like the rows below it and was taken for one, so that its columns are called {}",
                    listed(&names, 20)
                ),
                Some(like) => format!("did you mean `{like}`?"),
                None => format!("it has {}", listed(&names, 20)),
            };
            bail!(Usage(format!("{flag} {name}: the file has no such column; {hint}")))
        }
    }
}

/// As texts, or as numbers: written as the file writes them, or as anybody does.
fn same(value: &str, wanted: &str, numbers: NumberForm) -> bool {
    let number = |text: &str| numbers.parse(text).or_else(|| text.trim().parse().ok());
    value == wanted || number(value).is_some() && number(value) == number(wanted)
}

fn shown((value, rows): &(String, u64)) -> String {
    format!("`{value}` ({} rows)", count(*rows))
}

fn values(column: &ColumnFacts) -> String {
    let values: Vec<String> = column.listed.iter().map(|(value, rows)| format!("{value} ({})", count(*rows))).collect();
    if values.is_empty() { format!("{} different ones", count(column.distinct)) } else { listed(&values, 12) }
}

fn made(survey: &Survey, place: usize, positive: String, positives: u64, because: &'static str) -> Target {
    let column = &survey.columns[place];
    let mut others = column.listed.iter().filter(|(value, _)| *value != positive);
    let negative = match (others.next(), others.next()) {
        (Some((only, _)), None) => Some(only.clone()),
        _ => None,
    };
    let numbers = survey.dialect.numbers;
    let number = |text: &str| numbers.parse(text);
    let is_label = match column.data_type {
        DataType::Bool => positive.trim().to_lowercase().starts_with(['t', 'y']),
        DataType::Int => number(&positive) == Some(1.0) && negative.as_deref().and_then(number) == Some(0.0),
        _ => false,
    };
    let literal = |value: &str| match column.data_type {
        // As SQL writes numbers, whatever the file's way.
        DataType::Int | DataType::Float if numbers == NumberForm::default() => value.to_owned(),
        DataType::Int | DataType::Float => number(value).map_or_else(|| value.to_owned(), |number| number.to_string()),
        _ => format!("'{}'", value.replace('\'', "''")),
    };
    // A third value gives no label, rather than the other one.
    let expression = (!is_label).then(|| match (&negative, column.data_type) {
        (_, DataType::Bool) => "NOT {}".to_owned(),
        (Some(other), _) => {
            format!("CASE {{}} WHEN {} THEN true WHEN {} THEN false END", literal(&positive), literal(other))
        }
        (None, _) => format!("{{}} = {}", literal(&positive)),
    });
    let expression = expression.map(Expression);
    Target { place, positive, negative, positives, rows: column.values, because, expression }
}

impl Target {
    /// What decisions call the two outcomes, the predicted one second.
    pub(super) fn labels(&self) -> [String; 2] {
        let negative = self.negative.clone().unwrap_or_else(|| format!("not {}", self.positive));
        [negative, self.positive.clone()]
    }

    pub(super) fn says(&self, name: &str) -> String {
        let share = percent(self.positives, self.rows);
        format!("{name} = {} ({share} of {} rows; {})", self.positive, count(self.rows), self.because)
    }

    /// An outcome by the column called `name`: `late = yes`.
    pub(super) fn outcome(&self, name: &str, is_positive: bool) -> String {
        match (is_positive, &self.negative) {
            (true, _) => format!("{name} = {}", self.positive),
            (false, Some(negative)) => format!("{name} = {negative}"),
            (false, None) => format!("{name} other than {}", self.positive),
        }
    }

    /// Said where the rows of an outcome are too few for the parts that train, stop the training and measure.
    pub(super) fn too_few(&self, name: &str) -> Option<String> {
        let is_positive = self.positives * 2 <= self.rows;
        let rarer = if is_positive { self.positives } else { self.rows - self.positives };
        (rarer < FEWEST).then(|| {
            format!(
                "{name}: {} of {} rows have {}: too few to train on and to measure by; hundreds are a beginning",
                count(rarer),
                count(self.rows),
                self.outcome(name, is_positive)
            )
        })
    }

    /// Said where other values read like the positive one, but for their case or blanks: they count as not it.
    pub(super) fn other_spellings(&self, column: &ColumnFacts) -> Option<String> {
        let folded = |value: &str| value.trim().to_lowercase();
        let alike = |value: &str| value != self.positive && folded(value) == folded(&self.positive);
        let others: Vec<String> = column.listed.iter().filter(|(value, _)| alike(value)).map(shown).collect();
        (!others.is_empty()).then(|| {
            let (name, positive) = (&column.name, &self.positive);
            format!(
                "{name}: {} count as other than `{positive}`: if they are the same, make the label so, such as \
                 `trim(lower({name})) = '{}'` under `prepare`",
                others.join(", "),
                folded(positive)
            )
        })
    }

    /// The label of a sampled row.
    pub(super) fn label(&self, survey: &Survey, row: usize) -> Option<bool> {
        survey.cell(row, self.place).map(|cell| same(cell.trim(), &self.positive, survey.dialect.numbers))
    }
}
