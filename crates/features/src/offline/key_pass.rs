//! One key after another: its events, its readers, their values.

use std::ops::Range;

use super::run::Found;
use crate::events::{EventTable, KeyEvents};
use crate::fold::{Fold, Read, WindowStarts, select};
use crate::view::{CompiledView, SlotKind};

pub(super) struct KeyPass<'v> {
    view: &'v CompiledView,
    table: &'v EventTable,
    pub(super) found: Found,
    events: KeyEvents,
    fold: Fold<'v>,
    windows: WindowStarts,
    rows: Vec<u32>,
    scratch: Vec<u32>,
    visible: Vec<u32>,
    ends: Vec<u32>,
    /// Slots that are lists, and of what.
    lists: Vec<(usize, usize)>,
}

impl<'v> KeyPass<'v> {
    pub(super) fn new(view: &'v CompiledView, table: &'v EventTable, found: Found) -> KeyPass<'v> {
        let slots = view.plan.slots.iter().enumerate();
        let lists = slots.filter(|(_, slot)| slot.kind == SlotKind::List);
        let lists = lists.filter_map(|(index, slot)| Some((index, slot.argument?))).collect();
        KeyPass {
            view,
            table,
            found,
            events: KeyEvents::new(&view.plan),
            fold: Fold::new(&view.plan),
            windows: WindowStarts::new(&view.plan),
            rows: Vec::new(),
            scratch: Vec::new(),
            visible: Vec::new(),
            ends: Vec::new(),
            lists,
        }
    }

    /// `rows` are the key's events, `readers` in the order of their times.
    pub(super) fn run(&mut self, rows: Range<u32>, readers: &[Read]) {
        if readers.is_empty() {
            return;
        }
        self.rows.clear();
        self.rows.extend(rows);
        self.events.load(self.table, &self.view.plan, &mut self.rows, &mut self.scratch);
        self.fold.clear();
        if self.slides(readers) {
            for (index, read) in readers.iter().enumerate() {
                while self.fold.taken() < self.ends[index] {
                    let row = self.fold.taken();
                    self.fold.take(&self.events, row);
                }
                self.read(*read);
            }
        } else {
            let mut previous = None;
            for read in readers {
                if previous != Some(*read) {
                    select(&self.events, &self.view.plan, *read, &mut self.scratch, &mut self.visible);
                    self.fold.clear();
                    for row in &self.visible {
                        self.fold.take(&self.events, *row);
                    }
                    previous = Some(*read);
                }
                self.read(*read);
            }
        }
    }

    /// Whether every reader sees the first so many events, and each no fewer than the one before: then the fold slides
    /// from reader to reader. `ends` is how many.
    fn slides(&mut self, readers: &[Read]) -> bool {
        self.ends.clear();
        if !self.events.plain || readers.iter().any(|read| read.since != i64::MIN) {
            return false;
        }
        let plan = &self.view.plan;
        let mut end = 0;
        // A later event may be known earlier only if the earlier one is known before anyone reads.
        let mut known_by_all_before = i64::MIN;
        let mut checked = 0;
        for read in readers {
            let happened = read.happened(&self.events, plan);
            let mut seen = end;
            while seen < happened && read.knows(&self.events, seen) {
                seen += 1;
            }
            // Those already taken must still be known, those beyond must not be.
            for row in checked..seen {
                known_by_all_before = known_by_all_before.max(self.events.known_time[row]);
            }
            checked = seen;
            if read.known_at < known_by_all_before {
                return false;
            }
            if (seen..happened).any(|row| read.knows(&self.events, row)) {
                return false;
            }
            end = seen;
            self.ends.push(end as u32);
        }
        true
    }

    fn read(&mut self, read: Read) {
        let mut slots = self.found.slots.iter_mut();
        self.fold.read(&self.events, &self.table.texts, read.as_of, &mut self.windows, |folded| {
            if let Some(cells) = slots.next() {
                cells.push(folded.cell);
            }
        });
        for (slot, argument) in &self.lists {
            let cells = &self.events.arguments[*argument];
            let elements = &mut self.found.elements[*slot];
            self.fold.listed(*slot).iter().for_each(|row| elements.push(cells.get(*row as usize)));
        }
        self.found.no_history.push(self.fold.taken() == 0);
    }
}
