//! A model's spine joined to its features as known at each row's as_of: what it trains on.

mod cases;
mod digest;
mod file;
mod folder;
mod frame;
mod keep;
pub(crate) mod label;
mod output;
mod passes;
mod settle;
mod spine;
mod streamed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use karat_core::{DataType, Digest, Instant, Name};
use karat_features::{CompiledView, Definition, Spine};
use karat_project::spec::{Model, Split};
use karat_serving::{Input, InputOrigin, Pinned};
use karat_training::split::SpineBatch;
use karat_training::{LeftOut, TrainingData};
use serde::Serialize;

use crate::{Workspace, pinned, reading, tags};
use cases::{Cases, Choosing, Chosen, columns_of};
use digest::SetDigest;
use keep::KeyStretches;
use output::{Output, Target, Writing};
use passes::Pushed;
use spine::SpineQuery;

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
    /// Rows left out because a check of their features refuses to decide on them; of a folder, those that would be in a part.
    pub refused: u64,
    /// Rows left out because what defines their label may still come.
    pub open: u64,
    /// Rows left out because the spine keeps others of their key.
    pub not_kept: u64,
    /// Rows left out for want of a label: of a file those that `keep` passes over.
    pub unlabelled: u64,
    /// Of a folder, rows left out because their label was known only after the next part began; a file has no parts.
    pub purged: u64,
    pub entities: u64,
    pub columns: Vec<String>,
    pub digest: Digest,
    pub commits: Commits,
    pub warnings: Vec<String>,
    /// Of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
}

/// What a training set that was written is made of, and what is not in it.
struct Account {
    pinned: Pinned,
    label_definition: Option<Definition>,
    commits: Commits,
    entities: u64,
    digest: Digest,
    left_out: LeftOut,
    refused: u64,
    warnings: Vec<String>,
}

/// Applies and ingests what is new (at a tag: only applies), then writes the training set of a model.
pub async fn run(workspace: &Workspace, model: &str, output: &Path, tag: Option<&str>) -> Result<Written> {
    let form = Output::of(output)?;
    let (release, at) = tags::prepare(workspace, model, tag).await?;
    let model = workspace.model(model)?;
    let query = SetQuery::new(workspace, model, Pins::of(workspace, model)?, &model.split, at.as_ref()).await?;
    form.check_names(column_names(model, &query.pins.pinned))?;
    let target = Target::new(model, output, form);
    let input_bytes = query.input_bytes(workspace, at.as_ref()).await?;
    let (writing, account) = match streamed::is_needed(workspace, &query.spine, input_bytes) {
        true => streamed::write(workspace, model, query, input_bytes, at.as_ref(), target).await?,
        false => write_held(workspace, model, query, at.as_ref(), target).await?,
    };
    writing.finish(workspace, release.number, account).await
}

/// The columns of a set that is written.
fn column_names<'n>(model: &'n Model, pinned: &'n Pinned) -> impl Iterator<Item = &'n str> {
    let keys = pinned.keys.iter().map(|key| key.name.as_str());
    let inputs = pinned.inputs.iter().map(|input| input.name.as_str());
    keys.chain(["as_of"]).chain(inputs).chain([model.spine.label.name()])
}

/// Writes a set that memory holds.
async fn write_held<'o>(
    workspace: &Workspace,
    model: &Model,
    query: SetQuery,
    at: Option<&Commits>,
    mut target: Target<'o>,
) -> Result<(Writing<'o>, Account)> {
    let set = assemble_from(workspace, model, &model.split, query, at).await?;
    refuse_behind(&set.behind, at)?;
    let TrainingSet { pinned, label_definition, data, commits, entities, digest, warnings, read_at, .. } = set;
    let writing = tokio::task::block_in_place(|| {
        let label = (model.spine.label.name(), &data.label);
        let frame = frame::frame(&pinned, &data.keys, &read_at, &data.features, label)?;
        let rows = SpineBatch {
            label: data.label.clone(),
            as_of: data.as_of.clone(),
            label_time: data.label_time.clone(),
            keys: data.keys.clone(),
            groups: data.groups.clone(),
        };
        (0..target.rounds()).try_for_each(|round| target.show(round, &rows))?;
        let mut writing = target.create(&frame.schema())?;
        writing.write(&frame, &rows, &data.refused)?;
        anyhow::Ok(writing)
    })?;
    let (left_out, refused) = (data.left_out, data.refused.len() as u64);
    let account = Account { pinned, label_definition, commits, entities, digest, left_out, refused, warnings };
    Ok((writing, account))
}

impl Pins {
    /// As the folder has it now.
    fn of(workspace: &Workspace, model: &Model) -> Result<Pins> {
        let catalog = workspace.catalog()?;
        let pinned =
            pinned::pin(&catalog, &workspace.project, model).map_err(|(_, problem)| anyhow::anyhow!(problem))?;
        let label = label::define(&catalog, &workspace.project, model);
        let label = label.map_err(|problems| anyhow::anyhow!(problems[0].1.clone()))?;
        Ok(Pins { pinned, label })
    }
}

/// Reads at these commits, or at the newest.
pub async fn assemble(workspace: &Workspace, model: &Model, at: Option<&Commits>) -> Result<TrainingSet> {
    assemble_pinned(workspace, model, Pins::of(workspace, model)?, at).await
}

/// As [`assemble`]; commits that are asked for are read, and no earlier ones.
pub async fn assemble_at(workspace: &Workspace, model: &Model, at: Option<&Commits>) -> Result<TrainingSet> {
    let set = assemble(workspace, model, at).await?;
    refuse_behind(&set.behind, at)?;
    Ok(set)
}

fn refuse_behind(behind: &Commits, at: Option<&Commits>) -> Result<()> {
    at.map_or(Ok(()), |at| tags::refuse_behind(behind, at))
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
    let query = SetQuery::new(workspace, model, pins, split, at).await?;
    assemble_from(workspace, model, split, query, at).await
}

async fn assemble_from(
    workspace: &Workspace,
    model: &Model,
    split: &Split,
    query: SetQuery,
    at: Option<&Commits>,
) -> Result<TrainingSet> {
    let SetQuery { pins, views, spine: query } = query;
    let up_to = |source: &Name| at.and_then(|at| at.get(source).copied());
    let rows = query.held(workspace).await?;
    let mut pushed = passes::push(workspace, &views.all(), &up_to).await?;
    let read = pushed.iter().map(|pushed| pushed.commit);
    let Read { commits, behind } = views.read(model, &query, read, &up_to);
    let of_label = views.of_label.as_ref().and_then(|view| Some((view, pushed.pop()?)));
    let Pins { pinned, label: label_definition } = pins;
    let (cases, Chosen { left_out, warnings }) = learned_from(model, &pinned, rows, &query, of_label)?;
    let read_at = match model.spine.as_of {
        Some(_) => cases.as_of.clone(),
        None => always(newest_commit(workspace, model, &pinned, &up_to).await?, cases.rows.num_rows()),
    };
    let keys = columns_of(&cases.rows, &pinned.keys)?;
    let features = features(&views.taken, pushed, &read_at, &cases.rows)?;
    let (features, refused) = tokio::task::block_in_place(|| settle::settle(&pinned, features))?;
    let mut digest = SetDigest::default();
    digest.push(learned(&cases, &features, &keys).iter(), &settle::flags(&refused, cases.rows.num_rows()));
    let mut stretches = KeyStretches::default();
    stretches.next(&keys)?;
    let data = TrainingData {
        features,
        groups: many(&cases, split.column.iter())?,
        profile: many(&cases, model.profile.iter())?,
        label: cases.label,
        as_of: cases.as_of,
        label_time: cases.label_time,
        keys,
        refused,
        left_out,
        words: pinned.inputs.iter().map(|input| (input.name.clone(), input.words.clone())).collect(),
    };
    let (entities, digest) = (stretches.keys(), digest.finish());
    Ok(TrainingSet { pinned, label_definition, data, commits, behind, entities, digest, warnings, read_at })
}

/// What a training set is asked of.
struct SetQuery {
    pins: Pins,
    views: Views,
    spine: SpineQuery,
}

impl SetQuery {
    async fn new(
        workspace: &Workspace,
        model: &Model,
        pins: Pins,
        split: &Split,
        at: Option<&Commits>,
    ) -> Result<SetQuery> {
        let also: Vec<&str> = spine_inputs(&pins.pinned, split).map(|(name, _)| name).collect();
        let up_to = at.and_then(|at| at.get(&model.spine.source).copied());
        let spine = spine::query(workspace, &*workspace.catalog()?, model, &also, up_to).await?;
        Ok(SetQuery { views: Views::compile(&pins)?, pins, spine })
    }

    /// About how many bytes the inputs of a row take beside the spine's: a text that a view computes is taken to be as long as
    /// those of the longest column that it reads.
    async fn input_bytes(&self, workspace: &Workspace, at: Option<&Commits>) -> Result<u64> {
        let inputs = &self.views.taken.inputs;
        let mut bytes = (inputs.len() * size_of::<u64>()) as u64;
        for (place, view) in self.views.of_model.iter().enumerate() {
            let of_view = |input: &&Input| input.view_output().is_some_and(|(view, _)| view == place);
            let texts = inputs.iter().filter(of_view).filter(|input| input.data_type == DataType::Text).count();
            if texts > 0 {
                let source = &view.definition().source;
                let up_to = at.and_then(|at| at.get(&source.name).copied());
                let snapshot = reading::snapshot(workspace, source, up_to).await?;
                let longest = snapshot.text_bytes(&view.texts()).await.into_iter().max();
                bytes += texts as u64 * longest.unwrap_or(0);
            }
        }
        Ok(bytes)
    }
}

/// The views that are computed of histories: the model's, last the one of its label.
struct Views {
    /// The model's inputs, as what is compiled gives them.
    taken: Pinned,
    of_model: Vec<CompiledView>,
    of_label: Option<CompiledView>,
}

/// Which commits were read.
struct Read {
    commits: Commits,
    /// Earlier ones than were asked for.
    behind: Commits,
}

impl Views {
    fn compile(pins: &Pins) -> Result<Views> {
        let of_label = pins.label.clone().map(CompiledView::compile).transpose()?;
        let taken = pins.pinned.narrowed()?;
        let of_model = taken.compile()?.into_iter().map(CompiledView::without_lists).collect();
        Ok(Views { taken, of_model, of_label })
    }

    fn all(&self) -> Vec<&CompiledView> {
        self.of_model.iter().chain(&self.of_label).collect()
    }

    /// `read` is the commit that each of all was read at.
    fn read(
        &self,
        model: &Model,
        query: &SpineQuery,
        read: impl Iterator<Item = u64>,
        up_to: &dyn Fn(&Name) -> Option<u64>,
    ) -> Read {
        let mut commits = Commits::from([(model.spine.source.clone(), query.commit)]);
        let mut behind = Commits::new();
        for (view, commit) in self.all().into_iter().zip(read) {
            let source = &view.definition().source.name;
            if up_to(source).is_some_and(|asked| commit < asked) {
                behind.insert(source.clone(), commit);
            }
            // Of views that stand at different commits each finds its own again below the newest.
            let newest = commits.entry(source.clone()).or_default();
            *newest = commit.max(*newest);
        }
        Read { commits, behind }
    }
}

/// The spine's rows that are learned from, as far as labels and the spine's own rules say.
fn learned_from(
    model: &Model,
    pinned: &Pinned,
    rows: RecordBatch,
    query: &SpineQuery,
    of_label: Option<(&CompiledView, Pushed<'_>)>,
) -> Result<(Cases, Chosen)> {
    let as_of = cases::as_of(model, &query.zone, &rows)?;
    let mut choosing = Choosing::new(model.spine.keep);
    let (cases, open) = match (model.spine.label.events(), of_label) {
        (Some(events), Some((view, pushed))) => {
            let reach = pushed.reach;
            let windows = label::Windows::new(events, &view.definition().source.time_zone, &as_of);
            let open = windows.open(reach);
            if open.iter().all(|open| *open) {
                return label::all_open(&model.spine.source, events, reach, open.len() as u64);
            }
            let measured = pushed.run(&windows.spine(columns_of(&rows, view.key_columns())?, &as_of))?;
            (windows.label(events, rows, as_of, measured.column(0)), open)
        }
        _ => {
            let open = vec![false; rows.num_rows()];
            (Cases::by_columns(model, &query.zone, rows, as_of)?, open)
        }
    };
    let mut wanted = vec![false; open.len()];
    let mut choose = |row: u64| {
        wanted[row as usize] = true;
        Ok(())
    };
    choosing.push(&columns_of(&cases.rows, &pinned.keys)?, &cases, &open, &mut choose)?;
    let chosen = choosing.finish(&mut choose)?;
    if chosen.left_out == LeftOut::default() {
        return Ok((cases, chosen));
    }
    Ok((cases.filter(&BooleanArray::from(wanted))?, chosen))
}

/// The model's inputs for each row, in their order.
fn features(pinned: &Pinned, pushed: Vec<Pushed<'_>>, as_of: &Int64Array, rows: &RecordBatch) -> Result<RecordBatch> {
    let mut computed = Vec::with_capacity(pushed.len());
    for (view, pushed) in pinned.views.iter().zip(pushed) {
        let keys = columns_of(rows, &view.definition.keys)?;
        computed.push(pushed.run(&Spine { keys, as_of: as_of.clone(), known_at: None, since: None })?);
    }
    frame::inputs(pinned, rows, |view, output| computed[view].column(output).clone())
}

/// Everything that is learned from, in the order of its digest.
fn learned(cases: &Cases, features: &RecordBatch, keys: &[ArrayRef]) -> Vec<ArrayRef> {
    let times: ArrayRef = Arc::new(cases.as_of.clone());
    features.columns().iter().chain([&cases.label, &times]).chain(keys).cloned().collect()
}

fn many<'n>(cases: &Cases, names: impl Iterator<Item = &'n String>) -> Result<Vec<ArrayRef>> {
    names.map(|name| cases::column(&cases.rows, name).cloned()).collect()
}

/// The same time for so many rows.
fn always(at: Instant, rows: usize) -> Int64Array {
    Int64Array::from_value(at.micros(), rows)
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
