//! A model's spine joined to its features as known at each row's as_of: what it trains on.

mod digest;
mod file;
mod folder;
pub(crate) mod label;
mod passes;
mod settle;
mod spine;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::{Field, Int64Type, Schema as ArrowSchema, TimestampMicrosecondType};
use karat_core::{Column, DataType, Digest, Instant, Name};
use karat_features::{CompiledView, Definition, Spine};
use karat_project::spec::{Model, Split};
use karat_serving::{InputOrigin, Pinned};
use karat_training::{LeftOut, TrainingData};
use serde::Serialize;

use crate::{Usage, Workspace, pinned, tags};
use passes::Pushed;

pub use folder::{MANIFEST_FILE, Manifest};
pub(crate) use passes::{as_of_pass, as_of_pass_over};
pub(crate) use spine::{instants, quoted};

/// The commits a training set is read at, by source.
pub type Commits = BTreeMap<Name, u64>;

/// What a training set is computed by.
#[derive(Debug, Clone)]
pub struct Pins {
    pub pinned: Pinned,
    /// Of the label, where later events define it.
    pub label: Option<Definition>,
}

/// A model's training set with what it was made of.
pub struct TrainingSet {
    pub pinned: Pinned,
    pub label_definition: Option<Definition>,
    pub data: TrainingData,
    pub commits: Commits,
    /// Where views were read at an earlier commit than asked for: later rows are defined otherwise.
    pub behind: Commits,
    /// Different keys in the spine.
    pub entities: u64,
    /// Of everything that is learned from: features, labels, times.
    pub digest: Digest,
    /// What is odd about the spine without being wrong.
    pub warnings: Vec<String>,
    /// When each row's features were read; [`TrainingData::as_of`] where the spine has a time.
    read_at: Int64Array,
}

/// Where a training set was written.
#[derive(Debug, Serialize)]
pub struct Written {
    pub model: Name,
    pub output: String,
    pub rows: u64,
    /// Rows left out because a check of their features refuses to decide on them.
    pub refused: u64,
    /// Rows left out because what defines their label may still come.
    pub open: u64,
    /// Rows left out because the spine keeps others of their key.
    pub not_kept: u64,
    pub entities: u64,
    pub columns: Vec<String>,
    pub digest: Digest,
    pub commits: Commits,
    pub warnings: Vec<String>,
    /// Of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
}

/// Where a training set goes.
enum Output {
    File(file::Form),
    Folder,
}

/// Applies and ingests what is new (at a tag: only applies), then writes the training set of a model.
pub async fn run(workspace: &Workspace, model: &str, output: &Path, tag: Option<&str>) -> Result<Written> {
    let form = Output::of(output)?;
    let (release, at) = tags::prepare(workspace, model, tag).await?;
    let model = workspace.model(model)?;
    let set = assemble_at(workspace, model, at.as_ref()).await?;
    let frame = set.frame(model.spine.label.name())?;
    let manifest = match form {
        Output::File(form) => {
            tokio::task::block_in_place(|| file::write(&frame, output, form))?;
            None
        }
        Output::Folder => Some(folder::write(workspace, model, release.number, &set, output).await?),
    };
    Ok(Written {
        model: model.name.clone(),
        output: output.display().to_string(),
        rows: manifest.as_ref().map_or(frame.num_rows() as u64, |manifest| manifest.rows),
        refused: set.data.refused.len() as u64,
        open: set.data.left_out.open,
        not_kept: set.data.left_out.not_kept,
        entities: set.entities,
        columns: frame.schema().fields().iter().map(|field| field.name().clone()).collect(),
        digest: set.digest,
        commits: set.commits,
        warnings: set.warnings,
        manifest,
    })
}

impl Output {
    fn of(output: &Path) -> Result<Output> {
        let named_as_folder = output.as_os_str().as_encoded_bytes().ends_with(b"/") || output.is_dir();
        match output.extension().and_then(|ending| ending.to_str()) {
            _ if named_as_folder => {}
            Some("parquet") => return Ok(Output::File(file::Form::Parquet)),
            Some("csv") => return Ok(Output::File(file::Form::Csv)),
            None => {}
            Some(_) => bail!(Usage(format!(
                "{}: a training set is written as .parquet or .csv, or into a folder (end its name with `/`)",
                output.display()
            ))),
        }
        folder::check_free(output)?;
        Ok(Output::Folder)
    }
}

/// Reads at these commits, or at the newest.
pub async fn assemble(workspace: &Workspace, model: &Model, at: Option<&Commits>) -> Result<TrainingSet> {
    let catalog = workspace.catalog()?;
    let pinned = pinned::pin(&catalog, &workspace.project, model).map_err(|(_, problem)| anyhow::anyhow!(problem))?;
    let label = label::define(&catalog, &workspace.project, model);
    let label = label.map_err(|problems| anyhow::anyhow!(problems[0].1.clone()))?;
    assemble_pinned(workspace, model, Pins { pinned, label }, at).await
}

/// As [`assemble`]; commits that are asked for are read, and no earlier ones.
pub async fn assemble_at(workspace: &Workspace, model: &Model, at: Option<&Commits>) -> Result<TrainingSet> {
    let set = assemble(workspace, model, at).await?;
    at.map_or(Ok(()), |at| tags::refuse_behind(&set.behind, at))?;
    Ok(set)
}

/// As [`assemble`], with definitions pinned earlier.
pub async fn assemble_pinned(
    workspace: &Workspace,
    model: &Model,
    pins: Pins,
    at: Option<&Commits>,
) -> Result<TrainingSet> {
    assemble_for(workspace, model, pins, &model.split, at).await
}

/// Today's spine, row for row, for another version of the model: its inputs, and what its split looks at.
pub async fn assemble_for(
    workspace: &Workspace,
    model: &Model,
    pins: Pins,
    split: &Split,
    at: Option<&Commits>,
) -> Result<TrainingSet> {
    let Pins { pinned, label: label_definition } = pins;
    let catalog = workspace.catalog()?;
    let up_to = |source: &Name| at.and_then(|at| at.get(source).copied());
    let also: Vec<&str> = spine_inputs(&pinned, split).map(|(name, _)| name).collect();
    let spine::SpineRows { rows, commit, zone } =
        spine::rows(workspace, &catalog, model, &also, up_to(&model.spine.source)).await?;
    let mut commits = Commits::from([(model.spine.source.clone(), commit)]);
    let mut behind = Commits::new();
    let views: Vec<CompiledView> = pinned.compile()?.into_iter().map(CompiledView::without_lists).collect();
    let of_label = label_definition.clone().map(CompiledView::compile).transpose()?;
    let all: Vec<&CompiledView> = views.iter().chain(&of_label).collect();
    let mut pushed = passes::push(workspace, &all, &up_to).await?;
    for (view, pushed) in all.iter().zip(&pushed) {
        let source = &view.definition().source.name;
        if up_to(source).is_some_and(|asked| pushed.commit < asked) {
            behind.insert(source.clone(), pushed.commit);
        }
        // Of views that stand at different commits each finds its own again below the newest.
        let newest = commits.entry(source.clone()).or_default();
        *newest = pushed.commit.max(*newest);
    }
    let of_label = of_label.as_ref().and_then(|view| Some((view, pushed.pop()?)));
    let labelled = labelled(model, &pinned, rows, &zone, of_label)?;
    let Labelled { rows, as_of, label, label_time, left_out, warnings } = labelled;
    let column =
        |name: &str| rows.column_by_name(name).cloned().with_context(|| format!("the spine has no column {name}"));
    let read_at = match model.spine.as_of {
        Some(_) => as_of.clone(),
        None => {
            Int64Array::from(vec![newest_commit(workspace, model, &pinned, &up_to).await?.micros(); rows.num_rows()])
        }
    };
    let keys = columns_of(&rows, &pinned.keys)?;
    let features = features(&pinned, pushed, &read_at, &rows)?;
    let (features, refused) = tokio::task::block_in_place(|| settle::settle(&pinned, features))?;
    let many = |names: &mut dyn Iterator<Item = &String>| names.map(|name| column(name)).collect::<Result<Vec<_>>>();
    let times: ArrayRef = Arc::new(as_of.clone());
    // Sets that nothing refuses have the digests they had before anything could.
    let flags = (!refused.is_empty()).then(|| settle::flags(&refused, rows.num_rows()));
    let digest = digest::digest(features.columns().iter().chain([&label, &times]).chain(&keys).chain(&flags));
    let entities = distinct(&keys)?;
    let data = TrainingData {
        features,
        label,
        as_of,
        label_time,
        keys,
        groups: many(&mut split.column.iter())?,
        profile: many(&mut model.profile.iter())?,
        refused,
        left_out,
        words: pinned.inputs.iter().map(|input| (input.name.clone(), input.words.clone())).collect(),
    };
    Ok(TrainingSet { pinned, label_definition, data, commits, behind, entities, digest, warnings, read_at })
}

/// The spine's rows that are learned from, as far as labels and the spine's own rules say.
struct Labelled {
    rows: RecordBatch,
    as_of: Int64Array,
    label: ArrayRef,
    label_time: Int64Array,
    left_out: LeftOut,
    warnings: Vec<String>,
}

fn labelled(
    model: &Model,
    pinned: &Pinned,
    rows: RecordBatch,
    zone: &karat_core::Zone,
    of_label: Option<(&CompiledView, Pushed<'_>)>,
) -> Result<Labelled> {
    let column =
        |name: &str| rows.column_by_name(name).cloned().with_context(|| format!("the spine has no column {name}"));
    let as_of = match &model.spine.as_of {
        Some(name) => spine::declared_as_of(&column(name)?, zone, model, name)?,
        // Rows without a time are all alike in time, whenever they came: splits and digests must not depend on that.
        None => Int64Array::from(vec![Instant::ALWAYS.micros(); rows.num_rows()]),
    };
    let mut left_out = LeftOut::default();
    let mut keep = vec![true; rows.num_rows()];
    let (label, label_time) = match (model.spine.label.events(), of_label) {
        (Some(events), Some((view, pushed))) => {
            let reach = pushed.reach;
            let of_its_months = &view.definition().source.time_zone;
            let outcomes =
                label::outcomes(events, pushed, of_its_months, columns_of(&rows, view.key_columns())?, &as_of)?;
            left_out.open = outcomes.open.iter().filter(|open| **open).count() as u64;
            if left_out.open == rows.num_rows() as u64 {
                return label::all_open(&model.spine.source, events, reach, rows.num_rows());
            }
            keep.iter_mut().zip(&outcomes.open).for_each(|(keep, open)| *keep = !open);
            (outcomes.label, outcomes.known)
        }
        _ => {
            let label_time = match &model.spine.label_time {
                Some(name) => instants(&column(name)?, zone)?,
                None => as_of.clone(),
            };
            (column(model.spine.label.name())?, label_time)
        }
    };
    let mut warnings = Vec::new();
    if let Some(rule) = model.spine.keep {
        let closed = keep.iter().filter(|keep| **keep).count() as u64;
        keep.iter_mut().enumerate().for_each(|(row, keep)| *keep &= label.is_valid(row));
        let eligible = keep.iter().filter(|keep| **keep).count() as u64;
        let kept = spine::keep(rule, &columns_of(&rows, &pinned.keys)?, &as_of, &keep)?;
        left_out.unlabelled = closed - eligible;
        left_out.not_kept = eligible - kept.rows.iter().filter(|kept| **kept).count() as u64;
        keep = kept.rows;
        if kept.tied > 0 {
            warnings.push(format!(
                "{} keys have rows of one as_of of which `keep` takes some: it goes by their other columns, the label first",
                kept.tied
            ));
        }
    }
    if left_out == LeftOut::default() {
        return Ok(Labelled { rows, as_of, label, label_time, left_out, warnings });
    }
    let keep = BooleanArray::from(keep);
    let times = |times: &Int64Array| anyhow::Ok(filter(times, &keep)?.as_primitive::<Int64Type>().clone());
    Ok(Labelled {
        rows: filter_record_batch(&rows, &keep)?,
        as_of: times(&as_of)?,
        label: filter(&label, &keep)?,
        label_time: times(&label_time)?,
        left_out,
        warnings,
    })
}

/// The model's inputs for each row, in their order.
fn features(pinned: &Pinned, pushed: Vec<Pushed<'_>>, as_of: &Int64Array, rows: &RecordBatch) -> Result<RecordBatch> {
    let mut computed = Vec::with_capacity(pushed.len());
    for (view, pushed) in pinned.views.iter().zip(pushed) {
        let keys = columns_of(rows, &view.definition.keys)?;
        computed.push(pushed.run(&Spine { keys, as_of: as_of.clone(), known_at: None, since: None })?);
    }
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for input in &pinned.inputs {
        let column = match input.origin {
            InputOrigin::View { view, output } => computed[view].column(output).clone(),
            InputOrigin::Request => rows
                .column_by_name(&input.name)
                .cloned()
                .with_context(|| format!("the spine has no column {}", input.name))?,
        };
        fields.push(Field::new(&input.name, column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns)?)
}

/// The spine's columns of a key.
fn columns_of(rows: &RecordBatch, keys: &[Column]) -> Result<Vec<ArrayRef>> {
    let column = |key: &Column| {
        let column = rows.column_by_name(&key.name).cloned();
        column.with_context(|| format!("the spine has no column {}", key.name))
    };
    keys.iter().map(column).collect()
}

/// When the newest of the commits that are read was made: as of then everything in them is known.
async fn newest_commit(
    workspace: &Workspace,
    model: &Model,
    pinned: &Pinned,
    up_to: &dyn Fn(&Name) -> Option<u64>,
) -> Result<Instant> {
    let views = pinned.views.iter().map(|view| &view.definition.source.name);
    let mut newest = Instant::ALWAYS;
    for source in std::iter::once(&model.spine.source).chain(views) {
        if let Some(snapshot) = workspace.history.snapshot(source, up_to(source)).await? {
            newest = newest.max(snapshot.at);
        }
    }
    Ok(newest)
}

impl TrainingSet {
    /// The key columns, `as_of`, the features under their own names, the label, of the rows that no check refuses.
    pub fn frame(&self, label: &str) -> Result<RecordBatch> {
        let frame = self.all_rows(label)?;
        if self.data.refused.is_empty() {
            return Ok(frame);
        }
        let refused = settle::flags(&self.data.refused, frame.num_rows());
        Ok(filter_record_batch(&frame, &arrow::compute::not(refused.as_boolean())?)?)
    }

    /// As [`TrainingSet::frame`], with the rows that a check refuses.
    fn all_rows(&self, label: &str) -> Result<RecordBatch> {
        let as_of = Arc::new(self.read_at.reinterpret_cast::<TimestampMicrosecondType>().with_timezone("+00:00"));
        let keys = self.pinned.keys.iter().zip(&self.data.keys);
        let mut fields: Vec<Field> =
            keys.map(|(key, values)| Field::new(&key.name, values.data_type().clone(), true)).collect();
        fields.push(Field::new("as_of", as_of.data_type().clone(), false));
        let mut columns = self.data.keys.clone();
        columns.push(as_of);
        let schema = self.data.features.schema();
        fields.extend(schema.fields().iter().map(|field| field.as_ref().clone()));
        columns.extend(self.data.features.columns().iter().cloned());
        fields.push(Field::new(label, self.data.label.data_type().clone(), true));
        columns.push(self.data.label.clone());
        Ok(RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns)?)
    }
}

/// What a version takes from the spine's source beside its time and label, with the type that it needs.
pub fn spine_inputs<'a>(
    pinned: &'a Pinned,
    split: &'a Split,
) -> impl Iterator<Item = (&'a str, Option<DataType>)> + 'a {
    let keys = pinned.keys.iter().map(|key| (key.name.as_str(), Some(key.data_type)));
    let requested = pinned.inputs.iter().filter(|input| matches!(input.origin, InputOrigin::Request));
    let requested = requested.map(|input| (input.name.as_str(), Some(input.data_type)));
    keys.chain(requested).chain(split.column.iter().map(|column| (column.as_str(), None)))
}

/// How many different keys there are, among keys that stand together.
fn distinct(keys: &[ArrayRef]) -> Result<u64> {
    Ok(arrow::compute::partition(keys)?.len() as u64)
}
