//! A source's profile: what its rows look like, what the contract found, and what the label does.

mod columns;
mod contract;
mod overview;

use karat_core::Instant;
use karat_core::profile::Profile;
use serde::Serialize;

use crate::ReportError;
use crate::document::{Block, Document, Section, Tile};
use crate::words::{counted, moment, percent, thousands};

/// What the page shows besides the profile's own figures.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    pub project: String,
    pub written: Instant,
    pub karat: String,
    pub description: String,
    pub profile: &'a Profile,
    pub contract: Contract,
}

/// What became of the delivery's rows, in words.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Contract {
    pub read: u64,
    pub accepted: u64,
    pub quarantined: u64,
    /// Rows that no rule judged: unreadable, not to be prepared, without a key or a time.
    pub outside_rules: Vec<(String, u64)>,
    pub rules: Vec<RuleLine>,
    /// What joins and filters of an SQL source left out, a sentence each.
    pub left_out: Vec<String>,
    /// Where the rows came from: a path, or `SQL over …`.
    pub from: String,
    pub files: Vec<FileLine>,
    /// Why the delivery would be refused.
    pub refused: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RuleLine {
    pub check: String,
    pub on: String,
    pub means: String,
    pub action: String,
    pub examined: u64,
    pub failed: u64,
    pub share: f64,
    /// Whether it refuses the delivery.
    pub fired: bool,
    /// The first failing row: its place and value.
    pub example: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct FileLine {
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    pub digest: String,
}

/// Files that the page lists.
const FILES: usize = 20;

impl Page<'_> {
    /// The whole page.
    pub fn html(&self) -> Result<String, ReportError> {
        let mut sections = vec![self.contract_section(), self.overview()];
        sections.extend(self.over_time());
        sections.push(self.columns());
        sections.push(self.method());
        let document = Document {
            title: format!("{} – source profile", self.profile.source),
            kind: format!("Source profile · {}", self.project),
            heading: self.profile.source.to_string(),
            lead: self.description.clone(),
            badges: self.badges(),
            tiles: self.tiles(),
            sections,
            footer: format!(
                "Written by Karat {} on {}. One file: nothing in it is loaded from elsewhere.",
                self.karat,
                moment(self.written)
            ),
        };
        document.html()
    }

    fn badges(&self) -> Vec<(String, &'static str)> {
        let contract = &self.contract;
        let failing = contract.rules.iter().filter(|rule| rule.failed > 0).count() as u64;
        vec![match (&contract.refused, contract.rules.len(), failing) {
            (Some(_), ..) => ("the contract refuses this delivery".to_owned(), "bad"),
            (None, 0, _) => ("no contract".to_owned(), "plain"),
            (None, _, 0) => ("every rule holds".to_owned(), "good"),
            (None, _, failing) => (format!("{} found failing rows", counted(failing, "rule", "rules")), "plain"),
        }]
    }

    fn tiles(&self) -> Vec<Tile> {
        let profile = self.profile;
        let tile = |name: &str, value: String, note: String| Tile { name: name.to_owned(), value, note };
        let share = |part: u64| percent(part as f64 / (self.contract.read as f64).max(1.0));
        let mut tiles = vec![
            tile("rows read", thousands(self.contract.read), String::new()),
            tile("accepted", thousands(self.contract.accepted), share(self.contract.accepted)),
            tile("quarantined", thousands(self.contract.quarantined), share(self.contract.quarantined)),
            tile("columns", profile.columns.len().to_string(), String::new()),
            tile("repeated rows", thousands(profile.repeated_rows), "as read, in every column".to_owned()),
        ];
        if let Some(keys) = &profile.repeated_keys {
            tiles.push(tile("repeated keys", thousands(keys.rows), keys.columns.join(", ")));
        }
        if let (Some(first), Some(last)) = (profile.months.first(), profile.months.last()) {
            let months = counted(profile.months.len() as u64, "month", "months");
            tiles.push(tile(&months, last.month.clone(), format!("from {}", first.month)));
        }
        if let Some(label) = &profile.label {
            let rate = label.positives as f64 / (label.rows as f64).max(1.0);
            tiles.push(tile(
                &format!("{}, training rows", label.column),
                percent(rate),
                format!("{} of {}", thousands(label.positives), thousands(label.rows)),
            ));
        }
        tiles
    }

    fn method(&self) -> Section {
        let bounds = &self.profile.bounds;
        let mut facts = vec![
            ("counts".to_owned(), "Rows, nulls, means, histograms, rates and months are exact.".to_owned()),
            (
                "distinct values, top values".to_owned(),
                format!(
                    "Exact up to {} different values of a column (and {} MiB of their text). Beyond, the number of distinct \
                     values is an estimate (HyperLogLog, standard error {}), and of top values only those are told that are \
                     sure to be among the most frequent, with the most that their counts may be too low by.",
                    thousands(bounds.exact_values),
                    bounds.exact_bytes >> 20,
                    percent(bounds.distinct_error)
                ),
            ),
            (
                "quantiles".to_owned(),
                "The smallest value that at least this share of values does not exceed. Exact up to the same number of \
                 different values; beyond, each column says how far off a rank may be, a bound that was counted and not assumed."
                    .to_owned(),
            ),
            (
                "repeated rows".to_owned(),
                "Rows, and keys, that agree with an earlier one, compared by 64-bit hashes.".to_owned(),
            ),
            (
                "PSI".to_owned(),
                "Population stability index of a month against all accepted rows, over bins of about equal size, nulls a bin \
                 of their own. By custom: above 0.1 worth a look, above 0.25 a shift."
                    .to_owned(),
            ),
        ];
        if let Some(label) = &self.profile.label {
            facts.push((
                "label".to_owned(),
                format!(
                    "{} of model {}. Rates are over the {} rows that its split gives to training; {} other rows (validation, \
                     test, without a label, or known too late) show nowhere in them, and of the label's own column only counts \
                     are told.",
                    label.column,
                    label.model,
                    thousands(label.rows),
                    thousands(label.left_out)
                ),
            ));
            facts.push((
                "information value (IV)".to_owned(),
                "How much a column's bins tell of the label (Siddiqi): below 0.02 nothing, to 0.1 little, to 0.3 some, to 0.5 \
                 much; above, ask whether it was known in time."
                    .to_owned(),
            ));
        }
        Section {
            id: "method".to_owned(),
            title: "How it was counted".to_owned(),
            lead: "One pass over the source; memory is bounded whatever its size.".to_owned(),
            blocks: vec![Block::Facts(facts)],
        }
    }
}
