//! Histories read once for all that is computed from them.

use anyhow::Result;
use arrow::array::{AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{interleave_record_batch, take};
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use karat_core::{Column, Instant, Name, Schema, hidden};
use karat_features::{AsOfPass, CompiledView, Spine};
use karat_history::Snapshot;

use crate::spill::{self, Spilled, Spilling};
use crate::{Unit, Workspace, reading};

/// A view that has taken its history in, and answers for any spine.
pub(super) struct Pushed<'v> {
    pass: Taken<'v>,
    pub commit: u64,
    pub reach: Reach,
}

/// How far a history reaches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// When the latest of its records happened, and when the last was known; microseconds UTC.
    pub happened: Option<i64>,
    pub known: Option<i64>,
    /// When its newest commit was made.
    pub at: Instant,
}

/// Pushes each history once, whatever the number of views computed from it; what comes back stands in the order of `views`.
pub(super) async fn push<'v>(
    workspace: &Workspace,
    views: &[&'v CompiledView],
    up_to: &dyn Fn(&Name) -> Option<u64>,
) -> Result<Vec<Pushed<'v>>> {
    let readings = readings(workspace, views, up_to).await?;
    let mut pushed = Vec::with_capacity(views.len());
    for reading in readings {
        let taking = |asked: &Asked<'v>| {
            Taking::new(workspace, (asked.view, asked.event_bytes), &reading.snapshot, reading.views.len())
        };
        let mut passes = reading.views.iter().map(taking).collect::<Result<Vec<_>>>()?;
        let reach = reading.run(workspace, |batch| passes.iter_mut().try_for_each(|pass| pass.push(batch))).await?;
        let commit = reading.snapshot.commit;
        for (asked, pass) in reading.views.iter().zip(passes) {
            pushed.push((asked.place, Pushed { pass: pass.finish()?, commit, reach }));
        }
    }
    Ok(in_order(pushed))
}

pub(super) fn key_names(view: &CompiledView) -> Vec<&str> {
    view.key_columns().iter().map(|key| key.name.as_str()).collect()
}

pub(super) fn in_order<T>(mut placed: Vec<(usize, T)>) -> Vec<T> {
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, pushed)| pushed).collect()
}

/// A history and the views computed from it.
pub(super) struct Reading<'v> {
    pub snapshot: Snapshot,
    pub views: Vec<Asked<'v>>,
}

/// A view that is asked for.
pub(super) struct Asked<'v> {
    /// Among all.
    pub place: usize,
    pub view: &'v CompiledView,
    /// About what one of its events takes while it is held.
    pub event_bytes: u64,
}

pub(super) async fn readings<'v>(
    workspace: &Workspace,
    views: &[&'v CompiledView],
    up_to: &dyn Fn(&Name) -> Option<u64>,
) -> Result<Vec<Reading<'v>>> {
    let mut readings: Vec<Reading<'v>> = Vec::new();
    for (place, view) in views.iter().enumerate() {
        let source = &view.definition().source;
        let snapshot = reading::snapshot(workspace, source, up_to(&source.name)).await?;
        let asked = Asked { place, view, event_bytes: spill::event_bytes(view, &snapshot).await };
        match readings.iter_mut().find(|reading| reading.fits(&snapshot, view)) {
            Some(reading) => reading.views.push(asked),
            None => readings.push(Reading { snapshot, views: vec![asked] }),
        }
    }
    Ok(readings)
}

impl<'v> Reading<'v> {
    /// Whether the view reads the same rows, and no column of another type than the views that are there.
    fn fits(&self, snapshot: &Snapshot, view: &CompiledView) -> bool {
        let alike = |column: &Column| view.source_columns().column(&column.name).is_none_or(|own| own == column);
        self.snapshot.source == snapshot.source
            && self.snapshot.commit == snapshot.commit
            && self.views.iter().all(|other| other.view.source_columns().columns().iter().all(alike))
    }

    pub async fn run(&self, workspace: &Workspace, mut push: impl FnMut(&RecordBatch) -> Result<()>) -> Result<Reach> {
        let Reading { snapshot, views } = self;
        let stage = workspace.observer.begin(&format!("features of {}", snapshot.source), snapshot.rows(), Unit::Rows);
        let (columns, hidden) = needed(views);
        let mut reach = Reach { happened: None, known: None, at: snapshot.at };
        let mut batches = snapshot.stream(&columns, &hidden, None);
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            stage.advance(batch.num_rows() as u64);
            reach.extend(&batch);
            push(&batch)?;
        }
        Ok(reach)
    }
}

/// A view that takes its history in: into memory, or onto disk where it is too much for that.
enum Taking<'v> {
    Held(AsOfPass<'v>),
    Spilling(Spilling<'v>),
}

enum Taken<'v> {
    Held(AsOfPass<'v>),
    Spilled(Spilled<'v>),
}

impl<'v> Taking<'v> {
    /// As one of so many views that take the history in together.
    fn new(
        workspace: &Workspace,
        (view, event_bytes): (&'v CompiledView, u64),
        snapshot: &Snapshot,
        together: usize,
    ) -> Result<Taking<'v>> {
        let parts = spill::parts(workspace, snapshot.rows().saturating_mul(event_bytes * together as u64), 1);
        if parts > 1 {
            return Ok(Taking::Spilling(Spilling::new(workspace, view, parts, together)?));
        }
        let mut pass = AsOfPass::new(view);
        pass.reserve(usize::try_from(snapshot.rows())?);
        Ok(Taking::Held(pass))
    }

    fn push(&mut self, history: &RecordBatch) -> Result<()> {
        match self {
            Taking::Held(pass) => Ok(pass.push(history)?),
            Taking::Spilling(spilling) => spilling.push(history),
        }
    }

    fn finish(self) -> Result<Taken<'v>> {
        match self {
            Taking::Held(pass) => Ok(Taken::Held(pass)),
            Taking::Spilling(spilling) => Ok(Taken::Spilled(spilling.finish()?)),
        }
    }
}

impl Taken<'_> {
    fn run(self, spine: &Spine, up_to: u64) -> Result<RecordBatch> {
        match self {
            Taken::Held(pass) => Ok(pass.run(spine, Some(up_to))?),
            Taken::Spilled(spilled) => part_by_part(&spilled, spine, up_to),
        }
    }
}

/// What a pass over all events at once would find.
fn part_by_part(spilled: &Spilled<'_>, spine: &Spine, up_to: u64) -> Result<RecordBatch> {
    let mut found: Vec<RecordBatch> = Vec::new();
    // Of each row of the spine: which of these has it, and where.
    let mut places = vec![(0, 0); spine.as_of.len()];
    for (part, rows) in spilled.keys.spread(&spine.keys).into_iter().enumerate() {
        // A spine without rows has its columns all the same.
        if rows.is_empty() && (part > 0 || !places.is_empty()) {
            continue;
        }
        for (place, row) in rows.iter().enumerate() {
            places[*row as usize] = (found.len(), place);
        }
        found.push(spilled.pass(part)?.run(&of_rows(spine, rows)?, Some(up_to))?);
    }
    Ok(interleave_record_batch(&found.iter().collect::<Vec<_>>(), &places)?)
}

fn of_rows(spine: &Spine, rows: Vec<u32>) -> Result<Spine> {
    let rows = UInt32Array::from(rows);
    let times = |times: &Int64Array| anyhow::Ok(take(times, &rows, None)?.as_primitive::<Int64Type>().clone());
    Ok(Spine {
        keys: spine.keys.iter().map(|key| take(key, &rows, None)).collect::<Result<_, _>>()?,
        as_of: times(&spine.as_of)?,
        known_at: spine.known_at.as_ref().map(times).transpose()?,
        since: spine.since.as_ref().map(times).transpose()?,
    })
}

/// The columns that any of the views needs.
fn needed(views: &[Asked<'_>]) -> (Schema, Vec<&'static str>) {
    let mut columns: Vec<Column> = Vec::new();
    for column in views.iter().flat_map(|asked| asked.view.source_columns().columns()) {
        if columns.iter().all(|known| known.name != column.name) {
            columns.push(column.clone());
        }
    }
    let is_needed = |name: &&str| views.iter().any(|asked| asked.view.hidden_columns().contains(name));
    (Schema::new(columns), hidden::ALL.into_iter().filter(is_needed).collect())
}

impl Reach {
    fn extend(&mut self, batch: &RecordBatch) {
        let newest = |name: &str| {
            batch.column_by_name(name).and_then(|times| arrow::compute::max(times.as_primitive::<Int64Type>()))
        };
        self.happened = newest(hidden::EVENT_TIME).max(self.happened);
        self.known = newest(hidden::KNOWN_TIME).max(self.known);
    }
}

impl Pushed<'_> {
    pub fn run(self, spine: &Spine) -> Result<RecordBatch> {
        tokio::task::block_in_place(|| self.pass.run(spine, self.commit))
    }
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
    let event_bytes = spill::event_bytes(view, &snapshot).await;
    let mut pass = Taking::new(workspace, (view, event_bytes), &snapshot, 1)?;
    let mut batches = snapshot.stream(view.source_columns(), &view.hidden_columns(), None);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        stage.advance(batch.num_rows() as u64);
        pass.push(&batch)?;
    }
    let commit = snapshot.commit;
    let found = tokio::task::block_in_place(|| pass.finish()?.run(spine, commit))?;
    Ok((found, commit))
}
