//! What a view's values look like over its keys, taken from the online state that a materialization leaves: what endpoints
//! answer from is what is looked at.

use anyhow::{Context, Result};
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use karat_core::statistics::{FORMAT_VERSION, FeatureStatistics, FigureOf, ViewStatistics};
use karat_core::{DataType, Digest, ErrorKind, Instant, Name, OnlineStore, Schema, Value, ValueType, Window, hidden};
use karat_features::{CompiledView, FeatureError, FeatureRow, ReadAt};
use karat_metadata::statistics::{self as stored, Statistics};
use karat_query::ValueSummary;
use karat_registry::Registry;

use crate::{Unit, Workspace};

/// Keys whose values are looked at together.
const ROWS: usize = 8192;

/// A view that has online state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'v> {
    pub name: &'v Name,
    pub view: &'v CompiledView,
    pub digest: &'v Digest,
    pub stale_after: Option<Window>,
}

/// The newest that were taken of a definition; `None` where a newer Karat took them, or nobody.
pub(crate) async fn newest(registry: &Registry, definition: &Digest) -> Result<Option<ViewStatistics>> {
    let mut connection = registry.metadata().read().await?;
    let found = stored::newest(&mut connection, definition).await?;
    let known = found.filter(|found| found.figures["format_version"] == FORMAT_VERSION);
    let parsed = known.map(|known| serde_json::from_value(known.figures)).transpose();
    parsed.with_context(|| format!("the statistics of definition {} cannot be read", definition.short()))
}

/// Whether anything was ever materialized.
pub(crate) async fn were_taken(registry: &Registry) -> Result<bool> {
    Ok(stored::any(&mut *registry.metadata().read().await?).await?)
}

/// Takes them of the state as it stands at this commit, unless they were taken.
pub(crate) async fn ensure(workspace: &Workspace, of: Subject<'_>, commit: u64) -> Result<()> {
    if newest(&workspace.registry, of.digest).await?.is_some_and(|taken| taken.commit == commit) {
        return Ok(());
    }
    let at = workspace.clock.now();
    let newest_event = newest_event(workspace, &of.view.definition().source.name, commit, at).await?;
    let online = workspace.online()?;
    let stage = workspace.observer.begin(&format!("looking at {}", of.name), 0, Unit::Keys);
    let taking = Taking::new(of, at, newest_event);
    let taken = tokio::task::block_in_place(|| taking.run(online.as_ref(), &|keys| stage.advance(keys)))?;
    drop(stage);
    let Some(mut taken) = taken else { return Ok(()) };
    taken.commit = commit;
    let figures = serde_json::to_value(&taken)?;
    let mut transaction = workspace.registry.metadata().begin().await?;
    stored::put(&mut transaction, &Statistics { definition: of.digest.clone(), commit, at, figures }).await?;
    Ok(transaction.commit().await?)
}

/// The time of the last row that had happened by `now`; `None` in a record of facts, and before anything happened.
async fn newest_event(workspace: &Workspace, source: &Name, commit: u64, now: Instant) -> Result<Option<Instant>> {
    let snapshot = workspace.snapshot(source, Some(commit)).await?;
    let mut batches = snapshot.stream(&Schema::default(), &[hidden::EVENT_TIME, hidden::REMOVED], None);
    let mut newest = None;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let column = |name| batch.column_by_name(name).context("histories carry times and removals");
        let (times, removed) = (column(hidden::EVENT_TIME)?, column(hidden::REMOVED)?);
        let (times, removed) = (times.as_primitive::<Int64Type>(), removed.as_boolean());
        let rows = (0..times.len()).filter(|row| times.is_valid(*row) && !removed.value(*row));
        newest = rows.map(|row| times.value(row)).filter(|time| *time <= now.micros()).max().max(newest);
    }
    Ok(newest.map(Instant::from_micros))
}

/// Statistics as they are taken.
struct Taking<'v> {
    of: Subject<'v>,
    read: ReadAt,
    stale_before: Option<Instant>,
    waiting: Vec<Vec<Value>>,
    summaries: Vec<ValueSummary>,
    taken: ViewStatistics,
}

impl<'v> Taking<'v> {
    fn new(of: Subject<'v>, at: Instant, newest_event: Option<Instant>) -> Taking<'v> {
        let source = &of.view.definition().source;
        // The newest event counts.
        let after = |event: Instant| Instant::from_micros(event.micros() + i64::from(!source.include_as_of));
        let as_of = newest_event.map_or(at, after);
        let stale_before = of.stale_after.map(|window| window.start(as_of, &source.time_zone));
        let outputs = of.view.outputs();
        Taking {
            read: ReadAt { as_of, known_at: at.max(as_of), up_to: None },
            waiting: outputs.iter().map(|_| Vec::with_capacity(ROWS)).collect(),
            summaries: outputs.iter().map(|output| ValueSummary::new(figures(output.value_type).1)).collect(),
            taken: ViewStatistics {
                format_version: FORMAT_VERSION,
                view: of.name.clone(),
                definition: of.digest.clone(),
                commit: 0,
                at,
                as_of,
                newest_event,
                keys: 0,
                no_history: 0,
                stale: stale_before.map(|_| 0),
                before_horizon: 0,
                features: Vec::new(),
            },
            of,
            stale_before,
        }
    }

    /// `None` where somebody else replaced the state meanwhile: they take their own.
    fn run(mut self, online: &dyn OnlineStore, progress: &dyn Fn(u64)) -> Result<Option<ViewStatistics>> {
        let mut failed = None;
        let scanned = online.scan(self.of.digest, &mut |_, state| {
            if failed.is_none() {
                failed = self.key(state).err();
            }
            if self.taken.keys.is_multiple_of(ROWS as u64) {
                progress(ROWS as u64);
            }
        });
        match scanned {
            Err(error) if error.kind == ErrorKind::Conflict => return Ok(None),
            scanned => scanned?,
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        self.look();
        let outputs = self.of.view.outputs().iter().zip(&self.summaries);
        let features = outputs.map(|(output, values)| {
            let (of, data_type) = figures(output.value_type);
            let (summary, histogram) = (values.summary(), values.histogram());
            FeatureStatistics { name: output.name.clone(), data_type, of, summary, histogram }
        });
        Ok(Some(ViewStatistics { features: features.collect(), ..self.taken }))
    }

    fn key(&mut self, state: &[u8]) -> Result<(), FeatureError> {
        self.taken.keys += 1;
        let FeatureRow { values, no_history, newest_event, .. } = match self.of.view.read(state, self.read) {
            Err(FeatureError::BeforeHorizon { .. }) => {
                self.taken.before_horizon += 1;
                return Ok(());
            }
            read => read?,
        };
        self.taken.no_history += u64::from(no_history);
        if let (Some(stale), Some(before), Some(newest)) = (&mut self.taken.stale, self.stale_before, newest_event) {
            *stale += u64::from(newest < before);
        }
        self.waiting.iter_mut().zip(values).for_each(|(column, value)| column.push(figure(value)));
        if self.waiting.first().is_some_and(|column| column.len() >= ROWS) {
            self.look();
        }
        Ok(())
    }

    fn look(&mut self) {
        let outputs = self.of.view.outputs().iter();
        for ((output, column), values) in outputs.zip(&mut self.waiting).zip(&mut self.summaries) {
            values.add(&Value::to_array(column, figures(output.value_type).1));
            column.clear();
        }
    }
}

/// What is looked at of such values, and its type.
fn figures(value_type: ValueType) -> (FigureOf, DataType) {
    match value_type {
        ValueType::One(data_type) => (FigureOf::Values, data_type),
        ValueType::List(_) => (FigureOf::Lengths, DataType::Int),
    }
}

fn figure(value: Value) -> Value {
    match value {
        Value::List(values) => Value::Int(values.len() as i64),
        value => value,
    }
}
