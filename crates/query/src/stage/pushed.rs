//! A contract on rows that are pushed: what is about one row holds as in a delivery; what is about a whole delivery
//! (its rows, their uniqueness, age and number, shares that may fail) has no meaning here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use karat_core::Instant;
use karat_project::spec::Action;
use serde::Serialize;
use serde_json::Value as Json;

use super::accept::{accept, accepted_schema};
use super::chain::set_null;
use super::prepare::{Layout, Preparing, prepare};
use super::quarantine::QuarantineWriter;
use super::relation::Related;
use super::rules::{CompiledRule, Test};
use super::{ACCEPTED_LINE, Labels, Occasion};
use crate::Result;
use crate::engine::Engine;
use crate::plan::{Input, Parts, SourcePlan};
use crate::push::{Pushed, Taken};
use crate::read::{BadRow, ObjectRows};

/// A row that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowFault {
    /// Its number in the request; 1 is the first.
    pub row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The check it fails: one of the contract, or `read`, `prepare`, `key`, `event_time`, `known_time`.
    pub check: String,
    pub reason: String,
}

/// A source's contract, ready for rows.
pub(crate) struct PushContract {
    parts: Arc<Parts>,
    layout: Layout,
    schema: SchemaRef,
}

/// A group of requests, checked.
pub(crate) struct Checked {
    /// Rows that pass, as [`accepted_schema`] has them; their line is their number in the group.
    rows: RecordBatch,
    /// By number in the group: what is wrong with a row, and what becomes of it.
    wrong: BTreeMap<i64, Wrong>,
    /// The number in the group of each request's first row, and one past the last of the last.
    begins: Vec<i64>,
}

struct Wrong {
    fate: Fate,
    check: &'static str,
    bad: BadRow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The whole request is refused.
    Refused,
    KeptApart,
}

impl PushContract {
    pub(crate) fn new(plan: &SourcePlan) -> PushContract {
        let parts = plan.0.clone();
        let layout = Layout::new(&parts);
        PushContract { schema: accepted_schema(&parts, &layout), layout, parts }
    }

    pub(crate) fn check(&self, requests: &[Vec<Json>], at: Instant) -> Result<Checked> {
        let Input::Files { columns } = &self.parts.input else { unreachable!("no query takes pushes") };
        let mut reading = ObjectRows::new(columns, &self.parts.source.zone());
        let mut begins = vec![0];
        let mut line = 0_i64;
        for request in requests {
            for (number, row) in (1..).zip(request) {
                reading.take(row, line.unsigned_abs(), number);
                line += 1;
            }
            begins.push(line);
        }
        let mut batch = reading.finish()?;
        let mut wrong = BTreeMap::new();
        let mut refuse = |check: &'static str, bad: BadRow| {
            wrong.entry(bad.line).or_insert(Wrong { fate: Fate::Refused, check, bad });
        };
        std::mem::take(&mut batch.bad).into_iter().for_each(|bad| refuse("read", bad));
        let Preparing { rows, failed, .. } = prepare(&self.parts, &self.layout, batch)?;
        failed.into_iter().for_each(|bad| refuse("prepare", bad));
        let rows = self.rules(rows, at, &mut wrong)?;
        let (rows, incomplete) = accept(&self.schema, &self.parts, &self.layout, &rows)?;
        for (_, check, bad) in incomplete {
            wrong.insert(bad.line, Wrong { fate: Fate::Refused, check, bad });
        }
        Ok(Checked { rows, wrong, begins })
    }

    fn rules(&self, mut rows: RecordBatch, at: Instant, wrong: &mut BTreeMap<i64, Wrong>) -> Result<RecordBatch> {
        let occasion = Occasion::first(at);
        for rule in self.parts.rules.iter().filter(|rule| is_of_rows(rule)) {
            let failing = rule.failing(&rows, &self.parts, &Related::new(), &occasion)?;
            if failing.is_empty() {
                continue;
            }
            let fate = match rule.action {
                Action::Warn => continue,
                Action::SetNull => {
                    rows = set_null(rule, rows, &failing, self.layout.nulled)?;
                    continue;
                }
                // A share of a delivery may fail; a row by itself does not.
                Action::Fail if rule.fail_above.is_some_and(|share| share > 0.0) => continue,
                Action::Fail => Fate::Refused,
                Action::Quarantine => Fate::KeptApart,
            };
            let lines = rows.column(self.layout.line).as_primitive::<Int64Type>();
            let mut keep = vec![true; rows.num_rows()];
            for row in failing {
                keep[row] = false;
                let bad = BadRow {
                    file: 0,
                    line: lines.value(row),
                    column: rule.column.clone(),
                    value: rule.value(&rows, row),
                    reason: rule.reason.clone(),
                    row: self.layout.raw_row(&rows, row),
                };
                wrong.insert(bad.line, Wrong { fate, check: rule.check, bad });
            }
            rows = filter_record_batch(&rows, &BooleanArray::from(keep))?;
        }
        Ok(rows)
    }
}

fn is_of_rows(rule: &CompiledRule) -> bool {
    match rule.test {
        Test::Unique(_) | Test::RowCount { .. } | Test::Freshness { .. } | Test::Volume { .. } => false,
        // A source that takes pushes has none.
        Test::Relation { .. } => false,
        Test::NotNull(_)
        | Test::Allowed(..)
        | Test::Range { .. }
        | Test::Length { .. }
        | Test::Pattern(..)
        | Test::Expression(_) => true,
    }
}

impl Checked {
    /// By request: refused with every row that is refused, else with all its rows accepted that are not kept apart.
    pub(crate) fn answers(&self, commit: u64) -> Vec<Pushed> {
        self.begins
            .windows(2)
            .map(|request| {
                let wrong = || self.wrong.range(request[0]..request[1]);
                let faults = |fate: Fate| -> Vec<RowFault> {
                    let of = wrong().filter(|(_, wrong)| wrong.fate == fate);
                    of.map(|(line, wrong)| wrong.fault((line - request[0] + 1).unsigned_abs())).collect()
                };
                let refused = faults(Fate::Refused);
                if !refused.is_empty() {
                    return Pushed::Refused(refused);
                }
                let quarantined = faults(Fate::KeptApart);
                let accepted = (request[1] - request[0]).unsigned_abs() - quarantined.len() as u64;
                Pushed::Taken(Taken { accepted, duplicates: 0, quarantined, commit })
            })
            .collect()
    }

    /// The rows of the requests that are not refused.
    pub(crate) fn accepted(&self, answers: &[Pushed]) -> Result<RecordBatch> {
        if answers.iter().all(|answer| matches!(answer, Pushed::Taken(_))) {
            return Ok(self.rows.clone());
        }
        let taken = |row: &u32| matches!(answers[self.request(&self.rows, *row as usize)], Pushed::Taken(_));
        let rows: Vec<u32> = (0..self.rows.num_rows() as u32).filter(taken).collect();
        Ok(take_record_batch(&self.rows, &UInt32Array::from(rows))?)
    }

    /// Which request a row came in.
    pub(crate) fn request(&self, rows: &RecordBatch, row: usize) -> usize {
        let lines = rows.column_by_name(ACCEPTED_LINE).expect("accepted rows have it").as_primitive::<Int64Type>();
        self.begins.partition_point(|begin| *begin <= lines.value(row)) - 1
    }

    /// Writes the rows kept apart, of the requests that are not refused, to a file in `folder`.
    pub(crate) fn keep_apart(&self, answers: &[Pushed], engine: &Engine, folder: &Path) -> Result<()> {
        let labels = Labels::default();
        labels.set(vec!["pushed".to_owned()]);
        let mut writer = QuarantineWriter::new(engine.temp_dir(), usize::MAX, labels);
        for (line, wrong) in self.wrong.iter().filter(|(_, wrong)| wrong.fate == Fate::KeptApart) {
            let request = self.begins.partition_point(|begin| begin <= line) - 1;
            if matches!(answers[request], Pushed::Taken(_)) {
                let number = line - self.begins[request] + 1;
                writer.push(wrong.check, &BadRow { line: number, ..wrong.bad.clone() })?;
            }
        }
        if writer.rows() > 0 {
            writer.finish()?.write(folder)?;
        }
        Ok(())
    }
}

impl Wrong {
    fn fault(&self, row: u64) -> RowFault {
        RowFault {
            row,
            column: self.bad.column.clone(),
            value: self.bad.value.clone(),
            check: self.check.to_owned(),
            reason: self.bad.reason.clone(),
        }
    }
}
