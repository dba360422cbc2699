use karat_core::Value;

use super::{Fold, Folded, NO_ROW};
use crate::events::{KeyEvents, Texts, value};
use crate::view::{Plan, SlotKind};

/// What one reader sees: a fold that was read, and of what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'s> {
    pub(crate) plan: &'s Plan,
    pub(crate) fold: &'s Fold<'s>,
    pub(crate) events: &'s KeyEvents,
    pub(crate) texts: &'s Texts,
    pub(crate) slots: &'s [Folded],
}

impl<'s> Seen<'s> {
    pub(crate) fn value(self, slot: usize) -> Value {
        let described = &self.plan.slots[slot];
        let one = |cell| value(described.data_type, cell, self.texts);
        match (described.kind, described.argument) {
            (SlotKind::List, Some(argument)) => {
                let cells = &self.events.arguments[argument];
                Value::List(self.fold.listed(slot).iter().map(|row| one(cells.get(*row as usize))).collect())
            }
            _ => one(self.slots[slot].cell),
        }
    }

    /// The events that the value shows cells of.
    pub(crate) fn shown(self, slot: usize) -> &'s [u32] {
        match self.plan.slots[slot].kind {
            SlotKind::List => self.fold.listed(slot),
            _ if self.slots[slot].row == NO_ROW => &[],
            _ => std::slice::from_ref(&self.slots[slot].row),
        }
    }
}
