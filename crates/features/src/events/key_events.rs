//! The events of one key in their order: (event_time, sequence, identity). What is folded, wherever it came from.

use std::cmp::Ordering;

use karat_core::DataType;

use super::{Cells, EventTable, compare};
use crate::view::Plan;

#[derive(Debug, Default)]
pub(crate) struct KeyEvents {
    pub(crate) event_time: Vec<i64>,
    pub(crate) known_time: Vec<i64>,
    pub(crate) commit: Vec<i64>,
    pub(crate) removed: Vec<bool>,
    /// Codes of identities within the key: two records are the same row when they share one.
    pub(crate) identity: Vec<u32>,
    pub(crate) arguments: Vec<Cells>,
    pub(crate) nulled: Option<Cells>,
    /// How many events at the front a checkpoint has accumulated already; they are kept for what stands first or last.
    pub(crate) folded: usize,
    /// Whether every record is a row of its own: nothing revised, nothing removed.
    pub(crate) plain: bool,
}

impl KeyEvents {
    pub(crate) fn new(plan: &Plan) -> KeyEvents {
        KeyEvents {
            arguments: plan.arguments.iter().map(|argument| Cells::new(argument.data_type)).collect(),
            nulled: (!plan.nulled.is_empty()).then(|| Cells::new(DataType::Text)),
            plain: true,
            ..KeyEvents::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.event_time.len()
    }

    /// Fills itself with events of `table`; `rows` comes back in event order.
    pub(crate) fn load(&mut self, table: &EventTable, plan: &Plan, rows: &mut [u32], scratch: &mut Vec<u32>) {
        let order = EventOrder { table, plan };
        self.event_time.clear();
        self.event_time.extend(rows.iter().map(|row| table.event_time[*row as usize]));
        // Times mostly tell, and mostly stand in their order already.
        if !self.event_time.is_sorted_by(|a, b| a < b) {
            rows.sort_unstable_by(|a, b| order.compare(*a, *b));
            self.event_time.clear();
            self.event_time.extend(rows.iter().map(|row| table.event_time[*row as usize]));
        }
        table.delay.gather(&mut self.known_time, rows);
        for (known, event) in self.known_time.iter_mut().zip(&self.event_time) {
            *known = known.wrapping_add(*event);
        }
        table.commit.gather(&mut self.commit, rows);
        table.removed.gather(&mut self.removed, rows);
        for (cells, from) in self.arguments.iter_mut().zip(&table.arguments) {
            cells.clear();
            cells.gather(from, rows);
        }
        if let Some(cells) = &mut self.nulled {
            cells.clear();
            cells.gather(&table.nulled, rows);
        }
        self.folded = 0;
        self.identify(&order, rows, scratch);
    }

    /// Numbers the identities.
    fn identify(&mut self, order: &EventOrder<'_>, rows: &[u32], scratch: &mut Vec<u32>) {
        self.identity.clear();
        if rows.windows(2).all(|pair| order.identity(pair[0], pair[1]) == Ordering::Less) {
            self.identity.extend(0..rows.len() as u32);
            self.plain = !self.removed.contains(&true);
            return;
        }
        scratch.clear();
        scratch.extend(0..rows.len() as u32);
        let identity = |a: &u32, b: &u32| order.identity(rows[*a as usize], rows[*b as usize]);
        if !scratch.is_sorted_by(|a, b| identity(a, b) != Ordering::Greater) {
            scratch.sort_unstable_by(identity);
        }
        self.identity.resize(rows.len(), 0);
        let mut code = 0;
        let mut twice = false;
        for (index, row) in scratch.iter().enumerate() {
            if index > 0 {
                let new = identity(&scratch[index - 1], row) != Ordering::Equal;
                code += u32::from(new);
                twice |= !new;
            }
            self.identity[*row as usize] = code;
        }
        self.plain = !twice && !self.removed.contains(&true);
    }
}

/// The order of events in a table. Total up to records that are the same in everything a value could depend on.
pub(crate) struct EventOrder<'a> {
    pub(crate) table: &'a EventTable,
    pub(crate) plan: &'a Plan,
}

impl EventOrder<'_> {
    pub(crate) fn compare(&self, a: u32, b: u32) -> Ordering {
        let table = self.table;
        let (x, y) = (a as usize, b as usize);
        table.event_time[x]
            .cmp(&table.event_time[y])
            .then_with(|| match (&table.sequence, &self.plan.sequence) {
                (Some(cells), Some(column)) => compare(column.data_type, cells.get(x), cells.get(y), &table.texts),
                _ => Ordering::Equal,
            })
            .then_with(|| self.identity(a, b))
            .then_with(|| self.rest(x, y))
    }

    pub(crate) fn identity(&self, a: u32, b: u32) -> Ordering {
        let table = self.table;
        for (cells, column) in table.identity.iter().zip(&self.plan.identity) {
            let ordering = compare(column.data_type, cells.get(a as usize), cells.get(b as usize), &table.texts);
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }

    /// Between records of one row: the later known wins, and where nothing says which is later, the greater values.
    fn rest(&self, a: usize, b: usize) -> Ordering {
        let table = self.table;
        let known = |row: usize| (table.known_time(row), table.commit.get(row), !table.removed.get(row));
        known(a).cmp(&known(b)).then_with(|| {
            for (cells, argument) in table.arguments.iter().zip(&self.plan.arguments) {
                let ordering = compare(argument.data_type, cells.get(a), cells.get(b), &table.texts);
                if ordering != Ordering::Equal {
                    return ordering;
                }
            }
            Ordering::Equal
        })
    }
}
