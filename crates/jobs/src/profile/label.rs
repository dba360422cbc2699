//! A model's label on the rows that its split gives to training.

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use karat_core::profile::Label;
use karat_core::{Column, Instant, Name, Zone};
use karat_project::spec::{Model, key_columns};
use karat_query::{Staged, TrainingLabel};
use karat_training::split::{Assignment, Dealer, Part, SpineBatch};

use crate::Workspace;
use crate::catalog::entities;
use crate::training_set::instants;

pub struct ModelLabel<'a> {
    model: &'a Model,
    keys: Vec<Column>,
    zone: Zone,
    dealer: Dealer<'a>,
    rows: u64,
    positives: u64,
    left_out: u64,
}

impl<'a> ModelLabel<'a> {
    /// Looks at the accepted rows as often as the split needs, to know where its parts begin.
    pub fn new(workspace: &Workspace, model: &'a Model, staged: &Staged) -> Result<ModelLabel<'a>> {
        let source: &Name = &model.spine.source;
        let mut label = ModelLabel {
            model,
            keys: key_columns(&entities(&workspace.project, &model.spine.entities)),
            zone: workspace.project.sources()[source].zone(),
            dealer: Dealer::new(&model.split, model.seed),
            rows: 0,
            positives: 0,
            left_out: 0,
        };
        for round in 0..label.dealer.rounds() {
            for batch in staged.accepted_batches()? {
                let spine = label.spine(&batch?)?;
                label.dealer.show(round, &spine)?;
            }
        }
        // What a split by hashes cannot do with these columns, it says on any batch.
        if let Some(batch) = staged.accepted_batches()?.next() {
            let spine = label.spine(&batch?)?;
            label.dealer.deal(&spine)?;
        }
        Ok(label)
    }

    fn spine(&self, batch: &RecordBatch) -> Result<SpineBatch> {
        let spine = &self.model.spine;
        let column = |name: &str| -> Result<ArrayRef> {
            batch.column_by_name(name).cloned().with_context(|| format!("{} has no column {name}", spine.source))
        };
        let as_of = match &spine.as_of {
            Some(name) => instants(&column(name)?, &self.zone)?,
            // Rows without a time are all alike in time.
            None => Int64Array::from(vec![Instant::ALWAYS.micros(); batch.num_rows()]),
        };
        Ok(SpineBatch {
            label: column(spine.label.name())?,
            label_time: match &spine.label_time {
                Some(name) => instants(&column(name)?, &self.zone)?,
                None => as_of.clone(),
            },
            keys: self.keys.iter().map(|key| column(&key.name)).collect::<Result<_>>()?,
            groups: self.model.split.column.iter().map(|name| column(name)).collect::<Result<_>>()?,
            as_of,
        })
    }

    fn label_of(&mut self, batch: &RecordBatch) -> Result<Vec<Option<bool>>> {
        let dealt = self.dealer.deal(&self.spine(batch)?)?;
        let trains = |(assignment, label): (Assignment, Option<bool>)| match assignment {
            Assignment::In(Part::Train) => label,
            _ => None,
        };
        Ok(dealt.into_iter().map(trains).collect())
    }
}

impl TrainingLabel for ModelLabel<'_> {
    fn described(&self) -> Option<Label> {
        Some(Label {
            model: self.model.name.clone(),
            column: self.model.spine.label.name().to_owned(),
            rows: self.rows,
            positives: self.positives,
            left_out: self.left_out,
        })
    }

    fn of(&mut self, batch: &RecordBatch) -> Result<Vec<Option<bool>>, String> {
        let labels = self.label_of(batch).map_err(|error| format!("{error:#}"))?;
        for label in &labels {
            match label {
                None => self.left_out += 1,
                Some(positive) => {
                    self.rows += 1;
                    self.positives += u64::from(*positive);
                }
            }
        }
        Ok(labels)
    }
}
