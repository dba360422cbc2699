//! Where a training set goes.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::SchemaRef;
use karat_project::spec::Model;
use karat_training::LeftOut;
use karat_training::split::{Dealer, SpineBatch};

use super::file::{Form, NamedAtLast};
use super::folder::{self, FolderWriter, LeftOutRows};
use super::{Account, Written, settle};
use crate::{Usage, Workspace};

#[derive(Debug, Clone, Copy)]
pub(super) enum Output {
    File(Form),
    Folder,
}

/// A training set that is to be written, once what it is split by has been seen.
pub(super) struct Target<'o> {
    model: &'o Model,
    output: &'o Path,
    form: Output,
    dealer: Dealer<'o>,
}

/// A training set that is being written.
pub(super) struct Writing<'o> {
    model: &'o Model,
    output: &'o Path,
    schema: SchemaRef,
    to: To<'o>,
}

enum To<'o> {
    File(NamedAtLast),
    Folder(Box<FolderWriter<'o>>),
}

impl Output {
    pub fn of(output: &Path) -> Result<Output> {
        let named_as_folder = output.as_os_str().as_encoded_bytes().ends_with(b"/") || output.is_dir();
        match output.extension().and_then(|ending| ending.to_str()) {
            _ if named_as_folder => {}
            Some("parquet") => return Ok(Output::File(Form::Parquet)),
            Some("csv") => return Ok(Output::File(Form::Csv)),
            None => {}
            Some(_) => bail!(Usage(format!(
                "{}: a training set is written as .parquet or .csv, or into a folder (end its name with `/`)",
                output.display()
            ))),
        }
        folder::check_free(output)?;
        Ok(Output::Folder)
    }

    /// Whether columns of these names can be read back.
    pub fn check_names<'n>(self, names: impl Iterator<Item = &'n str>) -> Result<()> {
        match self {
            Output::File(_) => Ok(()),
            Output::Folder => folder::check_names(names),
        }
    }
}

impl<'o> Target<'o> {
    pub fn new(model: &'o Model, output: &'o Path, form: Output) -> Target<'o> {
        Target { model, output, form, dealer: Dealer::new(&model.split, model.seed) }
    }

    /// How often all rows are to be shown before the first is written.
    pub fn rounds(&self) -> usize {
        match self.form {
            Output::File(_) => 0,
            Output::Folder => self.dealer.rounds(),
        }
    }

    /// Shows rows in a round, from 0.
    pub fn show(&mut self, round: usize, rows: &SpineBatch) -> Result<()> {
        Ok(self.dealer.show(round, rows)?)
    }

    pub fn create(self, schema: &SchemaRef) -> Result<Writing<'o>> {
        let Target { model, output, form, dealer } = self;
        let to = match form {
            Output::File(form) => To::File(NamedAtLast::create(output, form, schema)?),
            Output::Folder => To::Folder(Box::new(FolderWriter::create(output, schema, dealer)?)),
        };
        Ok(Writing { model, output, schema: schema.clone(), to })
    }
}

impl Writing<'_> {
    /// Takes the next rows: those that are not refused go where they belong.
    pub fn write(&mut self, frame: &RecordBatch, rows: &SpineBatch, refused: &BTreeSet<usize>) -> Result<()> {
        match &mut self.to {
            To::File(file) => file.write(&without(frame, refused)?),
            To::Folder(folder) => folder.write(frame, rows, refused),
        }
    }

    pub async fn finish(self, workspace: &Workspace, release: u64, account: Account) -> Result<Written> {
        let (rows, manifest) = match self.to {
            To::File(file) => (tokio::task::block_in_place(|| file.finish())?, None),
            To::Folder(folder) => {
                let manifest = folder.finish(workspace, self.model, release, &account).await?;
                (manifest.rows, Some(manifest))
            }
        };
        let LeftOut { unlabelled, open, not_kept } = account.left_out;
        let left_out = match &manifest {
            Some(manifest) => manifest.left_out,
            None => LeftOutRows { unlabelled, open, not_kept, purged: 0, refused: account.refused },
        };
        Ok(Written {
            model: self.model.name.clone(),
            output: self.output.display().to_string(),
            rows,
            refused: left_out.refused,
            open: left_out.open,
            not_kept: left_out.not_kept,
            unlabelled: left_out.unlabelled,
            purged: left_out.purged,
            entities: account.entities,
            columns: self.schema.fields().iter().map(|field| field.name().clone()).collect(),
            digest: account.digest,
            commits: account.commits,
            warnings: account.warnings,
            manifest,
        })
    }
}

fn without(frame: &RecordBatch, refused: &BTreeSet<usize>) -> Result<RecordBatch> {
    if refused.is_empty() {
        return Ok(frame.clone());
    }
    let flags = settle::flags(refused, frame.num_rows());
    Ok(filter_record_batch(frame, &not(flags.as_boolean())?)?)
}
