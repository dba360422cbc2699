use std::fmt;

use karat_core::{Name, thousands};
use karat_project::spec::Action;
use serde::{Deserialize, Serialize};

use crate::read::FileNote;
use crate::sql::LeftOut;

/// What became of every row of a delivery: `read = accepted + quarantined`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContractReport {
    pub source: Name,
    pub read: u64,
    pub accepted: u64,
    pub quarantined: u64,
    /// Of the quarantined: rows with a cell that is not of its type, too few or too many cells.
    pub unreadable: u64,
    /// Of the quarantined: rows on which a `prepare` expression failed.
    pub unprepared: u64,
    /// Of the quarantined: rows without a key or a time, which have no place in a history.
    pub incomplete: u64,
    /// Up to five of the unreadable, unprepared and incomplete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    pub rules: Vec<RuleReport>,
    /// What joins and filters of an SQL source left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileNote>,
}

/// One line of the contract, applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// Its place in the contract; 0 is the first.
    pub index: usize,
    pub check: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub action: Action,
    /// Rows it looked at: those that no earlier rule quarantined.
    pub examined: u64,
    /// Rows that failed; for checks of the whole delivery 1 or 0.
    pub failed: u64,
    /// `failed / examined`.
    pub share: f64,
    /// The share above which the delivery is refused, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_above: Option<f64>,
    /// Whether it refuses the delivery.
    pub fired: bool,
    /// What failing means, in words: `is null`, `outside 0..120`.
    pub reason: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    pub file: String,
    pub line: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why, where the rule does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Examples kept per rule.
pub(crate) const EXAMPLES: usize = 5;

impl ContractReport {
    /// Lets the delivery pass whatever `volume` checks found.
    pub fn bear_volume(&mut self) {
        self.rules.iter_mut().filter(|rule| rule.check == "volume").for_each(|rule| rule.fired = false);
    }

    /// Why the delivery is refused, if it is.
    pub fn refusal(&self) -> Option<String> {
        let fired: Vec<String> = self.rules.iter().filter(|rule| rule.fired).map(RuleReport::sentence).collect();
        (!fired.is_empty()).then(|| fired.join("; "))
    }

    /// What is wrong with most of the rows that something is wrong with, and one of them.
    ///
    /// `21,807 of 21,807 rows cannot be taken in, such as data/a.csv:2 (income: not an int)`
    pub(crate) fn mostly(&self) -> Option<String> {
        let unplaced = self.unreadable + self.unprepared + self.incomplete;
        let by_rule = self.rules.iter().filter(|rule| !rule.examples.is_empty() && rule.failed > unplaced);
        let by_rule = by_rule.filter(|rule| rule.fired || rule.action == Action::Quarantine);
        let (rows, what, example) = match by_rule.max_by_key(|rule| rule.failed) {
            Some(rule) => {
                let on = rule.column.as_ref().map(|column| format!("{column} ")).unwrap_or_default();
                (rule.failed, format!("{on}{}", rule.reason), rule.examples.first()?)
            }
            None => (unplaced, "cannot be taken in".to_owned(), self.examples.first()?),
        };
        Some(format!("{} of {} rows {what}, such as {example}", thousands(rows), thousands(self.read)))
    }
}

impl fmt::Display for Example {
    /// `data/loans.csv:12 value 3021-09-18`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if let Some(value) = &self.value {
            write!(f, " value {value}")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        Ok(())
    }
}

impl RuleReport {
    /// `range on age (contract line 3): 12 of 100 rows outside 0..120, more than the allowed share of 0.05`
    fn sentence(&self) -> String {
        let on = self.column.as_ref().map(|column| format!(" on {column}")).unwrap_or_default();
        let head = format!("{}{on} (rule {})", self.check, self.index + 1);
        if self.check == "row_count" {
            return format!("{head}: {} rows, {}", self.examined, self.reason);
        }
        if matches!(self.check.as_str(), "freshness" | "volume") {
            return format!("{head}: {}", self.reason);
        }
        let allowed = self.fail_above.unwrap_or(0.0);
        format!("{head}: {} of {} rows {}, where a share of {allowed} may", self.failed, self.examined, self.reason)
    }
}
