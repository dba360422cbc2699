//! The contract at work: batches pass through the rules in their order and end among the accepted or in quarantine.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, nullif};
use arrow::datatypes::{Int64Type, UInt32Type};
use karat_core::hidden::NulledCell;
use karat_core::{DataType, Digest, Value};
use karat_project::spec::Action;

use super::accept::AcceptWriter;
use super::prepare::{Layout, prepare};
use super::quarantine::QuarantineWriter;
use super::relation::Related;
use super::report::{ContractReport, EXAMPLES, Example, RuleReport};
use super::rules::{CompiledRule, Test};
use super::unique::{Unique, Verdict};
use super::{Labels, Staged};
use crate::Result;
use crate::engine::Engine;
use crate::plan::{Parts, SourcePlan};
use crate::read::{BadRow, ReadBatch};

pub(super) struct Chain {
    parts: Arc<Parts>,
    layout: Layout,
    related: Related,
    labels: Labels,
    rules: Vec<RuleState>,
    quarantine: QuarantineWriter,
    accept: AcceptWriter,
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
    examples: Vec<Example>,
    unique: Option<Unique>,
}

impl Chain {
    pub(super) fn new(engine: &Engine, plan: &SourcePlan, related: Related, labels: Labels) -> Chain {
        let parts = plan.0.clone();
        let layout = Layout::new(&parts);
        let (temp_dir, budget) = (engine.temp_dir(), engine.memory_bytes());
        let quarantine = QuarantineWriter::new(temp_dir, budget / 16, labels.clone());
        let accept = AcceptWriter::new(&parts, &layout, temp_dir, budget / 4);
        let rules = parts.rules.iter().map(|_| RuleState::default()).collect();
        Chain {
            parts,
            layout,
            related,
            labels,
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
        }
        let (staged, failed) = prepare(&self.parts, &self.layout, batch)?;
        self.unprepared += failed.len() as u64;
        for row in &failed {
            self.set_apart("prepare", row)?;
        }
        self.push(staged, 0)
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
                Test::RowCount { .. } => Vec::new(),
                Test::Unique(columns) => match self.repeated(index, columns, &batch)? {
                    Verdict::Failing(rows) => rows,
                    Verdict::Waits => return Ok(()),
                },
                _ => rule.failing(&batch, &parts.prepared, &self.related)?,
            };
            batch = self.act(rule, batch, failing)?;
        }
        let incomplete = self.accept.push(&parts, &self.layout, &batch)?;
        self.incomplete += incomplete.len() as u64;
        for (check, row) in &incomplete {
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

    /// Counts the failing rows and does with them what the rule says; gives the batch that goes on.
    fn act(&mut self, rule: &CompiledRule, batch: RecordBatch, failing: Vec<usize>) -> Result<RecordBatch> {
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
        match rule.action {
            Action::Warn | Action::Fail => Ok(batch),
            Action::SetNull => set_null(rule, batch, &failing, self.layout.nulled),
            Action::Quarantine => {
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
        let rules: Vec<RuleReport> = rules.map(|((rule, state), count)| report(rule, state, count)).collect();
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
        Ok(Staged { report, quarantine, delivery: Digest::of(""), accepted, labels })
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
                    rows -= state.failed;
                }
                before
            })
            .collect()
    }
}

fn report(rule: &CompiledRule, state: RuleState, rows: u64) -> RuleReport {
    let failed = match rule.test {
        Test::RowCount { min, max } => u64::from(!(min..=max).contains(&rows)),
        _ => state.failed,
    };
    let share = match rule.test {
        Test::RowCount { .. } => failed as f64,
        _ if rows == 0 => 0.0,
        _ => failed as f64 / rows as f64,
    };
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
        fired: rule.fail_above.is_some_and(|allowed| share > allowed),
        reason: rule.reason.clone(),
        examples: state.examples,
    }
}

/// Empties the failing cells and notes in the hidden column what they held.
fn set_null(rule: &CompiledRule, batch: RecordBatch, failing: &[usize], nulled: usize) -> Result<RecordBatch> {
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
