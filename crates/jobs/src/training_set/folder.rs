//! A training set as a folder: `part=train/rows.parquet` and its like, as pandas, DuckDB, Polars and Spark read partitioned
//! data, and a manifest. Its name begins with `_`, so that none of them takes it for data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use karat_core::{DataType, Digest, DigestWriter, Instant, Name, RunId, VERSION};
use karat_project::spec::Model;
use karat_registry::RunFilter;
use karat_training::TrainingError;
use karat_training::split::{Assignment, Dealer, Part, PartReport, SpineBatch, SplitReport, Tally};
use serde::Serialize;

use super::Account;
use super::file::{Form, FrameFile};
use crate::{Usage, Workspace};

pub const MANIFEST_FILE: &str = "_manifest.json";

const FORMAT_VERSION: u32 = 1;

/// What a folder holds, and where it comes from.
#[derive(Debug, Serialize)]
pub struct Manifest {
    pub format_version: u32,
    pub karat: String,
    pub model: Name,
    pub created: Instant,
    pub release: u64,
    /// Of the whole set; runs that learned from it note the same as `training_set_digest`.
    pub digest: Digest,
    /// Those runs, as of then.
    pub runs: Vec<RunId>,
    /// Of the model's file.
    pub spec: Digest,
    /// By view.
    pub definitions: BTreeMap<Name, Digest>,
    /// Where later events define the label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_definition: Option<Digest>,
    pub sources: Vec<SourceRead>,
    /// Of the spine: those in a part, and those left out.
    pub spine_rows: u64,
    pub rows: u64,
    pub entities: u64,
    pub parts: BTreeMap<Part, PartFile>,
    pub left_out: LeftOutRows,
    pub columns: Vec<ColumnNote>,
}

#[derive(Debug, Serialize)]
pub struct SourceRead {
    pub source: Name,
    pub commit: u64,
    pub committed: Instant,
    pub delivery: Digest,
}

#[derive(Debug, Serialize)]
pub struct PartFile {
    pub path: String,
    pub rows: u64,
    pub positives: u64,
    pub first_as_of: Option<Instant>,
    pub last_as_of: Option<Instant>,
    pub last_label_time: Option<Instant>,
    pub bytes: u64,
    pub sha256: Digest,
}

/// Rows of the spine that are in no part, by why.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LeftOutRows {
    pub unlabelled: u64,
    /// What defines their label may still come.
    pub open: u64,
    /// The spine keeps others of their key.
    pub not_kept: u64,
    /// Their label was known only after the next part began.
    pub purged: u64,
    /// A check of their features refuses to decide on them.
    pub refused: u64,
}

#[derive(Debug, Serialize)]
pub struct ColumnNote {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
    pub role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Key,
    AsOf,
    Feature,
    Label,
}

/// A folder that holds something is left alone: what models learned from is never written over.
pub(super) fn check_free(folder: &Path) -> Result<()> {
    let is_free = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        // Where a file stands in the way, making the folder says so.
        Err(_) => !folder.exists(),
    };
    if !is_free {
        bail!(Usage(format!(
            "{} is there already: a training set is written to a new folder, or to an empty one",
            folder.display()
        )));
    }
    Ok(())
}

/// Who reads a folder's files as one table adds a column `part`, and may take no account of case.
pub(super) fn check_names<'n>(names: impl Iterator<Item = &'n str>) -> Result<()> {
    let file = "or write one file, such as `--output set.parquet`";
    let mut folded: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        let small = name.to_lowercase();
        if small == PART {
            bail!(Usage(format!(
                "`{name}` cannot be a column of a folder, whose readers call the part of the split that a row is in `{PART}`: \
                 give it another name, {file}"
            )));
        }
        if let Some(other) = folded.insert(small, name) {
            bail!(Usage(format!(
                "`{other}` and `{name}` cannot both be columns of a folder, as DuckDB and Spark take no account of case: give \
                 one of them another name, {file}"
            )));
        }
    }
    Ok(())
}

/// The column that is the name of a row's folder.
const PART: &str = "part";

/// A folder whose rows come in batches. It is written beside and renamed: it appears whole or not at all.
pub(super) struct FolderWriter<'m> {
    folder: PathBuf,
    staging: Staging,
    /// In the order of [`PARTS`].
    files: Vec<FrameFile>,
    schema: SchemaRef,
    dealer: Dealer<'m>,
    tally: Tally,
}

const PARTS: [Part; 3] = [Part::Train, Part::Validation, Part::Test];

impl<'m> FolderWriter<'m> {
    /// `dealer` has seen all rows.
    pub fn create(folder: &Path, schema: &SchemaRef, dealer: Dealer<'m>) -> Result<FolderWriter<'m>> {
        let staging = staging(folder)?;
        let file = |part: &Part| {
            std::fs::create_dir_all(staging.0.join(format!("{PART}={part}")))?;
            FrameFile::create(&staging.0.join(relative(*part)), Form::Parquet, schema)
        };
        let files = PARTS.iter().map(file).collect::<Result<_>>();
        let files = files.with_context(|| cannot_write(folder))?;
        let (folder, schema) = (folder.to_owned(), schema.clone());
        Ok(FolderWriter { folder, staging, files, schema, dealer, tally: Tally::default() })
    }

    pub fn write(&mut self, frame: &RecordBatch, rows: &SpineBatch, refused: &BTreeSet<usize>) -> Result<()> {
        let mut assigned = Vec::with_capacity(frame.num_rows());
        for (row, (assignment, label)) in self.dealer.deal(rows)?.into_iter().enumerate() {
            let assignment = match assignment {
                // A check moves no row from one part to another.
                Assignment::In(part) if refused.contains(&row) => Assignment::Refused(part),
                other => other,
            };
            let known = rows.label_time.is_valid(row).then(|| rows.label_time.value(row));
            self.tally.count(assignment, label, rows.as_of.value(row), known);
            assigned.push(assignment);
        }
        for (part, file) in PARTS.iter().zip(&mut self.files) {
            let of_part = assigned.iter().enumerate().filter(|(_, to)| **to == Assignment::In(*part));
            let rows = UInt32Array::from_iter_values(of_part.map(|(row, _)| row as u32));
            let written = anyhow::Ok(take_record_batch(frame, &rows)?).and_then(|rows| file.write(&rows));
            written.with_context(|| cannot_write(&self.folder))?;
        }
        Ok(())
    }

    pub async fn finish(
        self,
        workspace: &Workspace,
        model: &Model,
        release: u64,
        account: &Account,
    ) -> Result<Manifest> {
        let FolderWriter { folder, staging, files, schema, tally, .. } = self;
        if tally.labelled() == 0 {
            bail!(TrainingError::NoLabels);
        }
        let split = tally.report(account.left_out);
        let written = async {
            let parts = tokio::task::block_in_place(|| finish_parts(files, &split, &staging.0))?;
            let columns = columns(&schema, account.pinned.keys.len());
            let manifest = manifest(workspace, model, release, account, &split, parts, columns).await?;
            std::fs::write(staging.0.join(MANIFEST_FILE), serde_json::to_vec_pretty(&manifest)?)?;
            anyhow::Ok(manifest)
        };
        let manifest = written.await.with_context(|| cannot_write(&folder))?;
        // An empty folder makes way; one that was filled meanwhile does not.
        if folder.exists() {
            std::fs::remove_dir(&folder).with_context(|| format!("{} cannot be replaced", folder.display()))?;
        }
        std::fs::rename(&staging.0, &folder).with_context(|| cannot_write(&folder))?;
        Ok(manifest)
    }
}

fn cannot_write(folder: &Path) -> String {
    format!("{} cannot be written", folder.display())
}

fn relative(part: Part) -> String {
    format!("{PART}={part}/rows.parquet")
}

/// Where a folder is written before it has its name; gone when dropped, unless renamed.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        // After the rename it is not there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn staging(folder: &Path) -> Result<Staging> {
    let name = folder.file_name().with_context(|| format!("{} is no name of a folder", folder.display()))?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = parent.join(format!(".{}.part", name.to_string_lossy()));
    // What a killed writer left.
    if path.exists() {
        std::fs::remove_dir_all(&path).with_context(|| format!("{} is in the way", path.display()))?;
    }
    std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    Ok(Staging(path))
}

fn finish_parts(files: Vec<FrameFile>, split: &SplitReport, folder: &Path) -> Result<BTreeMap<Part, PartFile>> {
    let mut parts = BTreeMap::new();
    for (part, file) in PARTS.into_iter().zip(files) {
        file.finish()?;
        let relative = relative(part);
        let path = folder.join(&relative);
        let PartReport { rows, positives, first_as_of, last_as_of, last_label_time, .. } = *split.part(part);
        let (bytes, sha256) = (std::fs::metadata(&path)?.len(), sha256(&path)?);
        let written =
            PartFile { path: relative, rows, positives, first_as_of, last_as_of, last_label_time, bytes, sha256 };
        parts.insert(part, written);
    }
    Ok(parts)
}

fn sha256(path: &Path) -> Result<Digest> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut digest = DigestWriter::new();
    let mut bytes = vec![0; 1 << 16];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(digest.finish()),
            read => digest.update(&bytes[..read]),
        }
    }
}

/// The keys first, then as_of, last the label; features between.
fn columns(schema: &SchemaRef, keys: usize) -> Vec<ColumnNote> {
    let count = schema.fields().len();
    let role = |place: usize| match place {
        place if place < keys => Role::Key,
        place if place == keys => Role::AsOf,
        place if place + 1 == count => Role::Label,
        _ => Role::Feature,
    };
    let note = |(place, field): (usize, &std::sync::Arc<arrow::datatypes::Field>)| ColumnNote {
        name: field.name().clone(),
        data_type: DataType::of_arrow(field.data_type()).expect("training sets have Karat's types"),
        role: role(place),
    };
    schema.fields().iter().enumerate().map(note).collect()
}

async fn manifest(
    workspace: &Workspace,
    model: &Model,
    release: u64,
    account: &Account,
    split: &SplitReport,
    parts: BTreeMap<Part, PartFile>,
    columns: Vec<ColumnNote>,
) -> Result<Manifest> {
    let mut sources = Vec::with_capacity(account.commits.len());
    for (source, commit) in &account.commits {
        let read = workspace.history.commits(source).await?.into_iter().find(|info| info.number == *commit);
        let read = read.with_context(|| format!("{source} has no commit {commit}"))?;
        let (committed, delivery) = (read.at, read.delivery);
        sources.push(SourceRead { source: source.clone(), commit: *commit, committed, delivery });
    }
    let of_parts = |count: fn(&PartReport) -> u64| PARTS.iter().map(|part| count(split.part(*part))).sum::<u64>();
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        karat: VERSION.to_owned(),
        model: model.name.clone(),
        created: workspace.clock.now(),
        release,
        digest: account.digest.clone(),
        runs: runs_of(workspace, model, &account.digest).await?,
        spec: Digest::of_json(model),
        definitions: account.pinned.digests().into_iter().collect(),
        label_definition: account.label_definition.as_ref().map(|definition| definition.digest()),
        sources,
        spine_rows: split.rows,
        rows: of_parts(|part| part.rows),
        entities: account.entities,
        parts,
        left_out: LeftOutRows {
            unlabelled: split.unlabelled,
            open: split.open,
            not_kept: split.not_kept,
            purged: of_parts(|part| part.purged),
            refused: of_parts(|part| part.refused),
        },
        columns,
    })
}

/// The runs that learned from a set of this digest.
async fn runs_of(workspace: &Workspace, model: &Model, digest: &Digest) -> Result<Vec<RunId>> {
    let experiment = model.experiment.as_deref().unwrap_or(&model.name);
    let experiments = workspace.registry.experiments().await?;
    let Some(experiment) = experiments.into_iter().find(|one| one.name == experiment) else { return Ok(Vec::new()) };
    let runs =
        workspace.registry.runs(&RunFilter { experiment_id: Some(experiment.id), ..RunFilter::default() }).await?;
    let learned =
        |run: &karat_registry::Run| run.params.get("training_set_digest").is_some_and(|noted| noted == digest.as_str());
    Ok(runs.into_iter().filter(learned).map(|run| run.run_id).collect())
}
