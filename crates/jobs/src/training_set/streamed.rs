//! A training set that does not fit in memory: the same rows in the same order, and the same digest, out of files. The spine is
//! sorted in runs, and so are the events of views whose keys it is sorted by: both are merged, and a batch of rows has its
//! features before the next is read. Features of other keys, and of events in too many runs, are computed by parts of the keys,
//! and joined by the rows' numbers.

mod by_parts;
mod cases_spool;
mod events;
mod side_by_side;
mod sorted;
mod whole_keys;

use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::UInt8Type;
use karat_core::{Instant, Name};
use karat_features::{CompiledView, MergeJoin, RowMerge, Spine};
use karat_project::spec::{EventLabel, Model};
use karat_serving::{InputOrigin, Pinned};
use karat_training::split::SpineBatch;

use super::cases::{self, Cases, Choosing, Chosen, columns_of};
use super::digest::SetDigest;
use super::keep::KeyStretches;
use super::output::{Target, Writing};
use super::passes::{Reach, key_names};
use super::spine::{self, SpineQuery};
use super::{Account, Commits, Pins, Read, SetQuery, always, frame, label, many, newest_commit, refuse_behind, settle};
use crate::spill::{self, Blocks, Reading, Spilled};
use crate::{Unit, Workspace};
use by_parts::{Computing, Found, Joined, Spreading};
use cases_spool::{CasesSpool, CasesWriter, RowsWriter};
use events::{Events, OnDisk};
use side_by_side::SideBySide;
use sorted::Sorted;
use whole_keys::{Gathering, WholeKeys};

/// Whether a set is more than may be held: its spine and its inputs of so many bytes a row, whatever else that takes.
pub(super) fn is_needed(workspace: &Workspace, spine: &SpineQuery, input_bytes: u64) -> bool {
    spine.rows.saturating_mul(spine.row_bytes + input_bytes) > spill::held(workspace)
}

pub(super) async fn write<'o>(
    workspace: &Workspace,
    model: &Model,
    query: SetQuery,
    input_bytes: u64,
    at: Option<&Commits>,
    target: Target<'o>,
) -> Result<(Writing<'o>, Account)> {
    let SetQuery { pins, views, spine: query } = query;
    tracing::debug!(rows = query.rows, "a training set that does not fit in memory is put together on disk");
    let up_to = |source: &Name| at.and_then(|at| at.get(source).copied());
    let beside = views.all().len() as u64;
    let (sorted, without_as_of) = Sorted::spine(workspace, &query, model.spine.as_of.as_deref(), beside).await?;
    if sorted.rows() == 0 {
        return query.has_no_rows();
    }
    if let Some(name) = &model.spine.as_of {
        spine::refuse_without_as_of(without_as_of, model, name)?;
    }
    let at_once = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let mut on_disk = events::to_disk(workspace, &views.all(), &up_to, &sorted, at_once).await?;
    let read = on_disk.iter().map(|view| view.commit);
    let Read { commits, behind } = views.read(model, &query, read, &up_to);
    refuse_behind(&behind, at)?;
    let of_label = views.of_label.as_ref().and_then(|_| on_disk.pop());
    let read_at = match model.spine.as_of {
        Some(_) => ReadAt::Own,
        None => ReadAt::Newest(newest_commit(workspace, model, &pins.pinned, &up_to).await?),
    };
    let Pins { pinned, label: label_definition } = pins;
    let streaming = Streaming { workspace, model, taken: &views.taken, query: &query, input_bytes, read_at, at_once };
    let (writing, counts) = tokio::task::block_in_place(|| streaming.write(sorted, of_label, on_disk, target))?;
    let Counts { entities, digest, chosen: Chosen { left_out, warnings }, refused } = counts;
    Ok((writing, Account { pinned, label_definition, commits, entities, digest, left_out, refused, warnings }))
}

/// Rows are gathered to this share of what a batch may take with the rows of a key of many.
const LEAST_OF_MOST: usize = 8;
const FEWEST_GATHERED: usize = 64;
const MOST_GATHERED: usize = 65_536;

/// Batches that may wait to be digested.
const AHEAD: usize = 4;

struct Streaming<'a> {
    workspace: &'a Workspace,
    model: &'a Model,
    /// The model's inputs, as its views give them.
    taken: &'a Pinned,
    query: &'a SpineQuery,
    /// About what the inputs of a row take.
    input_bytes: u64,
    read_at: ReadAt,
    at_once: u64,
}

/// When features are read.
#[derive(Clone, Copy)]
enum ReadAt {
    /// At each row's as_of.
    Own,
    Newest(Instant),
}

struct Counts {
    entities: u64,
    digest: karat_core::Digest,
    chosen: Chosen,
    refused: u64,
}

/// The cases that are learned from, with the parts that have their rows: beside each case one number for each spine by parts.
struct Learned {
    rows: u64,
    cases: LearnedCases,
    /// With the keys that they are spread by.
    spines: Vec<(Vec<String>, Blocks)>,
    chosen: Chosen,
}

enum LearnedCases {
    /// All rows of the spine, as they are.
    All(Sorted),
    Spooled(CasesSpool),
}

/// Rows of a spine in its order.
type Rows = WholeKeys<RowMerge<Reading>>;
/// Cases, and which of them are open.
type Labelled = (Cases, Vec<bool>);
/// Cases, and for each spine by parts the number of the part that has each of them.
type CasesOfParts = (Cases, Vec<ArrayRef>);

impl Streaming<'_> {
    fn write<'o>(
        &self,
        sorted: Sorted,
        of_label: Option<OnDisk<'_>>,
        views: Vec<OnDisk<'_>>,
        mut target: Target<'o>,
    ) -> Result<(Writing<'o>, Counts)> {
        let rows = sorted.rows();
        let is_in_order = |view: &OnDisk<'_>| matches!(view.events, Events::InOrder(_));
        let gathering = self.gathering(rows, of_label.as_slice());
        let learned = match (self.model.spine.label.events(), of_label) {
            (Some(label), Some(OnDisk { view, events, commit, reach, .. })) => {
                let learned = match events {
                    Events::InOrder(events) => {
                        let stage = self.workspace.observer.begin("labels", rows, Unit::Rows);
                        let join = self.join(view, &events, commit);
                        let side_by_side = SideBySide::new(gathering, self.at_once);
                        let rows = sorted.gathered(side_by_side.each)?;
                        drop(sorted);
                        let rows = side_by_side.groups(rows, RecordBatch::num_rows);
                        let labelled = self.labelled_by_events(rows, label, (view, join), reach);
                        let seen = |labelled: &Result<Labelled>| {
                            stage.advance(labelled.as_ref().map_or(0, |(cases, _)| cases.rows.num_rows() as u64));
                        };
                        self.learned(Box::new(labelled.inspect(seen)), &views)?
                    }
                    Events::ByParts(events) => {
                        let outcomes = self.outcomes(sorted, label, events, commit, reach)?;
                        self.learned(Box::new(outcomes.labelled()), &views)?
                    }
                };
                if learned.chosen.left_out.open == rows {
                    return label::all_open(&self.model.spine.source, label, reach, rows);
                }
                learned
            }
            _ if self.model.spine.keep.is_none() && views.iter().all(is_in_order) => {
                Learned { rows, cases: LearnedCases::All(sorted), spines: Vec::new(), chosen: Chosen::default() }
            }
            _ => {
                let rows = sorted.gathered(gathering)?;
                drop(sorted);
                self.learned(Box::new(self.labelled_by_columns(rows)), &views)?
            }
        };
        self.show(&learned, &mut target)?;
        let gathering = self.gathering(learned.rows, &views);
        let features = self.features(&learned, views)?;
        self.put_together(learned, gathering, features, target)
    }

    /// How rows are gathered that are so many in all: what is read and found for a batch of them, of those of these views
    /// that are in their order, takes a small share of the memory.
    fn gathering<'v>(&self, rows: u64, views: impl IntoIterator<Item = &'v OnDisk<'v>>) -> Gathering {
        let (mut keys, mut row_bytes) = (None, self.query.row_bytes + self.input_bytes);
        for OnDisk { view, events, event_bytes, .. } in views {
            if let Events::InOrder(events) = events {
                let events_bytes = events.rows().saturating_mul(*event_bytes);
                // They are there as they come, and in the tables of a pass.
                row_bytes += view.reader_bytes() as u64 + 2 * (events_bytes / rows.max(1));
                keys = keys.into_iter().chain([view.key_columns().len()]).min();
            }
        }
        let most = usize::try_from(spill::blocks(self.workspace) / row_bytes).unwrap_or(usize::MAX);
        let least = (most / LEAST_OF_MOST).clamp(FEWEST_GATHERED, MOST_GATHERED);
        Gathering { keys: keys.unwrap_or(0), least, most: most.max(least) }
    }

    /// Shows the rows that are learned from, as often as it takes to deal them out.
    fn show(&self, learned: &Learned, target: &mut Target<'_>) -> Result<()> {
        let rounds = target.rounds();
        let stage =
            (rounds > 0).then(|| self.workspace.observer.begin("splitting", learned.rows * rounds as u64, Unit::Rows));
        for round in 0..rounds {
            for batch in self.cases(learned, self.gathering(learned.rows, []))? {
                let (cases, _) = batch?;
                target.show(round, &self.split_by(&cases)?)?;
                stage.iter().for_each(|stage| stage.advance(cases.rows.num_rows() as u64));
            }
        }
        Ok(())
    }

    /// In batches, each with the parts of its rows.
    fn cases<'l>(
        &'l self,
        learned: &'l Learned,
        gathering: Gathering,
    ) -> Result<Box<dyn Iterator<Item = Result<CasesOfParts>> + 'l>> {
        Ok(match &learned.cases {
            LearnedCases::All(sorted) => {
                let labelled = self.labelled_by_columns(sorted.gathered(gathering)?);
                Box::new(labelled.map(|labelled| Ok((labelled?.0, Vec::new()))))
            }
            LearnedCases::Spooled(cases) => Box::new(cases.batches(gathering)),
        })
    }

    fn labelled_by_columns(&self, rows: Rows) -> impl Iterator<Item = Result<Labelled>> {
        rows.map(|rows| {
            let rows = rows?;
            let as_of = cases::as_of(self.model, &self.query.zone, &rows)?;
            let open = vec![false; rows.num_rows()];
            Ok((Cases::by_columns(self.model, &self.query.zone, rows, as_of)?, open))
        })
    }

    fn labelled_by_events<'s>(
        &'s self,
        groups: impl Iterator<Item = Result<Vec<RecordBatch>>>,
        label: &'s EventLabel,
        (view, mut join): (&'s CompiledView, InOrder<'s>),
        reach: Reach,
    ) -> impl Iterator<Item = Result<Labelled>> {
        let zone = &view.definition().source.time_zone;
        let mut labelled = move |batches: Vec<RecordBatch>| {
            let mut asked = Vec::with_capacity(batches.len());
            let mut spines = Vec::with_capacity(batches.len());
            for rows in batches {
                let as_of = cases::as_of(self.model, &self.query.zone, &rows)?;
                let windows = label::Windows::new(label, zone, &as_of);
                spines.push(windows.spine(columns_of(&rows, view.key_columns())?, &as_of));
                asked.push((rows, as_of, windows));
            }
            let measured = join.next(&spines)?;
            let labelled = asked.into_iter().zip(measured).map(|((rows, as_of, windows), measured)| {
                let open = windows.open(reach);
                (windows.label(label, rows, as_of, measured.column(0)), open)
            });
            anyhow::Ok(labelled.collect::<Vec<Labelled>>())
        };
        groups.flat_map(move |batches| match batches.and_then(&mut labelled) {
            Ok(labelled) => labelled.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// What later events make of each row, by parts of their keys.
    fn outcomes<'o>(
        &'o self,
        sorted: Sorted,
        events: &'o EventLabel,
        of_label: Spilled<'o>,
        commit: u64,
        reach: Reach,
    ) -> Result<Outcomes<'o>> {
        let stage = self.workspace.observer.begin("labels", sorted.rows(), Unit::Rows);
        let view = of_label.view;
        let mut spreading = Spreading::new(self.workspace, view, of_label.parts(), 1)?;
        let mut rows = CasesWriter::new(self.workspace)?;
        for batch in sorted.batches()? {
            let batch = batch?;
            let as_of = cases::as_of(self.model, &self.query.zone, &batch)?;
            let windows = label::Windows::new(events, &view.definition().source.time_zone, &as_of);
            let spine = windows.spine(columns_of(&batch, view.key_columns())?, &as_of);
            let parts = spreading.push(&spine)?;
            // The label and its time are not known yet.
            let label: ArrayRef = std::sync::Arc::new(BooleanArray::new_null(batch.num_rows()));
            rows.push(&Cases { rows: batch, label_time: as_of.clone(), as_of, label }, vec![parts])?;
        }
        drop(sorted);
        let (rows, spine) = (rows.finish()?, spreading.finish()?);
        let computing =
            Computing { workspace: self.workspace, at_once: self.at_once, together: 1, stage: Some(stage.as_ref()) };
        let measured = computing.run(&of_label, commit, &spine, &[0])?;
        let gathering = self.gathering(rows.rows(), []);
        Ok(Outcomes { events, view, reach, rows, measured, gathering })
    }

    /// Leaves out what is not learned from, and spreads the rest for the model's views.
    fn learned<'l>(
        &self,
        labelled: Box<dyn Iterator<Item = Result<Labelled>> + 'l>,
        views: &[OnDisk<'_>],
    ) -> Result<Learned> {
        let mut choosing = Choosing::new(self.model.spine.keep);
        let mut learned = Learning::new(self, views)?;
        let keys = |cases: &Cases| columns_of(&cases.rows, &self.taken.keys);
        if self.model.spine.keep.is_none() {
            for labelled in labelled {
                let (cases, open) = labelled?;
                let before = choosing.rows();
                let mut wanted = vec![false; open.len()];
                choosing.push(&keys(&cases)?, &cases, &open, |row| {
                    wanted[(row - before) as usize] = true;
                    Ok(())
                })?;
                learned.push(cases, wanted)?;
            }
            return learned.finish(choosing.finish(|_| Ok(()))?);
        }
        // Which rows of a key are kept is known once all of it was seen.
        let (mut all, mut kept) = (CasesWriter::new(self.workspace)?, RowsWriter::new(self.workspace)?);
        for labelled in labelled {
            let (cases, open) = labelled?;
            choosing.push(&keys(&cases)?, &cases, &open, |row| kept.push(row))?;
            all.push(&cases, Vec::new())?;
        }
        let chosen = choosing.finish(|row| kept.push(row))?;
        let (all, mut kept) = (all.finish()?, kept.finish()?);
        for cases in all.batches(self.gathering(all.rows(), [])) {
            let (cases, _) = cases?;
            let wanted = kept.flags(cases.rows.num_rows())?;
            learned.push(cases, wanted)?;
        }
        learned.finish(chosen)
    }

    fn read_at(&self, cases: &Cases) -> Int64Array {
        match self.read_at {
            ReadAt::Own => cases.as_of.clone(),
            ReadAt::Newest(at) => always(at, cases.rows.num_rows()),
        }
    }

    fn split_by(&self, cases: &Cases) -> Result<SpineBatch> {
        Ok(SpineBatch {
            label: cases.label.clone(),
            as_of: cases.as_of.clone(),
            label_time: cases.label_time.clone(),
            keys: columns_of(&cases.rows, &self.taken.keys)?,
            groups: many(cases, self.model.split.column.iter())?,
        })
    }

    /// What the model takes of each view, view by view; at once where a view is not in the spine's order.
    fn features<'v>(&self, learned: &Learned, views: Vec<OnDisk<'v>>) -> Result<Vec<Features<'v>>> {
        let together = views.iter().filter(|view| matches!(view.events, Events::ByParts(_))).count();
        let rows = learned.rows * together as u64;
        let stage = (together > 0).then(|| self.workspace.observer.begin("computing features", rows, Unit::Rows));
        let mut features = Vec::with_capacity(views.len());
        for (place, OnDisk { view, events, commit, .. }) in views.into_iter().enumerate() {
            features.push(match events {
                Events::InOrder(events) => {
                    Features::InOrder { view, join: self.join(view, &events, commit), found: Vec::new().into_iter() }
                }
                Events::ByParts(events) => {
                    let spine = learned.spine(view).context("the spine is spread by the keys of every such view")?;
                    let wanted = self.wanted(place);
                    let stage = stage.as_deref();
                    let computing = Computing { workspace: self.workspace, at_once: self.at_once, together, stage };
                    let found = computing.run(&events, commit, &learned.spines[spine].1, &wanted)?;
                    Features::ByParts { joined: found.joined(), spine, wanted }
                }
            });
        }
        Ok(features)
    }

    fn join<'v>(&self, view: &'v CompiledView, events: &Sorted, commit: u64) -> InOrder<'v> {
        MergeJoin::new(view, events.runs(), Some(commit))
    }

    /// The outputs that the model takes of the view in this place, ascending.
    fn wanted(&self, place: usize) -> Vec<usize> {
        let inputs = self.taken.inputs.iter().filter_map(|input| match input.origin {
            InputOrigin::View { view, output } if view == place => Some(output),
            _ => None,
        });
        let mut wanted: Vec<usize> = inputs.collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// Writes rows while another thread digests what they are learned from.
    fn put_together<'o>(
        &self,
        learned: Learned,
        gathering: Gathering,
        features: Vec<Features<'_>>,
        target: Target<'o>,
    ) -> Result<(Writing<'o>, Counts)> {
        let (sender, rows) = sync_channel::<(Vec<ArrayRef>, ArrayRef)>(AHEAD);
        let digested = || {
            let mut digest = SetDigest::default();
            rows.into_iter().for_each(|(columns, refused)| digest.push(&columns, &refused));
            digest.finish()
        };
        std::thread::scope(|scope| {
            let digested = scope.spawn(digested);
            let (writing, entities, refused) = self.write_rows(&learned, gathering, features, target, sender)?;
            let digest = digested.join().expect("what is written has Karat's types");
            Ok((writing, Counts { entities, digest, chosen: learned.chosen, refused }))
        })
    }

    /// Says, too, how many keys there are, and how many rows a check refuses.
    fn write_rows<'o>(
        &self,
        learned: &Learned,
        gathering: Gathering,
        mut of_views: Vec<Features<'_>>,
        target: Target<'o>,
        to_digest: SyncSender<(Vec<ArrayRef>, ArrayRef)>,
    ) -> Result<(Writing<'o>, u64, u64)> {
        let stage = self.workspace.observer.begin("writing", learned.rows, Unit::Rows);
        let mut stretches = KeyStretches::default();
        let mut refused_rows = 0;
        let (mut target, mut writing) = (Some(target), None);
        let side_by_side = SideBySide::new(gathering, self.at_once);
        let batches = self.cases(learned, side_by_side.each)?;
        for batches in side_by_side.groups(batches, |(cases, _)| cases.rows.num_rows()) {
            let batches = batches?;
            let read_at: Vec<Int64Array> = batches.iter().map(|(cases, _)| self.read_at(cases)).collect();
            of_views.iter_mut().try_for_each(|of_view| of_view.merge(&batches, &read_at))?;
            for ((cases, parts), read_at) in batches.into_iter().zip(read_at) {
                let next = |of_view: &mut Features<'_>| of_view.next(&parts);
                let computed = of_views.iter_mut().map(next).collect::<Result<Vec<RecordBatch>>>()?;
                let features = frame::inputs(self.taken, &cases.rows, |view, output| {
                    computed[view].column(of_views[view].column(output)).clone()
                })?;
                let (features, refused) = settle::settle(self.taken, features)?;
                refused_rows += refused.len() as u64;
                let rows = self.split_by(&cases)?;
                stretches.next(&rows.keys)?;
                let flags = settle::flags(&refused, cases.rows.num_rows());
                to_digest.send((super::learned(&cases, &features, &rows.keys), flags))?;
                let label = (self.model.spine.label.name(), &cases.label);
                let frame = frame::frame(self.taken, &rows.keys, &read_at, &features, label)?;
                if let Some(target) = target.take() {
                    writing = Some(target.create(&frame.schema())?);
                }
                if let Some(writing) = &mut writing {
                    writing.write(&frame, &rows, &refused)?;
                }
                stage.advance(frame.num_rows() as u64);
            }
        }
        let writing = writing.context("there is a batch, if only one without rows")?;
        Ok((writing, stretches.keys(), refused_rows))
    }
}

type InOrder<'v> = MergeJoin<'v, Reading>;

/// Where the features of a view come from, for the rows of the spine from the first on.
enum Features<'v> {
    InOrder {
        view: &'v CompiledView,
        join: InOrder<'v>,
        /// Of batches that are to come.
        found: std::vec::IntoIter<RecordBatch>,
    },
    ByParts {
        joined: Joined,
        /// Which of the spines by parts it was asked about.
        spine: usize,
        /// Outputs, ascending.
        wanted: Vec<usize>,
    },
}

impl Features<'_> {
    /// Computes what is computed for the next batches side by side.
    fn merge(&mut self, batches: &[CasesOfParts], read_at: &[Int64Array]) -> Result<()> {
        if let Features::InOrder { view, join, found } = self {
            let spine = |((cases, _), read_at): (&CasesOfParts, &Int64Array)| {
                let keys = columns_of(&cases.rows, view.key_columns())?;
                anyhow::Ok(Spine { keys, as_of: read_at.clone(), known_at: None, since: None })
            };
            *found = join.next(&batches.iter().zip(read_at).map(spine).collect::<Result<Vec<Spine>>>()?)?.into_iter();
        }
        Ok(())
    }

    /// Of the next of them.
    fn next(&mut self, parts: &[ArrayRef]) -> Result<RecordBatch> {
        match self {
            Features::InOrder { found, .. } => found.next().context("a batch was merged"),
            Features::ByParts { joined, spine, .. } => joined.next(parts[*spine].as_primitive::<UInt8Type>()),
        }
    }

    /// Where an output is among what is found.
    fn column(&self, output: usize) -> usize {
        match self {
            Features::InOrder { .. } => output,
            Features::ByParts { wanted, .. } => wanted.binary_search(&output).expect("what inputs take is wanted"),
        }
    }
}

/// Rows of a spine and what the events of their windows come to.
struct Outcomes<'o> {
    events: &'o EventLabel,
    view: &'o CompiledView,
    reach: Reach,
    rows: CasesSpool,
    measured: Found,
    gathering: Gathering,
}

impl Outcomes<'_> {
    fn labelled(&self) -> impl Iterator<Item = Result<Labelled>> {
        let mut measured = self.measured.joined();
        let zone = &self.view.definition().source.time_zone;
        self.rows.batches(self.gathering).map(move |batch| {
            let (Cases { rows, as_of, .. }, parts) = batch?;
            let measured = measured.next(parts[0].as_primitive::<UInt8Type>())?;
            let windows = label::Windows::new(self.events, zone, &as_of);
            let open = windows.open(self.reach);
            Ok((windows.label(self.events, rows, as_of, measured.column(0)), open))
        })
    }
}

/// Cases that are learned from on their way to disk, and spines by parts of every key that views have.
struct Learning<'a> {
    streaming: &'a Streaming<'a>,
    cases: CasesWriter,
    spines: Vec<(&'a CompiledView, Spreading)>,
}

impl<'a> Learning<'a> {
    fn new(streaming: &'a Streaming<'a>, on_disk: &'a [OnDisk<'_>]) -> Result<Learning<'a>> {
        let mut views: Vec<(&CompiledView, usize)> = Vec::new();
        for OnDisk { view, events, .. } in on_disk {
            let Events::ByParts(events) = events else { continue };
            if views.iter().all(|(other, _)| key_names(other) != key_names(view)) {
                views.push((view, events.parts()));
            }
        }
        let together = views.len();
        let spreading = |(view, parts): (&'a CompiledView, usize)| {
            anyhow::Ok((view, Spreading::new(streaming.workspace, view, parts, together)?))
        };
        let spines = views.into_iter().map(spreading).collect::<Result<_>>()?;
        Ok(Learning { streaming, cases: CasesWriter::new(streaming.workspace)?, spines })
    }

    /// Takes the next cases, of which some are wanted.
    fn push(&mut self, cases: Cases, wanted: Vec<bool>) -> Result<()> {
        let cases = match wanted.iter().all(|wanted| *wanted) {
            true => cases,
            false => cases.filter(&BooleanArray::from(wanted))?,
        };
        let as_of = self.streaming.read_at(&cases);
        let mut parts = Vec::with_capacity(self.spines.len());
        for (view, spreading) in &mut self.spines {
            let keys = columns_of(&cases.rows, view.key_columns())?;
            parts.push(spreading.push(&Spine { keys, as_of: as_of.clone(), known_at: None, since: None })?);
        }
        self.cases.push(&cases, parts)
    }

    fn finish(self, chosen: Chosen) -> Result<Learned> {
        let finished = |(view, spreading): (&CompiledView, Spreading)| {
            let keys = key_names(view).into_iter().map(str::to_owned).collect();
            anyhow::Ok((keys, spreading.finish()?))
        };
        let spines = self.spines.into_iter().map(finished).collect::<Result<_>>()?;
        let cases = self.cases.finish()?;
        Ok(Learned { rows: cases.rows(), cases: LearnedCases::Spooled(cases), spines, chosen })
    }
}

impl Learned {
    fn spine(&self, view: &CompiledView) -> Option<usize> {
        self.spines.iter().position(|(keys, _)| *keys == key_names(view))
    }
}
