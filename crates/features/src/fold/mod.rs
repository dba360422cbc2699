//! From the visible events of one key to the values of its slots. The only code that does so, offline and online.

mod seen;
mod visible;
mod windows;

use karat_core::DataType;

use crate::accumulate::{Accumulator, Meaning};
use crate::events::{KeyEvents, Texts};
use crate::view::{Plan, Slot, SlotKind};
pub(crate) use seen::Seen;
pub(crate) use visible::{Read, best_records, select};
pub(crate) use windows::WindowStarts;

pub(crate) const NO_ROW: u32 = u32::MAX;

/// The value of a slot (of a list its length), and the event it is a cell of, where it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) cell: Option<i64>,
    pub(crate) row: u32,
}

/// Takes a key's visible events one by one, in their order, and tells the slots' values at any time between.
#[derive(Debug)]
pub(crate) struct Fold<'p> {
    plan: &'p Plan,
    lists: Vec<List>,
    /// By slot; nothing runs where another slot accumulates for it.
    running: Vec<Running>,
    ranges: Vec<(u32, u32)>,
    starts: Vec<i64>,
    /// Events taken.
    taken: u32,
    last: u32,
}

#[derive(Debug, Default)]
struct List {
    rows: Vec<u32>,
    /// How many of them a checkpoint has accumulated.
    folded: u32,
}

/// What a slot has accumulated: the stretch `from..to` of its list.
#[derive(Debug)]
struct Running {
    from: u32,
    to: u32,
    accumulator: Accumulator,
}

impl<'p> Fold<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Fold<'p> {
        Fold::resuming(plan, Vec::new())
    }

    /// Starts some slots, in their order, from a checkpoint instead of from nothing.
    pub(crate) fn resuming(plan: &'p Plan, accumulated: Vec<(usize, Accumulator)>) -> Fold<'p> {
        let mut accumulated = accumulated.into_iter().peekable();
        let running = plan.slots.iter().enumerate().map(|(place, slot)| {
            let resumed = accumulated.next_if(|(slot, _)| *slot == place).map(|(_, accumulator)| accumulator);
            let slides = !plan.frames[slot.frame].is_all_time();
            let accumulator = match resumed {
                // What the other resumes is the same: both were told of the same events.
                _ if plan.accumulated_by[place] != place => Accumulator::Nothing,
                Some(resumed) => resumed,
                None => Accumulator::new(slot.kind, of(plan, slot), slides),
            };
            Running { from: 0, to: 0, accumulator }
        });
        let running: Vec<Running> = running.collect();
        debug_assert!(accumulated.next().is_none(), "slots of a checkpoint come in their order");
        Fold {
            plan,
            lists: plan.lists.iter().map(|_| List::default()).collect(),
            running,
            ranges: Vec::new(),
            starts: Vec::new(),
            taken: 0,
            last: NO_ROW,
        }
    }

    /// Makes room for so many events.
    pub(crate) fn reserve(&mut self, events: usize) {
        self.lists.iter_mut().for_each(|list| list.rows.reserve(events));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        for list in &mut self.lists {
            list.rows.clear();
            list.folded = 0;
        }
        for running in &mut self.running {
            if running.from != running.to {
                running.accumulator.clear();
            }
            (running.from, running.to) = (0, 0);
        }
        (self.taken, self.last) = (0, NO_ROW);
    }

    /// What a slot has accumulated so far.
    pub(crate) fn accumulator(&self, slot: usize) -> &Accumulator {
        &self.running[self.plan.accumulated_by[slot]].accumulator
    }

    /// How many events were taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken
    }

    /// The last event taken.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    /// Of the events taken, those that slots over all time may still stand on once the rest is accumulated: the first
    /// and last of lists, the last n, and the last of all.
    pub(crate) fn kept(&self) -> Vec<u32> {
        let mut kept: Vec<u32> = Vec::new();
        for (index, frame) in self.plan.frames.iter().enumerate().filter(|(_, frame)| frame.window.is_none()) {
            let rows = &self.lists[frame.list].rows;
            if let Some(last) = frame.last {
                kept.extend(&rows[rows.len().saturating_sub(last as usize)..]);
                continue;
            }
            for slot in self.plan.slots.iter().filter(|slot| slot.frame == index) {
                kept.extend(match slot.kind {
                    SlotKind::First => rows.first(),
                    SlotKind::Last | SlotKind::TimeSince => rows.last(),
                    _ => None,
                });
            }
        }
        kept.extend((self.taken > 0).then_some(self.last));
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// The events that a slot was last read over, in their order.
    pub(crate) fn listed(&self, slot: usize) -> &[u32] {
        let frame = self.plan.slots[slot].frame;
        let (from, to) = self.ranges[frame];
        &self.lists[self.plan.frames[frame].list].rows[from as usize..to as usize]
    }

    /// Takes the next visible event.
    #[inline]
    pub(crate) fn take(&mut self, events: &KeyEvents, row: u32) {
        let folded = u32::from((row as usize) < events.folded);
        for (list, conditions) in self.lists.iter_mut().zip(&self.plan.lists) {
            if conditions.iter().all(|condition| events.arguments[*condition].is_true(row as usize)) {
                list.rows.push(row);
                list.folded += folded;
            }
        }
        self.taken += 1;
        self.last = row;
    }

    /// The slots' values, in their order, for a reader at `as_of`, over the events taken.
    #[inline]
    pub(crate) fn read(
        &mut self,
        events: &KeyEvents,
        texts: &Texts,
        as_of: i64,
        windows: &mut WindowStarts,
        mut found: impl FnMut(Folded),
    ) {
        let plan = self.plan;
        windows.at(plan, as_of, &mut self.starts);
        self.ranges.clear();
        for frame in &plan.frames {
            let rows = &self.lists[frame.list].rows;
            let end = rows.len();
            let mut start = match frame.window {
                Some(window) => {
                    let edge = self.starts[window];
                    rows.partition_point(|row| events.event_time[*row as usize] < edge)
                }
                None => 0,
            };
            if let Some(last) = frame.last {
                start = start.max(end.saturating_sub(last as usize));
            }
            self.ranges.push((start as u32, end as u32));
        }
        for (place, slot) in plan.slots.iter().enumerate() {
            let (from, to) = self.ranges[slot.frame];
            let list = &self.lists[plan.frames[slot.frame].list];
            found(match slot.kind {
                SlotKind::First | SlotKind::Last => end_of(slot, &list.rows[from as usize..to as usize], events),
                // What is in it is not copied: see [`Fold::listed`].
                SlotKind::List => Folded { cell: Some(i64::from(to - from)), row: NO_ROW },
                SlotKind::Unread => Folded { cell: None, row: NO_ROW },
                SlotKind::TimeSince => since(slot, &list.rows[from as usize..to as usize], events, as_of),
                _ => {
                    let meaning = Meaning { kind: slot.kind, of: of(plan, slot), texts };
                    let accumulated_by = plan.accumulated_by[place];
                    let running = &mut self.running[accumulated_by];
                    // Another that accumulates for it stands before it, and has moved.
                    if accumulated_by == place {
                        let from = if slot.is_checkpointed(plan) { list.folded } else { from };
                        running.move_to(from, to, &list.rows, events, slot, meaning);
                    }
                    Folded { cell: running.accumulator.value(meaning), row: NO_ROW }
                }
            });
        }
    }
}

impl Running {
    /// Slides the stretch to `from..to`; where it has to go back, or cannot take away, it begins afresh.
    #[inline]
    fn move_to(&mut self, from: u32, to: u32, rows: &[u32], events: &KeyEvents, slot: &Slot, meaning: Meaning<'_>) {
        if self.from == self.to {
            (self.from, self.to) = (from, from);
        } else if from < self.from
            || to < self.to
            || from >= self.to
            || (from > self.from && !self.accumulator.takes_away())
        {
            self.accumulator.clear();
            (self.from, self.to) = (from, from);
        }
        let Some(argument) = slot.argument else {
            if let Accumulator::Count(count) = &mut self.accumulator {
                *count = *count + u64::from(to - self.to) - u64::from(from - self.from);
            }
            (self.from, self.to) = (from, to);
            return;
        };
        let cells = &events.arguments[argument];
        for place in self.to..to {
            if let Some(word) = cells.get(rows[place as usize] as usize) {
                self.accumulator.add(word, place, meaning);
            }
        }
        for place in self.from..from {
            if let Some(word) = cells.get(rows[place as usize] as usize) {
                self.accumulator.remove(word, place, meaning);
            }
        }
        (self.from, self.to) = (from, to);
    }
}

fn of(plan: &Plan, slot: &Slot) -> DataType {
    slot.argument.map_or(DataType::Int, |argument| plan.arguments[argument].data_type)
}

fn end_of(slot: &Slot, rows: &[u32], events: &KeyEvents) -> Folded {
    let row = if slot.kind == SlotKind::First { rows.first() } else { rows.last() };
    match (row, slot.argument) {
        (Some(row), Some(argument)) => Folded { cell: events.arguments[argument].get(*row as usize), row: *row },
        _ => Folded { cell: None, row: NO_ROW },
    }
}

/// Days of 24 hours from the latest event, of those where the argument is true, to `as_of`.
fn since(slot: &Slot, rows: &[u32], events: &KeyEvents, as_of: i64) -> Folded {
    let counts = |row: &&u32| slot.argument.is_none_or(|argument| events.arguments[argument].is_true(**row as usize));
    let cell = rows.iter().rev().find(counts).map(|row| {
        let micros = i128::from(as_of) - i128::from(events.event_time[*row as usize]);
        let days = micros as f64 / karat_core::time::MICROS_PER_DAY as f64;
        days.to_bits() as i64
    });
    Folded { cell, row: NO_ROW }
}
