//! A model's spine joined to its features as known at each row's as_of: what it trains on.

mod digest;
mod settle;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Date32Type, Field, Int64Type, Schema as ArrowSchema, TimestampMicrosecondType};
use futures::StreamExt;
use karat_core::{DataType, Digest, Instant, Name, Zone};
use karat_features::{AsOfPass, CompiledView, Spine};
use karat_history::Snapshot;
use karat_project::spec::{Model, Split};
use karat_query::{Table, Tables};
use karat_serving::{InputOrigin, Pinned};
use karat_training::TrainingData;
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde::Serialize;

use crate::{Catalog, Unit, Usage, Workspace, pinned, reading};

/// The commits a training set is read at, by source.
pub type Commits = BTreeMap<Name, u64>;

/// A model's training set with what it was made of.
pub struct TrainingSet {
    pub pinned: Pinned,
    pub data: TrainingData,
    pub commits: Commits,
    /// Where views were read at an earlier commit than asked for: later rows are defined otherwise.
    pub behind: Commits,
    /// Different keys in the spine.
    pub entities: u64,
    /// Of everything that is learned from: features, labels, times.
    pub digest: Digest,
    key: ArrayRef,
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
    pub entities: u64,
    pub columns: Vec<String>,
    pub digest: Digest,
    pub commits: Commits,
}

/// Applies and ingests what is new, then writes the training set of a model.
pub async fn run(workspace: &Workspace, model: &str, output: &Path) -> Result<Written> {
    let form = Form::of(output)?;
    crate::ingest::ensure(workspace).await?;
    let model = workspace.model(model)?;
    let set = assemble(workspace, model, None).await?;
    let frame = set.frame(&model.spine.label)?;
    write(&frame, output, form)?;
    Ok(Written {
        model: model.name.clone(),
        output: output.display().to_string(),
        rows: frame.num_rows() as u64,
        refused: set.data.refused.len() as u64,
        entities: set.entities,
        columns: frame.schema().fields().iter().map(|field| field.name().clone()).collect(),
        digest: set.digest,
        commits: set.commits,
    })
}

/// Reads at these commits, or at the newest.
pub async fn assemble(workspace: &Workspace, model: &Model, at: Option<&Commits>) -> Result<TrainingSet> {
    let catalog = workspace.catalog()?;
    let pinned = pinned::pin(&catalog, &workspace.project, model).map_err(|(_, problem)| anyhow::anyhow!(problem))?;
    assemble_pinned(workspace, model, pinned, at).await
}

/// As [`assemble`], with definitions pinned earlier.
pub async fn assemble_pinned(
    workspace: &Workspace,
    model: &Model,
    pinned: Pinned,
    at: Option<&Commits>,
) -> Result<TrainingSet> {
    assemble_for(workspace, model, pinned, &model.split, at).await
}

/// Today's spine, row for row, for another version of the model: its inputs, and what its split looks at.
pub async fn assemble_for(
    workspace: &Workspace,
    model: &Model,
    pinned: Pinned,
    split: &Split,
    at: Option<&Commits>,
) -> Result<TrainingSet> {
    let catalog = workspace.catalog()?;
    let up_to = |source: &Name| at.and_then(|at| at.get(source).copied());
    let also: Vec<&str> = spine_inputs(&pinned, split).map(|(name, _)| name).collect();
    let SpineRows { rows, commit, zone } =
        spine_rows(workspace, &catalog, model, &also, up_to(&model.spine.source)).await?;
    let column =
        |name: &str| rows.column_by_name(name).cloned().with_context(|| format!("the spine has no column {name}"));
    let as_of = match &model.spine.as_of {
        Some(name) => declared_as_of(&column(name)?, &zone, model, name)?,
        // Rows without a time are all alike in time, whenever they came: splits and digests must not depend on that.
        None => Int64Array::from(vec![Instant::ALWAYS.micros(); rows.num_rows()]),
    };
    let read_at = match model.spine.as_of {
        Some(_) => as_of.clone(),
        None => {
            Int64Array::from(vec![newest_commit(workspace, model, &pinned, &up_to).await?.micros(); rows.num_rows()])
        }
    };
    let key = column(&pinned.key.name)?;
    let label_time = match &model.spine.label_time {
        Some(name) => instants(&column(name)?, &zone)?,
        None => as_of.clone(),
    };
    let mut commits = Commits::from([(model.spine.source.clone(), commit)]);
    let spine = Spine { keys: vec![key.clone()], as_of: read_at.clone(), known_at: None, since: None };
    let mut behind = Commits::new();
    let features = features(workspace, &pinned, &spine, &rows, &up_to, (&mut commits, &mut behind)).await?;
    let (features, refused) = tokio::task::block_in_place(|| settle::settle(&pinned, features))?;
    let label = column(&model.spine.label)?;
    let many = |names: &mut dyn Iterator<Item = &String>| names.map(|name| column(name)).collect::<Result<Vec<_>>>();
    let times: ArrayRef = Arc::new(as_of.clone());
    // Sets that nothing refuses have the digests they had before anything could.
    let flags = (!refused.is_empty()).then(|| settle::flags(&refused, rows.num_rows()));
    let digest = digest::digest(features.columns().iter().chain([&label, &times, &key]).chain(&flags));
    let entities = distinct(&key)?;
    let data = TrainingData {
        features,
        label,
        as_of,
        label_time,
        keys: vec![key.clone()],
        groups: many(&mut split.column.iter())?,
        profile: many(&mut model.profile.iter())?,
        refused,
        words: pinned.inputs.iter().map(|input| (input.name.clone(), input.words.clone())).collect(),
    };
    Ok(TrainingSet { pinned, data, commits, behind, entities, digest, key, read_at })
}

fn declared_as_of(column: &ArrayRef, zone: &Zone, model: &Model, name: &str) -> Result<Int64Array> {
    let as_of = instants(column, zone)?;
    if as_of.null_count() > 0 {
        let (rows, source) = (as_of.null_count(), &model.spine.source);
        bail!("{rows} rows of {source} have no {name}: forbid that in its contract (check: not_null)");
    }
    Ok(as_of)
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
    /// The entity's key, `as_of`, the features under their own names, the label, of the rows that no check refuses.
    pub fn frame(&self, label: &str) -> Result<RecordBatch> {
        let as_of = Arc::new(self.read_at.reinterpret_cast::<TimestampMicrosecondType>().with_timezone("+00:00"));
        let mut fields = vec![
            Field::new(&self.pinned.key.name, self.key.data_type().clone(), true),
            Field::new("as_of", as_of.data_type().clone(), false),
        ];
        let mut columns = vec![self.key.clone(), as_of as ArrayRef];
        let schema = self.data.features.schema();
        fields.extend(schema.fields().iter().map(|field| field.as_ref().clone()));
        columns.extend(self.data.features.columns().iter().cloned());
        fields.push(Field::new(label, self.data.label.data_type().clone(), true));
        columns.push(self.data.label.clone());
        let frame = RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns)?;
        if self.data.refused.is_empty() {
            return Ok(frame);
        }
        let refused = settle::flags(&self.data.refused, frame.num_rows());
        Ok(filter_record_batch(&frame, &arrow::compute::not(refused.as_boolean())?)?)
    }
}

/// What a version takes from the spine's source beside its time and label, with the type that it needs.
pub fn spine_inputs<'a>(
    pinned: &'a Pinned,
    split: &'a Split,
) -> impl Iterator<Item = (&'a str, Option<DataType>)> + 'a {
    let key = (pinned.key.name.as_str(), Some(pinned.key.data_type));
    let requested = pinned.inputs.iter().filter(|input| matches!(input.origin, InputOrigin::Request));
    let requested = requested.map(|input| (input.name.as_str(), Some(input.data_type)));
    std::iter::once(key).chain(requested).chain(split.column.iter().map(|column| (column.as_str(), None)))
}

struct SpineRows {
    rows: RecordBatch,
    commit: u64,
    /// Of its bare dates.
    zone: Zone,
}

/// The spine's columns, in [their order](karat_features::in_spine_order); what is read beside them changes that order only
/// where rows are alike in all of them.
async fn spine_rows(
    workspace: &Workspace,
    catalog: &Catalog,
    model: &Model,
    also: &[&str],
    up_to: Option<u64>,
) -> Result<SpineRows> {
    let source = &model.spine.source;
    let planned = catalog.sources.get(source).with_context(|| format!("source {source} is not in the project"))?;
    let snapshot = workspace.snapshot(source, up_to).await?;
    let entity = &workspace.project.entities()[&model.spine.entity];
    // The key, then the time: rows are sorted by their columns, and these two mostly settle it.
    let mut names: Vec<&str> = vec![&entity.key];
    names.extend(model.spine.as_of.as_deref());
    names.push(&model.spine.label);
    names.extend(model.spine.label_time.as_deref());
    names.extend(model.request.keys().map(String::as_str));
    names.extend(model.split.column.as_deref());
    names.extend(model.profile.iter().map(String::as_str));
    names.extend(also);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    let columns = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let (commit, zone) = (snapshot.commit, reading::zone(planned, &snapshot)?);
    let mut tables = Tables::new();
    tables.insert(source.as_str(), Table::current(&reading::shape(planned, &snapshot)?, Some(snapshot)));
    let sql = format!("SELECT {columns} FROM {}", quoted(source));
    let rows = workspace.engine.query(&sql, &tables).await?.whole().await?;
    if rows.num_rows() == 0 {
        bail!("source {source} has no rows: nothing can be learned from it");
    }
    let rows = tokio::task::block_in_place(|| karat_features::in_spine_order(rows))?;
    Ok(SpineRows { rows, commit, zone })
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn features(
    workspace: &Workspace,
    pinned: &Pinned,
    spine: &Spine,
    rows: &RecordBatch,
    up_to: &dyn Fn(&Name) -> Option<u64>,
    (commits, behind): (&mut Commits, &mut Commits),
) -> Result<RecordBatch> {
    let views = pinned.compile()?;
    let mut computed = Vec::with_capacity(views.len());
    for view in &views {
        let source = &view.definition().source.name;
        let (batch, commit) = as_of_pass(workspace, view, spine, up_to(source)).await?;
        if up_to(source).is_some_and(|asked| commit < asked) {
            behind.insert(source.clone(), commit);
        }
        // Of views that stand at different commits each finds its own again below the newest.
        let newest = commits.entry(source.clone()).or_default();
        *newest = commit.max(*newest);
        computed.push(batch);
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

/// A view's features for every row of a spine, and the commit of its source they were read at: the newest up to `up_to`
/// whose rows are what the view was defined on.
pub(crate) async fn as_of_pass(
    workspace: &Workspace,
    view: &CompiledView,
    spine: &Spine,
    up_to: Option<u64>,
) -> Result<(RecordBatch, u64)> {
    let snapshot = reading::snapshot(workspace, &view.definition().source, up_to).await?;
    as_of_pass_over(workspace, view, spine, snapshot).await
}

/// As [`as_of_pass`], over rows that the view is known to fit.
pub(crate) async fn as_of_pass_over(
    workspace: &Workspace,
    view: &CompiledView,
    spine: &Spine,
    snapshot: Snapshot,
) -> Result<(RecordBatch, u64)> {
    let source = &view.definition().source.name;
    let stage = workspace.observer.begin(&format!("features of {source}"), snapshot.rows(), Unit::Rows);
    let mut pass = AsOfPass::new(view);
    pass.reserve(usize::try_from(snapshot.rows())?);
    let mut batches = snapshot.stream(view.source_columns(), &view.hidden_columns(), None);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        stage.advance(batch.num_rows() as u64);
        pass.push(&batch)?;
    }
    let commit = snapshot.commit;
    Ok((tokio::task::block_in_place(|| pass.run(spine, Some(commit)))?, commit))
}

/// Microseconds UTC of a date (midnight in `zone`) or timestamp column.
pub(crate) fn instants(column: &ArrayRef, zone: &Zone) -> Result<Int64Array> {
    match DataType::of_arrow(column.data_type()) {
        Some(DataType::Timestamp) => {
            Ok(column.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>())
        }
        Some(DataType::Date) => {
            let days = column.as_primitive::<Date32Type>();
            Ok(days.unary(|day| zone.midnight(day).micros()))
        }
        _ => bail!("a date or timestamp is needed, not {}", column.data_type()),
    }
}

/// How many different keys there are, among keys that stand together.
fn distinct(key: &ArrayRef) -> Result<u64> {
    Ok(arrow::compute::partition(std::slice::from_ref(key))?.len() as u64)
}

/// How a training set is written, by the file's ending.
#[derive(Debug, Clone, Copy)]
enum Form {
    Parquet,
    Csv,
}

impl Form {
    fn of(output: &Path) -> Result<Form> {
        match output.extension().and_then(|ending| ending.to_str()) {
            Some("parquet") => Ok(Form::Parquet),
            Some("csv") => Ok(Form::Csv),
            _ => {
                bail!(Usage(format!("{}: a training set is written as .parquet or .csv", output.display())))
            }
        }
    }
}

/// Whole or not at all.
fn write(frame: &RecordBatch, output: &Path, form: Form) -> Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let part = output.with_added_extension("part");
    let file = || std::fs::File::create(&part).with_context(|| format!("{} cannot be written", part.display()));
    match form {
        Form::Parquet => {
            let mut writer = parquet::arrow::ArrowWriter::try_new(file()?, frame.schema(), Some(properties(frame)))?;
            writer.write(frame)?;
            writer.close()?;
        }
        Form::Csv => {
            // A timestamp's offset in a CSV is the Z of RFC 3339.
            let mut writer = arrow::csv::WriterBuilder::new()
                .with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.fZ".to_owned())
                .build(std::io::BufWriter::new(file()?));
            writer.write(frame)?;
        }
    }
    std::fs::rename(&part, output).with_context(|| format!("{} cannot be written", output.display()))
}

/// Keys and times ascend, and so are small as differences; hardly a feature is worth a dictionary, but for text.
fn properties(frame: &RecordBatch) -> WriterProperties {
    let mut properties = WriterProperties::builder().set_created_by(format!("karat {}", karat_core::VERSION));
    for field in frame.schema().fields() {
        let column = ColumnPath::from(vec![field.name().clone()]);
        properties = match DataType::of_arrow(field.data_type()) {
            Some(DataType::Int | DataType::Timestamp) => properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
            Some(DataType::Float) => properties.set_column_dictionary_enabled(column, false),
            _ => properties,
        };
    }
    properties.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_midnight_in_the_sources_zone() {
        let days: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![Some(18_871), None]));
        let utc = instants(&days, &Zone::utc()).unwrap();
        assert_eq!(utc.value(0), 18_871 * 86_400_000_000);
        assert!(utc.is_null(1));
        let prague = instants(&days, &Zone::named("Europe/Prague").unwrap()).unwrap();
        assert_eq!(utc.value(0) - prague.value(0), 2 * 3_600_000_000);
    }
}
