//! Reading features from one key's state.

use karat_core::{Instant, Value};

use super::layout::{self, State};
use crate::accumulate::Accumulator;
use crate::error::{FeatureError, Needs};
use crate::events::{KeyEvents, Texts, nulled_cells};
use crate::fold::{Fold, Read, Seen, WindowStarts, select};
use crate::view::{CompiledView, FeaturePlan, Input};

/// Who reads: what had happened and was known then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAt {
    pub as_of: Instant,
    pub known_at: Instant,
    /// The newest commit to be seen; `None` for all.
    pub up_to: Option<u64>,
}

impl ReadAt {
    /// As known at `as_of`, whatever the commit.
    pub fn time(as_of: Instant) -> ReadAt {
        ReadAt { as_of, known_at: as_of, up_to: None }
    }
}

/// A key's features.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRow {
    /// In the order of the view.
    pub values: Vec<Value>,
    /// Whether no event was visible.
    pub no_history: bool,
    /// Values that rest on a cell which the contract's `set_null` emptied.
    pub nulled: Vec<NulledFeature>,
    /// The time of the latest visible event; `None` without one, or where events have no time.
    pub newest_event: Option<Instant>,
}

/// A cell the contract emptied, and the feature whose value it would have shown in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NulledFeature {
    /// Index of the feature.
    pub feature: usize,
    pub column: String,
    /// What stood there.
    pub value: String,
    pub check: String,
}

impl CompiledView {
    /// The features of the key whose state this is.
    pub fn read(&self, state: &[u8], at: ReadAt) -> Result<FeatureRow, FeatureError> {
        let state = layout::read(state, &self.plan)?;
        self.read_state(state, at)
    }

    /// The features of a key that has no state.
    pub fn read_empty(&self, at: ReadAt) -> Result<FeatureRow, FeatureError> {
        self.fold(&KeyEvents::new(&self.plan), &Texts::default(), Vec::new(), at)
    }

    fn read_state(&self, mut state: State<'_>, at: ReadAt) -> Result<FeatureRow, FeatureError> {
        let mut accumulated = Vec::new();
        if let Some(checkpoint) = state.checkpoint.take() {
            let read = at.read();
            let happened = match self.plan.include_as_of {
                true => checkpoint.event_time <= read.as_of,
                false => checkpoint.event_time < read.as_of,
            };
            let refused =
                |needs: Needs| FeatureError::BeforeHorizon { horizon: Instant::from_micros(state.horizon), needs };
            let visible = happened && checkpoint.known_time <= read.known_at && checkpoint.commit <= read.up_to;
            if !visible {
                return Err(refused(Needs::Earlier));
            }
            let starts = self.plan.windows.iter().map(|window| (*window, window.start(at.as_of, &self.plan.zone)));
            let earliest = starts.min_by_key(|(_, start)| *start);
            if let Some((window, start)) = earliest.filter(|(_, start)| start.micros() <= checkpoint.event_time) {
                return Err(refused(Needs::Window { window, start }));
            }
            accumulated = checkpoint.accumulators;
        }
        self.fold(&state.events, &state.texts, accumulated, at)
    }

    fn fold(
        &self,
        events: &KeyEvents,
        texts: &Texts,
        accumulated: Vec<(usize, Accumulator)>,
        at: ReadAt,
    ) -> Result<FeatureRow, FeatureError> {
        let plan = &self.plan;
        let mut visible = Vec::with_capacity(events.len());
        select(events, plan, at.read(), &mut Vec::new(), &mut visible);
        let mut fold = Fold::resuming(plan, accumulated);
        fold.reserve(visible.len());
        for row in visible {
            fold.take(events, row);
        }
        let mut slots = Vec::with_capacity(plan.slots.len());
        fold.read(events, texts, at.as_of.micros(), &mut WindowStarts::new(plan), |folded| slots.push(folded));
        let newest = (plan.timed && fold.taken() > 0).then(|| events.event_time[fold.last() as usize]);
        let seen = Seen { plan, fold: &fold, events, texts, slots: &slots };
        Ok(FeatureRow {
            values: self.values(seen, at.as_of)?,
            no_history: fold.taken() == 0,
            nulled: nulled(seen),
            newest_event: newest.map(Instant::from_micros),
        })
    }

    pub(crate) fn values(&self, seen: Seen<'_>, as_of: Instant) -> Result<Vec<Value>, FeatureError> {
        let plan = &self.plan;
        let mut values: Vec<Value> = plan
            .features
            .iter()
            .map(|feature| match feature {
                FeaturePlan::Slot(slot) => seen.value(*slot),
                FeaturePlan::Expression { .. } => Value::Null,
            })
            .collect();
        let mut arguments = Vec::new();
        for output in &plan.order {
            let FeaturePlan::Expression { expression, inputs } = &plan.features[*output] else { continue };
            arguments.clear();
            arguments.extend(inputs.iter().map(|input| match input {
                Input::AsOf => Value::Timestamp(as_of),
                Input::Slot(slot) => seen.value(*slot),
                Input::Feature(other) => values[*other].clone(),
            }));
            values[*output] = expression
                .evaluate_row_or_null(&arguments)
                .map_err(|error| FeatureError::Feature { feature: self.outputs[*output].name.clone(), error })?;
        }
        Ok(values)
    }
}

impl ReadAt {
    pub(crate) fn read(self) -> Read {
        Read {
            as_of: self.as_of.micros(),
            known_at: self.known_at.micros(),
            since: i64::MIN,
            up_to: self.up_to.map_or(i64::MAX, |commit| i64::try_from(commit).unwrap_or(i64::MAX)),
        }
    }
}

/// What `set_null` took from the cells that values rest on: by feature, and by the features computed from those.
fn nulled(seen: Seen<'_>) -> Vec<NulledFeature> {
    let plan = seen.plan;
    let Some(notes) = &seen.events.nulled else { return Vec::new() };
    let notes_of = |slot: usize| seen.shown(slot).iter().filter_map(move |row| notes.get(*row as usize));
    if (0..plan.slots.len()).all(|slot| notes_of(slot).next().is_none()) {
        return Vec::new();
    }
    let of_slot = |slot: usize, feature: usize| -> Vec<NulledFeature> {
        let described = &plan.slots[slot];
        let (true, Some(argument)) = (described.kind.shows_cells(), described.argument) else { return Vec::new() };
        let columns = plan.arguments[argument].expression.columns();
        notes_of(slot)
            .flat_map(|code| nulled_cells(seen.texts.text(code as u32)))
            .filter(|cell| columns.contains(&cell.column))
            .map(|cell| NulledFeature { feature, column: cell.column, value: cell.value, check: cell.check })
            .collect()
    };
    let mut found: Vec<Vec<NulledFeature>> = plan
        .features
        .iter()
        .enumerate()
        .map(|(feature, described)| match described {
            FeaturePlan::Slot(slot) => of_slot(*slot, feature),
            FeaturePlan::Expression { .. } => Vec::new(),
        })
        .collect();
    for feature in plan.order.iter().copied() {
        let FeaturePlan::Expression { inputs, .. } = &plan.features[feature] else { continue };
        let mut all: Vec<NulledFeature> = Vec::new();
        for input in inputs {
            let more = match input {
                Input::AsOf => continue,
                Input::Slot(slot) => of_slot(*slot, feature),
                Input::Feature(other) => {
                    found[*other].iter().cloned().map(|cell| NulledFeature { feature, ..cell }).collect()
                }
            };
            all.extend(more);
        }
        all.dedup();
        found[feature] = all;
    }
    found.into_iter().flatten().collect()
}
