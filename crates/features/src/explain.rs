//! Why a feature has its value: of each record of a key, whether it takes part in the value, and what keeps it out where
//! it does not. The value itself comes from the fold that every reader uses.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::Schema;
use karat_core::{Instant, Value};

use crate::error::FeatureError;
use crate::events::{EventTable, KeyEvents, Projected, keep_events};
use crate::fold::{Fold, Read, Seen, WindowStarts, best_records, select};
use crate::online::ReadAt;
use crate::view::{CompiledView, FeaturePlan, Input, Plan, SlotKind};

/// Takes the history of one key.
#[derive(Debug)]
pub struct Explainer<'v> {
    view: &'v CompiledView,
    table: EventTable,
    records: Vec<RecordBatch>,
}

/// A value taken apart.
#[derive(Debug, Clone)]
pub struct Explanation {
    pub value: Value,
    /// Whether no event of the key was visible.
    pub no_history: bool,
    /// What is accumulated over events: the feature itself, or all that its expression reads, one by one.
    pub parts: Vec<Part>,
    /// All of the key's records, in the order of events, with the columns that were pushed.
    pub records: RecordBatch,
    /// Of each record what it is to each part.
    pub standings: Vec<Vec<Standing>>,
    /// Of each record the number of its row: the revisions of one row have the same.
    pub identities: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub of: PartOf,
    pub value: Value,
    /// Where its window begins.
    pub window_start: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartOf {
    /// An aggregate: its place among the view's outputs.
    Feature(usize),
    /// A column of the source as the last visible event has it.
    Column(String),
}

/// What a record is to a value. Records are named by their places in [`Explanation::records`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It takes part.
    Counts,
    /// It had not happened at as_of.
    NotHappened,
    /// It was not known at known_at, or came with a later commit than the reader sees.
    NotKnown,
    /// Another record of the same row is in its place.
    Revised { by: usize },
    /// Its row was removed.
    Removed { by: usize },
    /// It is itself the removal of a row, whoever knows of it.
    Removal,
    /// `where` is false or null.
    Filtered,
    /// It happened before the window.
    BeforeWindow,
    /// It is not among the last n.
    BeforeLast,
    /// Null, which the aggregate skips.
    Null,
    /// Only one event is read, the first or the last, and it is another.
    NotTheOne,
}

impl<'v> Explainer<'v> {
    pub fn new(view: &'v CompiledView) -> Explainer<'v> {
        Explainer { view, table: EventTable::new(view.key_columns(), &view.plan), records: Vec::new() }
    }

    /// Takes records of the key: the view's source columns and all hidden ones, in any order, and any columns besides.
    pub fn push(&mut self, history: &RecordBatch) -> Result<(), FeatureError> {
        let kept = keep_events(self.view, history)?;
        let projected = Projected::new(self.view, &kept)?;
        let rows: Vec<u32> = (0..projected.rows as u32).collect();
        self.table.append(&self.view.plan, &projected, &rows)?;
        if self.table.keys.len() > 1 {
            return Err(FeatureError::Batch("records of several keys were given".to_owned()));
        }
        self.records.push(kept);
        Ok(())
    }

    /// Takes the value of an output apart, as a reader at `at` sees it.
    pub fn explain(self, output: usize, at: ReadAt) -> Result<Explanation, FeatureError> {
        let plan = &self.view.plan;
        let mut rows: Vec<u32> = (0..self.table.len() as u32).collect();
        let mut events = KeyEvents::new(plan);
        let mut scratch = Vec::new();
        events.load(&self.table, plan, &mut rows, &mut scratch);

        let mut visible = Vec::new();
        select(&events, plan, at.read(), &mut scratch, &mut visible);
        let mut fold = Fold::new(plan);
        visible.iter().for_each(|row| fold.take(&events, *row));
        let mut windows = WindowStarts::new(plan);
        let mut slots = Vec::with_capacity(plan.slots.len());
        fold.read(&events, &self.table.texts, at.as_of.micros(), &mut windows, |folded| slots.push(folded));
        let seen = Seen { plan, fold: &fold, events: &events, texts: &self.table.texts, slots: &slots };
        let values = self.view.values(seen, at.as_of)?;

        let mut starts = Vec::new();
        windows.at(plan, at.as_of.micros(), &mut starts);
        let mut parts = Vec::new();
        self.view.parts(output, &mut parts);
        let sight = Sight::new(&events, plan, at);
        let mut standings = vec![Vec::with_capacity(parts.len()); events.len()];
        for (_, slot) in &parts {
            let standing = part_standings(&events, plan, *slot, &visible, &starts);
            for (row, standings) in standings.iter_mut().enumerate() {
                standings.push(sight.of(row).unwrap_or(standing[row]));
            }
        }
        let part = |(of, slot): (PartOf, usize)| Part {
            of,
            value: seen.value(slot),
            window_start: plan.frames[plan.slots[slot].frame].window.map(|window| Instant::from_micros(starts[window])),
        };
        Ok(Explanation {
            value: values[output].clone(),
            no_history: visible.is_empty(),
            parts: parts.into_iter().map(part).collect(),
            records: in_order(&self.records, &rows)?,
            standings,
            identities: events.identity.clone(),
        })
    }
}

impl CompiledView {
    /// The slots that an output comes down to, each once.
    fn parts(&self, output: usize, parts: &mut Vec<(PartOf, usize)>) {
        let plan = &self.plan;
        let inputs = match &plan.features[output] {
            FeaturePlan::Slot(slot) => return add(parts, PartOf::Feature(output), *slot),
            FeaturePlan::Expression { inputs, .. } => inputs,
        };
        for input in inputs {
            match input {
                Input::AsOf => {}
                Input::Slot(slot) => {
                    let argument = plan.slots[*slot].argument.map(|argument| &plan.arguments[argument].expression);
                    let name = argument.and_then(|expression| expression.as_column()).unwrap_or_default();
                    add(parts, PartOf::Column(name.to_owned()), *slot);
                }
                Input::Feature(other) => self.parts(*other, parts),
            }
        }
    }
}

fn add(parts: &mut Vec<(PartOf, usize)>, of: PartOf, slot: usize) {
    if parts.iter().all(|(other, _)| *other != of) {
        parts.push((of, slot));
    }
}

/// What a reader sees of the records, whatever is computed of them.
struct Sight<'e> {
    events: &'e KeyEvents,
    happened: usize,
    read: Read,
    /// By identity: the record that counts.
    best: Vec<u32>,
}

impl<'e> Sight<'e> {
    fn new(events: &'e KeyEvents, plan: &Plan, at: ReadAt) -> Sight<'e> {
        let read = at.read();
        let mut best = Vec::new();
        best_records(events, plan, read, &mut best);
        Sight { events, happened: read.happened(events, plan), read, best }
    }

    /// Why the reader does not see a record; `None` for one it sees.
    fn of(&self, row: usize) -> Option<Standing> {
        if self.events.removed[row] {
            return Some(Standing::Removal);
        }
        if row >= self.happened {
            return Some(Standing::NotHappened);
        }
        if !self.read.knows(self.events, row) {
            return Some(Standing::NotKnown);
        }
        let best = self.best[self.events.identity[row] as usize] as usize;
        match (best == row, self.events.removed[best]) {
            (true, _) => None,
            (false, true) => Some(Standing::Removed { by: best }),
            (false, false) => Some(Standing::Revised { by: best }),
        }
    }
}

/// What each visible event is to a slot; [`Standing::Counts`] for all others, which nobody asks for.
fn part_standings(events: &KeyEvents, plan: &Plan, slot: usize, visible: &[u32], starts: &[i64]) -> Vec<Standing> {
    let slot = &plan.slots[slot];
    let frame = &plan.frames[slot.frame];
    let mut standings = vec![Standing::Counts; events.len()];
    let passes = |row: &u32| {
        let mut conditions = plan.lists[frame.list].iter();
        conditions.all(|condition| events.arguments[*condition].is_true(*row as usize))
    };
    let (list, filtered): (Vec<u32>, Vec<u32>) = visible.iter().partition(|row| passes(row));
    filtered.iter().for_each(|row| standings[*row as usize] = Standing::Filtered);
    let before_last = frame.last.map_or(0, |last| list.len().saturating_sub(last as usize));
    let mut within = Vec::new();
    for (place, row) in list.into_iter().enumerate() {
        let outside = match frame.window {
            Some(window) if events.event_time[row as usize] < starts[window] => Some(Standing::BeforeWindow),
            _ if place < before_last => Some(Standing::BeforeLast),
            _ => None,
        };
        match outside {
            Some(standing) => standings[row as usize] = standing,
            None => within.push(row),
        }
    }
    let cell = |row: u32| slot.argument.and_then(|argument| events.arguments[argument].get(row as usize));
    let is_true = |row: &u32| slot.argument.is_none_or(|_| cell(*row) == Some(1));
    let the_one = match slot.kind {
        SlotKind::First => within.first().copied(),
        SlotKind::Last => within.last().copied(),
        // Nulls are among its values.
        SlotKind::List | SlotKind::Unread => return standings,
        SlotKind::TimeSince => within.iter().rev().copied().find(|row| is_true(row)),
        _ => {
            let nulls = within.iter().filter(|row| slot.argument.is_some() && cell(**row).is_none());
            nulls.for_each(|row| standings[*row as usize] = Standing::Null);
            return standings;
        }
    };
    let others = within.into_iter().filter(|row| the_one != Some(*row));
    others.for_each(|row| standings[row as usize] = Standing::NotTheOne);
    standings
}

/// The records pushed, in the order of their events.
fn in_order(records: &[RecordBatch], rows: &[u32]) -> Result<RecordBatch, FeatureError> {
    let wrong = |error: arrow::error::ArrowError| FeatureError::Batch(error.to_string());
    let Some(first) = records.first() else {
        return Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
    };
    let all = arrow::compute::concat_batches(&first.schema(), records).map_err(wrong)?;
    arrow::compute::take_record_batch(&all, &UInt32Array::from(rows.to_vec())).map_err(wrong)
}
