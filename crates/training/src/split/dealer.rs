//! The split of rows that are shown batch by batch, for whoever only needs to know which of them train: what is held in
//! memory does not grow with the rows. [`super::assign`] gives the same.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use karat_project::spec::{self, SplitBy};

use super::time::Cuts;
use super::{Assignment, Part, hashed, shares, window};
use crate::data::read_labels;
use crate::{LeftOut, TrainingData, TrainingError};

/// The columns of spine rows that a split looks at; see [`TrainingData`]. A row without as_of is in no part.
#[derive(Debug, Clone)]
pub struct SpineBatch {
    pub label: ArrayRef,
    pub as_of: Int64Array,
    pub label_time: Int64Array,
    pub keys: Vec<ArrayRef>,
    pub groups: Vec<ArrayRef>,
}

/// Shown all batches once for each of [`Dealer::rounds`], it then says of any where its rows go.
#[derive(Debug)]
pub struct Dealer<'a> {
    split: &'a spec::Split,
    seed: u32,
    last: Option<i64>,
    cuts: Option<Cuts>,
}

impl<'a> Dealer<'a> {
    pub fn new(split: &'a spec::Split, seed: u32) -> Dealer<'a> {
        Dealer { split, seed, last: None, cuts: None }
    }

    /// Where the calendar ends, then where its parts begin; hashes need to see nothing.
    pub fn rounds(&self) -> usize {
        if self.split.by == SplitBy::Time { 2 } else { 0 }
    }

    /// Shows a batch in a round, from 0.
    pub fn show(&mut self, round: usize, batch: &SpineBatch) -> Result<(), TrainingError> {
        let labels = batch.labels()?;
        let as_of = (0..labels.len()).filter(|row| labels[*row].is_some()).map(|row| batch.as_of.value(row));
        if round == 0 {
            self.last = as_of.max().max(self.last);
            return Ok(());
        }
        let Some(last) = self.last else { return Ok(()) };
        let cuts = match &mut self.cuts {
            Some(cuts) => cuts,
            none => {
                let windows = (window(self.split, Part::Validation)?, window(self.split, Part::Test)?);
                none.insert(Cuts::new(last, windows.0, windows.1))
            }
        };
        as_of.for_each(|as_of| cuts.show(as_of));
        Ok(())
    }

    /// Where each row goes, with its label.
    pub fn deal(&self, batch: &SpineBatch) -> Result<Vec<(Assignment, Option<bool>)>, TrainingError> {
        let labels = batch.labels()?;
        let assigned = match self.split.by {
            SplitBy::Time => (0..labels.len()).map(|row| self.deal_by_time(batch, labels[row], row)).collect(),
            SplitBy::Random => hashed::assign_random(&batch.data()?, &labels, shares(self.split)?, self.seed)?,
            SplitBy::Group => hashed::assign_group(&batch.data()?, &labels, shares(self.split)?, self.seed)?,
        };
        Ok(assigned.into_iter().zip(labels).collect())
    }

    fn deal_by_time(&self, batch: &SpineBatch, label: Option<bool>, row: usize) -> Assignment {
        match (&self.cuts, label) {
            (Some(cuts), Some(_)) => {
                let known = batch.label_time.is_valid(row).then(|| batch.label_time.value(row));
                cuts.assign(batch.as_of.value(row), known)
            }
            _ => Assignment::Unlabelled,
        }
    }
}

impl SpineBatch {
    fn labels(&self) -> Result<Vec<Option<bool>>, TrainingError> {
        let mut labels = read_labels(&self.label)?;
        for (row, label) in labels.iter_mut().enumerate() {
            if self.as_of.is_null(row) {
                *label = None;
            }
        }
        Ok(labels)
    }

    fn data(&self) -> Result<TrainingData, TrainingError> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.label.len()));
        Ok(TrainingData {
            features: RecordBatch::try_new_with_options(Schema::empty().into(), Vec::new(), &options)?,
            label: self.label.clone(),
            as_of: self.as_of.clone(),
            label_time: self.label_time.clone(),
            keys: self.keys.clone(),
            groups: self.groups.clone(),
            profile: Vec::new(),
            refused: BTreeSet::new(),
            left_out: LeftOut::default(),
            words: BTreeMap::new(),
        })
    }
}
