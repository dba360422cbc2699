//! The contract at work: batches pass through the rules in their order and end among the accepted or in quarantine.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, nullif};
use arrow::datatypes::{Int64Type, UInt32Type};
use karat_core::hidden::NulledCell;
use karat_core::{DataType, Digest, Value, Zone};
use karat_project::spec::{Action, Delivery};

use super::accept::AcceptWriter;
use super::aside::AsideKeys;
use super::prepare::{Layout, Preparing, prepare};
use super::quarantine::QuarantineWriter;
use super::relation::Related;
use super::report::{ContractReport, EXAMPLES, Example, RuleReport};
use super::rules::{CompiledRule, Test};
use super::unique::{Unique, Verdict};
use super::whole::{self, newest};
use super::{Labels, Occasion, Seen, Staged, Tap};
use crate::Result;
use crate::engine::Engine;
use crate::plan::{Parts, SourcePlan};
use crate::read::{BadRow, ReadBatch};
use crate::spool::SpoolWriter;

pub(super) struct Chain {
    parts: Arc<Parts>,
    layout: Layout,
    related: Related,
    occasion: Occasion,
    labels: Labels,
    tap: Tap,
    rules: Vec<RuleState>,
    quarantine: QuarantineWriter,
    accept: AcceptWriter,
    aside: Option<AsideKeys>,
    read: u64,
    unreadable: u64,
    unprepared: u64,
    incomplete: u64,
    examples: Vec<Example>,
    temp_dir: std::path::PathBuf,
    budget: usize,
}

#[derive(Default)]
struct RuleState {
    examined: u64,
    failed: u64,
    /// Of the failed, those that did not go on.
    kept_apart: u64,
    examples: Vec<Example>,
    unique: Option<Unique>,
    /// Rows that wait for the share that fails to be known, and which of them, by number, do.
    waiting: Option<(SpoolWriter, Vec<u64>)>,
    /// Of a `freshness` check.
    newest: Option<i64>,
}

impl Chain {
    pub(super) fn new(
        engine: &Engine,
        plan: &SourcePlan,
        related: Related,
        occasion: Occasion,
        labels: Labels,
        tap: Tap,
    ) -> Chain {
        let parts = plan.0.clone();
        let layout = Layout::new(&parts);
        let (temp_dir, budget) = (engine.temp_dir(), engine.memory_bytes());
        let quarantine = QuarantineWriter::new(temp_dir, budget / 16, labels.clone());
        let accept = AcceptWriter::new(&parts, &layout, temp_dir, budget / 4);
        let aside = AsideKeys::new(&parts, temp_dir, budget / 16);
        let rules = parts.rules.iter().map(|_| RuleState::default()).collect();
        Chain {
            aside,
            parts,
            layout,
            related,
            occasion,
            labels,
            tap,
            rules,
            quarantine,
            accept,
            read: 0,
            unreadable: 0,
            unprepared: 0,
            incomplete: 0,
            examples: Vec::new(),
            temp_dir: temp_dir.to_owned(),
            budget,
        }
    }

    pub(super) fn take(&mut self, mut batch: ReadBatch) -> Result<()> {
        let bad = std::mem::take(&mut batch.bad);
        self.read += (batch.rows.num_rows() + bad.len()) as u64;
        self.unreadable += bad.len() as u64;
        for row in &bad {
            self.set_apart("read", row)?;
            if let Some(aside) = &mut self.aside {
                aside.take_unread(row)?;
            }
        }
        (self.tap)(Seen::Read(&batch.rows))?;
        let Preparing { rows: staged, failed_rows, failed } = prepare(&self.parts, &self.layout, batch)?;
        if let Some(aside) = &mut self.aside {
            aside.take(&failed_rows, 0..failed_rows.num_rows())?;
        }
        (self.tap)(Seen::Prepared(&staged))?;
        self.unprepared += failed.len() as u64;
        for row in &failed {
            self.set_apart("prepare", row)?;
        }
        self.push(staged, 0)
    }

    /// Notes the keys of these rows of a prepared batch.
    fn set_keys_aside(&mut self, batch: &RecordBatch, rows: impl ExactSizeIterator<Item = usize>) -> Result<()> {
        match &mut self.aside {
            Some(aside) if rows.len() > 0 => aside.take(batch, rows),
            _ => Ok(()),
        }
    }

    fn set_apart(&mut self, check: &str, row: &BadRow) -> Result<()> {
        if self.examples.len() < EXAMPLES {
            let file = self.labels.get(row.file).to_owned();
            let reason = match &row.column {
                Some(column) => format!("{column}: {}", row.reason),
                None => row.reason.clone(),
            };
            self.examples.push(Example { file, line: row.line, value: row.value.clone(), reason: Some(reason) });
        }
        self.quarantine.push(check, row)
    }

    /// Sends a batch through the rules from number `from` on.
    fn push(&mut self, mut batch: RecordBatch, from: usize) -> Result<()> {
        let parts = self.parts.clone();
        for (index, rule) in parts.rules.iter().enumerate().skip(from) {
            if batch.num_rows() == 0 {
                return Ok(());
            }
            let failing = match &rule.test {
                Test::RowCount { .. } | Test::Volume { .. } => Vec::new(),
                Test::Freshness { place, .. } => {
                    let newest = newest(batch.column(*place), &parts.source.zone());
                    let state = &mut self.rules[index];
                    state.newest = state.newest.max(newest);
                    Vec::new()
                }
                Test::Unique(columns) => match self.repeated(index, columns, &batch)? {
                    Verdict::Failing(rows) => rows,
                    Verdict::Waits => return Ok(()),
                },
                _ => rule.failing(&batch, &parts, &self.related, &self.occasion)?,
            };
            if rule.waits() {
                return self.wait(index, batch, failing);
            }
            batch = self.act(rule, batch, failing)?;
        }
        let incomplete = self.accept.push(&parts, &self.layout, &batch)?;
        self.incomplete += incomplete.len() as u64;
        self.set_keys_aside(&batch, incomplete.iter().map(|(row, ..)| *row))?;
        for (_, check, row) in &incomplete {
            self.set_apart(check, row)?;
        }
        Ok(())
    }

    fn repeated(&mut self, index: usize, columns: &[(usize, DataType)], batch: &RecordBatch) -> Result<Verdict> {
        let unique = match &mut self.rules[index].unique {
            Some(unique) => unique,
            none => none.insert(Unique::new(columns, &self.temp_dir, self.budget / 8)?),
        };
        unique.push(batch, &self.layout.schema)
    }

    /// Sets the batch aside until the share that fails is known.
    fn wait(&mut self, index: usize, batch: RecordBatch, failing: Vec<usize>) -> Result<()> {
        let spool = || SpoolWriter::new(self.layout.schema.clone(), &self.temp_dir, self.budget / 8);
        let (rows, numbers) = self.rules[index].waiting.get_or_insert_with(|| (spool(), Vec::new()));
        let first = rows.rows();
        numbers.extend(failing.into_iter().map(|row| first + row as u64));
        rows.push(batch)
    }

    /// Counts the failing rows and does with them what the rule says; gives the batch that goes on.
    fn act(&mut self, rule: &CompiledRule, batch: RecordBatch, failing: Vec<usize>) -> Result<RecordBatch> {
        self.act_as(rule, rule.action, batch, failing)
    }

    fn act_as(
        &mut self,
        rule: &CompiledRule,
        action: Action,
        batch: RecordBatch,
        failing: Vec<usize>,
    ) -> Result<RecordBatch> {
        let state = &mut self.rules[rule.index];
        state.examined += batch.num_rows() as u64;
        if failing.is_empty() {
            return Ok(batch);
        }
        state.failed += failing.len() as u64;
        let files = batch.column(self.layout.file).as_primitive::<UInt32Type>();
        let lines = batch.column(self.layout.line).as_primitive::<Int64Type>();
        for &row in failing.iter().take(EXAMPLES - state.examples.len()) {
            let file = self.labels.get(files.value(row)).to_owned();
            let value = rule.value(&batch, row);
            state.examples.push(Example { file, line: lines.value(row), value, reason: None });
        }
        if action == Action::Quarantine {
            state.kept_apart += failing.len() as u64;
        }
        match action {
            Action::Warn | Action::Fail => Ok(batch),
            Action::SetNull => set_null(rule, batch, &failing, self.layout.nulled),
            Action::Quarantine => {
                self.set_keys_aside(&batch, failing.iter().copied())?;
                let mut keep = vec![true; batch.num_rows()];
                for row in failing {
                    keep[row] = false;
                    let bad = BadRow {
                        file: files.value(row),
                        line: lines.value(row),
                        column: rule.column.clone(),
                        value: rule.value(&batch, row),
                        reason: rule.reason.clone(),
                        row: self.layout.raw_row(&batch, row),
                    };
                    self.quarantine.push(rule.check, &bad)?;
                }
                Ok(filter_record_batch(&batch, &BooleanArray::from(keep))?)
            }
        }
    }

    pub(super) fn finish(mut self) -> Result<Staged> {
        let parts = self.parts.clone();
        for (index, rule) in parts.rules.iter().enumerate() {
            self.finish_waiting(rule)?;
            let waited = match &mut self.rules[index].unique {
                Some(unique) => unique.finish()?,
                None => None,
            };
            let Some((rows, repeated)) = waited else { continue };
            let mut first = 0;
            for batch in rows.batches()? {
                let batch = batch?;
                let count = batch.num_rows() as u64;
                let failing = (0..count).filter(|row| repeated.contains(first + row)).map(|row| row as usize).collect();
                first += count;
                let batch = self.act(rule, batch, failing)?;
                self.push(batch, index + 1)?;
            }
        }
        // A count of rows looks at what came to its place in the contract: what the rule before let go on.
        let counts = self.rows_before_each_rule();
        let rules = parts.rules.iter().zip(self.rules).zip(counts);
        let occasion = &self.occasion;
        let zone = parts.source.zone();
        let delivery = parts.shape.delivery;
        let rules: Vec<RuleReport> =
            rules.map(|((rule, state), count)| report(rule, state, count, occasion, delivery, &zone)).collect();
        let quarantined = self.quarantine.rows();
        let accepted = self.accept.finish()?;
        let report = ContractReport {
            source: parts.source.name.clone(),
            read: self.read,
            accepted: accepted.rows(),
            quarantined,
            unreadable: self.unreadable,
            unprepared: self.unprepared,
            incomplete: self.incomplete,
            examples: self.examples,
            rules,
            left_out: Vec::new(),
            files: Vec::new(),
        };
        let labels = self.labels.all().to_vec();
        let quarantine = self.quarantine.finish()?;
        let aside = self.aside.map(AsideKeys::finish).transpose()?;
        Ok(Staged { report, quarantine, delivery: Digest::of(""), accepted, aside, labels, occasion: self.occasion })
    }

    /// Rows that waited go on; whether those that fail do is told by how many they are.
    fn finish_waiting(&mut self, rule: &CompiledRule) -> Result<()> {
        let Some((rows, failing)) = self.rules[rule.index].waiting.take() else { return Ok(()) };
        let rows = rows.finish()?;
        let borne = failing.len() as f64 <= rule.tolerance().unwrap_or(0.0) * rows.rows() as f64;
        let action = if borne { Action::Warn } else { rule.action };
        let (mut first, mut next) = (0, 0);
        for batch in rows.batches()? {
            let batch = batch?;
            let end = first + batch.num_rows() as u64;
            let here = failing[next..].iter().take_while(|row| **row < end);
            let here: Vec<usize> = here.map(|row| (row - first) as usize).collect();
            next += here.len();
            first = end;
            let batch = self.act_as(rule, action, batch, here)?;
            self.push(batch, rule.index + 1)?;
        }
        Ok(())
    }

    fn rows_before_each_rule(&self) -> Vec<u64> {
        let mut rows = self.read - self.unreadable - self.unprepared;
        let parts = &self.parts;
        parts
            .rules
            .iter()
            .zip(&self.rules)
            .map(|(rule, state)| {
                let before = rows;
                if rule.action == Action::Quarantine {
                    rows -= state.kept_apart;
                }
                before
            })
            .collect()
    }
}

fn report(
    rule: &CompiledRule,
    state: RuleState,
    rows: u64,
    occasion: &Occasion,
    delivery: Delivery,
    zone: &Zone,
) -> RuleReport {
    let whole = match &rule.test {
        Test::RowCount { min, max } => Some((!(*min..=*max).contains(&rows), rule.reason.clone())),
        Test::Freshness { within, .. } => Some(whole::freshness(state.newest, *within, occasion, zone)),
        Test::Volume { .. } if whole::counts_news(delivery) => Some((false, whole::NEWS_ARE_COUNTED_LATER.to_owned())),
        Test::Volume { last, tolerance } => Some(whole::volume(rows, "rows", *last, *tolerance, occasion)),
        _ => None,
    };
    let (failed, share, reason) = match whole {
        Some((failed, reason)) => (u64::from(failed), f64::from(u8::from(failed)), reason),
        None if rows == 0 => (state.failed, 0.0, rule.reason.clone()),
        None => (state.failed, state.failed as f64 / rows as f64, rule.reason.clone()),
    };
    let tolerance = rule.tolerance().unwrap_or(0.0);
    RuleReport {
        index: rule.index,
        check: rule.check.to_owned(),
        column: rule.column.clone(),
        description: rule.description.clone(),
        action: rule.action,
        examined: rows,
        failed,
        share,
        fail_above: rule.fail_above,
        fired: rule.fail_above.is_some_and(|allowed| share > allowed.max(tolerance)),
        reason,
        examples: state.examples,
    }
}

/// Empties the failing cells and notes in the hidden column what they held.
pub(super) fn set_null(
    rule: &CompiledRule,
    batch: RecordBatch,
    failing: &[usize],
    nulled: usize,
) -> Result<RecordBatch> {
    let [(name, place)] = rule.shown.as_slice() else { unreachable!("set_null is on one column") };
    let array = batch.column(*place);
    let mut taken = vec![false; batch.num_rows()];
    let notes = batch.column(nulled).as_string::<i32>();
    let mut new_notes: Vec<Option<String>> = notes.iter().map(|note| note.map(str::to_owned)).collect();
    for &row in failing.iter().filter(|row| array.is_valid(**row)) {
        taken[row] = true;
        let value = Value::from_array(array, row).to_string();
        let mut cells: Vec<NulledCell> = match &new_notes[row] {
            Some(note) => serde_json::from_str(note).expect("the note was written here"),
            None => Vec::new(),
        };
        cells.push(NulledCell { column: name.clone(), value, check: rule.check.to_owned() });
        new_notes[row] = Some(serde_json::to_string(&cells).expect("cells serialise"));
    }
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[*place] = nullif(array, &BooleanArray::from(taken))?;
    columns[nulled] = Arc::new(StringArray::from(new_notes));
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
