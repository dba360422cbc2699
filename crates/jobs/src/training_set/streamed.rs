//! A training set that does not fit in memory: the same rows in the same order, and the same digest, out of files. The spine is
//! sorted in runs, features are computed by parts of their keys, and what is written is put together a batch at a time.

mod by_parts;
mod cases_spool;
mod sorted;

use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::UInt8Type;
use karat_core::{Instant, Name};
use karat_features::{CompiledView, Spine};
use karat_project::spec::{EventLabel, Model};
use karat_serving::{InputOrigin, Pinned};
use karat_training::split::SpineBatch;

use super::cases::{self, Cases, Choosing, Chosen, columns_of};
use super::digest::SetDigest;
use super::keep::KeyStretches;
use super::output::{Target, Writing};
use super::passes::{self, PushedByParts, key_names};
use super::spine::{self, SpineQuery};
use super::{Account, Commits, Pins, Read, Views, always, frame, label, many, newest_commit, refuse_behind, settle};
use crate::spill::{self, Blocks};
use crate::{Unit, Workspace};
use by_parts::{Computing, Found, Joined, Spreading};
use cases_spool::{CasesSpool, CasesWriter, RowsWriter};
use sorted::Sorted;

/// Whether a set is more than may be held: its spine and its features together, whatever else that takes.
pub(super) fn is_needed(workspace: &Workspace, pinned: &Pinned, query: &SpineQuery) -> bool {
    let features: usize = pinned.inputs.iter().map(|input| spine::cell_bytes(input.data_type)).sum();
    query.rows.saturating_mul(query.row_bytes + features as u64) > spill::held(workspace)
}

pub(super) async fn write<'o>(
    workspace: &Workspace,
    model: &Model,
    pins: Pins,
    query: SpineQuery,
    at: Option<&Commits>,
    target: Target<'o>,
) -> Result<(Writing<'o>, Account)> {
    tracing::debug!(rows = query.rows, "a training set that does not fit in memory is put together on disk");
    let up_to = |source: &Name| at.and_then(|at| at.get(source).copied());
    let sorted = Sorted::new(workspace, &query, model.spine.as_of.as_deref()).await?;
    if sorted.rows == 0 {
        return query.has_no_rows();
    }
    if let Some(name) = &model.spine.as_of {
        spine::refuse_without_as_of(sorted.without_as_of, model, name)?;
    }
    let at_once = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let views = Views::compile(&pins)?;
    let mut pushed = passes::push_by_parts(workspace, &views.all(), &up_to, sorted.rows, at_once).await?;
    let read = pushed.iter().map(|pushed| pushed.commit);
    let Read { commits, behind } = views.read(model, &query, read, &up_to);
    refuse_behind(&behind, at)?;
    let of_label = views.of_label.as_ref().and_then(|_| pushed.pop());
    let read_at = match model.spine.as_of {
        Some(_) => ReadAt::Own,
        None => ReadAt::Newest(newest_commit(workspace, model, &pins.pinned, &up_to).await?),
    };
    let Pins { pinned, label: label_definition } = pins;
    let streaming = Streaming { workspace, model, pinned: &pinned, query: &query, read_at, at_once };
    let (writing, counts) = tokio::task::block_in_place(|| streaming.write(sorted, of_label, pushed, target))?;
    let Counts { entities, digest, chosen: Chosen { left_out, warnings }, refused } = counts;
    Ok((writing, Account { pinned, label_definition, commits, entities, digest, left_out, refused, warnings }))
}

/// Batches that may wait to be digested.
const AHEAD: usize = 4;

struct Streaming<'a> {
    workspace: &'a Workspace,
    model: &'a Model,
    pinned: &'a Pinned,
    query: &'a SpineQuery,
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
    cases: CasesSpool,
    /// With the keys that they are spread by.
    spines: Vec<(Vec<String>, Blocks)>,
    chosen: Chosen,
}

/// Cases, and which of them are open.
type Labelled = (Cases, Vec<bool>);

impl Streaming<'_> {
    fn write<'o>(
        &self,
        sorted: Sorted,
        of_label: Option<PushedByParts<'_>>,
        pushed: Vec<PushedByParts<'_>>,
        mut target: Target<'o>,
    ) -> Result<(Writing<'o>, Counts)> {
        let rows = sorted.rows;
        let learned = match (self.model.spine.label.events(), of_label) {
            (Some(events), Some(view)) => {
                let reach = view.reach;
                let outcomes = self.outcomes(sorted, events, &view)?;
                let learned = self.learned(&mut outcomes.labelled(), &pushed)?;
                if learned.chosen.left_out.open == rows {
                    return label::all_open(&self.model.spine.source, events, reach, rows);
                }
                learned
            }
            _ => {
                let learned = self.learned(&mut self.labelled_by_columns(&sorted)?, &pushed)?;
                drop(sorted);
                learned
            }
        };
        for round in 0..target.rounds() {
            for batch in learned.cases.batches() {
                target.show(round, &self.split_by(&batch?.0)?)?;
            }
        }
        let found = self.features(&learned, pushed)?;
        self.put_together(learned, &found, target)
    }

    fn labelled_by_columns(&self, sorted: &Sorted) -> Result<impl Iterator<Item = Result<Labelled>>> {
        Ok(sorted.batches()?.map(|rows| {
            let rows = rows?;
            let as_of = cases::as_of(self.model, &self.query.zone, &rows)?;
            let open = vec![false; rows.num_rows()];
            Ok((Cases::by_columns(self.model, &self.query.zone, rows, as_of)?, open))
        }))
    }

    /// What later events make of each row.
    fn outcomes<'o>(
        &'o self,
        sorted: Sorted,
        events: &'o EventLabel,
        view: &'o PushedByParts<'_>,
    ) -> Result<Outcomes<'o>> {
        let stage = self.workspace.observer.begin("labels", sorted.rows, Unit::Rows);
        let compiled = view.events.view;
        let mut spreading = Spreading::new(self.workspace, compiled, view.events.parts(), 1)?;
        let mut rows = CasesWriter::new(self.workspace)?;
        for batch in sorted.batches()? {
            let batch = batch?;
            let as_of = cases::as_of(self.model, &self.query.zone, &batch)?;
            let windows = label::Windows::new(events, &compiled.definition().source.time_zone, &as_of);
            let spine = windows.spine(columns_of(&batch, compiled.key_columns())?, &as_of);
            let parts = spreading.push(&spine)?;
            // The label and its time are not known yet.
            let label: ArrayRef = std::sync::Arc::new(BooleanArray::new_null(batch.num_rows()));
            rows.push(&Cases { rows: batch, label_time: as_of.clone(), as_of, label }, vec![parts])?;
        }
        drop(sorted);
        let (rows, spine) = (rows.finish()?, spreading.finish()?);
        let computing =
            Computing { workspace: self.workspace, at_once: self.at_once, together: 1, stage: stage.as_ref() };
        let measured = computing.run(view, &spine, &[0])?;
        Ok(Outcomes { events, view, rows, measured })
    }

    /// Leaves out what is not learned from, and spreads the rest for the model's views.
    fn learned(
        &self,
        labelled: &mut dyn Iterator<Item = Result<Labelled>>,
        pushed: &[PushedByParts<'_>],
    ) -> Result<Learned> {
        let mut choosing = Choosing::new(self.model.spine.keep);
        let mut learned = Learning::new(self, pushed)?;
        let keys = |cases: &Cases| columns_of(&cases.rows, &self.pinned.keys);
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
        for cases in all.batches() {
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
            keys: columns_of(&cases.rows, &self.pinned.keys)?,
            groups: many(cases, self.model.split.column.iter())?,
        })
    }

    /// What the model takes of each view, view by view.
    fn features(&self, learned: &Learned, pushed: Vec<PushedByParts<'_>>) -> Result<Vec<OfView>> {
        let together = pushed.len();
        let rows = learned.cases.rows() * together as u64;
        let stage = self.workspace.observer.begin("computing features", rows, Unit::Rows);
        let computing = Computing { workspace: self.workspace, at_once: self.at_once, together, stage: stage.as_ref() };
        let mut found = Vec::with_capacity(together);
        for (place, view) in pushed.into_iter().enumerate() {
            let mut wanted: Vec<usize> = self
                .pinned
                .inputs
                .iter()
                .filter_map(|input| match input.origin {
                    InputOrigin::View { view, output } if view == place => Some(output),
                    _ => None,
                })
                .collect();
            wanted.sort_unstable();
            wanted.dedup();
            let spine = learned.spine(view.events.view).context("the spine is spread by the keys of every view")?;
            let of_view = computing.run(&view, &learned.spines[spine].1, &wanted)?;
            found.push(OfView { found: of_view, spine, wanted });
        }
        Ok(found)
    }

    /// Writes rows while another thread digests what they are learned from.
    fn put_together<'o>(
        &self,
        learned: Learned,
        found: &[OfView],
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
            let (writing, entities, refused) = self.write_rows(&learned.cases, found, target, sender)?;
            let digest = digested.join().expect("what is written has Karat's types");
            Ok((writing, Counts { entities, digest, chosen: learned.chosen, refused }))
        })
    }

    /// Says, too, how many keys there are, and how many rows a check refuses.
    fn write_rows<'o>(
        &self,
        cases: &CasesSpool,
        found: &[OfView],
        target: Target<'o>,
        to_digest: SyncSender<(Vec<ArrayRef>, ArrayRef)>,
    ) -> Result<(Writing<'o>, u64, u64)> {
        let stage = self.workspace.observer.begin("writing", cases.rows(), Unit::Rows);
        let mut joined: Vec<Joined> = found.iter().map(|of_view| of_view.found.joined()).collect();
        let mut stretches = KeyStretches::default();
        let mut refused_rows = 0;
        let (mut target, mut writing) = (Some(target), None);
        for batch in cases.batches() {
            let (cases, parts) = batch?;
            let next = |(joined, of_view): (&mut Joined, &OfView)| {
                joined.next(parts[of_view.spine].as_primitive::<UInt8Type>())
            };
            let computed = joined.iter_mut().zip(found).map(next).collect::<Result<Vec<RecordBatch>>>()?;
            let features = frame::inputs(self.pinned, &cases.rows, |view, output| {
                let place = found[view].wanted.binary_search(&output).expect("what inputs take is wanted");
                computed[view].column(place).clone()
            })?;
            let (features, refused) = settle::settle(self.pinned, features)?;
            refused_rows += refused.len() as u64;
            let rows = self.split_by(&cases)?;
            stretches.next(&rows.keys)?;
            let flags = settle::flags(&refused, cases.rows.num_rows());
            to_digest.send((super::learned(&cases, &features, &rows.keys), flags))?;
            let label = (self.model.spine.label.name(), &cases.label);
            let frame = frame::frame(self.pinned, &rows.keys, &self.read_at(&cases), &features, label)?;
            if let Some(target) = target.take() {
                writing = Some(target.create(&frame.schema())?);
            }
            if let Some(writing) = &mut writing {
                writing.write(&frame, &rows, &refused)?;
            }
            stage.advance(frame.num_rows() as u64);
        }
        let writing = writing.context("there is a batch, if only one without rows")?;
        Ok((writing, stretches.keys(), refused_rows))
    }
}

/// What the model takes of a view.
struct OfView {
    found: Found,
    /// Which of the spines by parts it was asked about.
    spine: usize,
    /// Outputs, ascending.
    wanted: Vec<usize>,
}

/// Rows of a spine and what the events of their windows come to.
struct Outcomes<'o> {
    events: &'o EventLabel,
    view: &'o PushedByParts<'o>,
    rows: CasesSpool,
    measured: Found,
}

impl Outcomes<'_> {
    fn labelled(&self) -> impl Iterator<Item = Result<Labelled>> {
        let mut measured = self.measured.joined();
        let zone = &self.view.events.view.definition().source.time_zone;
        self.rows.batches().map(move |batch| {
            let (Cases { rows, as_of, .. }, parts) = batch?;
            let measured = measured.next(parts[0].as_primitive::<UInt8Type>())?;
            let windows = label::Windows::new(self.events, zone, &as_of);
            let open = windows.open(self.view.reach);
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
    fn new(streaming: &'a Streaming<'a>, pushed: &'a [PushedByParts<'_>]) -> Result<Learning<'a>> {
        let mut views: Vec<(&CompiledView, usize)> = Vec::new();
        for PushedByParts { events, .. } in pushed {
            if views.iter().all(|(view, _)| key_names(view) != key_names(events.view)) {
                views.push((events.view, events.parts()));
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
        Ok(Learned { cases: self.cases.finish()?, spines, chosen })
    }
}

impl Learned {
    fn spine(&self, view: &CompiledView) -> Option<usize> {
        self.spines.iter().position(|(keys, _)| *keys == key_names(view))
    }
}
