//! Turns aggregates into slots over shared frames and lists.

use karat_core::{DataType, Window};
use karat_project::spec::{Aggregate, Fraction, Rows};

use super::arguments::Arguments;
use super::{Frame, Slot, SlotKind};
use crate::definition::DefinitionError;

#[derive(Default)]
pub(super) struct Slots {
    /// The window of whatever has none.
    ttl: Option<Window>,
    pub(super) lists: Vec<Vec<usize>>,
    pub(super) windows: Vec<Window>,
    pub(super) frames: Vec<Frame>,
    pub(super) slots: Vec<Slot>,
}

impl Slots {
    pub(super) fn new(ttl: Option<Window>) -> Slots {
        Slots { ttl, lists: vec![Vec::new()], ..Slots::default() }
    }

    pub(super) fn aggregate(
        &mut self,
        feature: &str,
        aggregate: Aggregate,
        of: Option<&str>,
        rows: &Rows,
        timed: bool,
        arguments: &mut Arguments<'_>,
    ) -> Result<usize, DefinitionError> {
        let part = part(aggregate);
        let wrong = |part, reason: &dyn ToString| DefinitionError::feature(feature, part, reason.to_string());
        if !timed && rows.window.is_some() {
            return Err(wrong("window", &"its source has no event_time, so its rows are in no window"));
        }
        if !timed && aggregate == Aggregate::TimeSince {
            return Err(wrong(part, &"its source has no event_time"));
        }
        let argument = match of {
            Some(sql) => Some(arguments.add(sql).map_err(|error| wrong(part, &error))?),
            None => None,
        };
        let of_type = argument.map(|argument| arguments.data_type(argument));
        let data_type = aggregate.output(of_type).ok_or_else(|| wrong(part, &takes(aggregate, of_type)))?;
        let mut conditions = Vec::new();
        if let Some(sql) = &rows.filter {
            let condition = arguments.add(sql).map_err(|error| wrong("where", &error))?;
            if arguments.data_type(condition) != DataType::Bool {
                let given = arguments.data_type(condition);
                return Err(wrong("where", &format!("`{sql}` is {given}: a condition is true or false")));
            }
            conditions.push(condition);
        }
        // Without `last`, "the latest event where of" is "the latest of those where of": no search through a frame.
        let mut argument = argument;
        if let (Aggregate::TimeSince, Some(condition), None) = (aggregate, argument, rows.last) {
            conditions.push(condition);
            argument = None;
        }
        let frame = self.frame(conditions, rows.window, rows.last);
        Ok(self.slot(Slot { kind: kind(aggregate), argument, frame, data_type }))
    }

    /// A column as the last visible event has it.
    pub(super) fn column(&mut self, argument: usize, data_type: DataType) -> usize {
        let frame = self.frame(Vec::new(), None, None);
        self.slot(Slot { kind: SlotKind::Last, argument: Some(argument), frame, data_type })
    }

    /// See [`Plan::accumulated_by`](super::Plan::accumulated_by).
    pub(super) fn accumulated_by(&self) -> Vec<usize> {
        let first = |slot: &Slot| {
            let alike = |other: &Slot| {
                (slot.argument, slot.frame) == (other.argument, other.frame) && slot.kind.accumulates_as(other.kind)
            };
            self.slots.iter().position(alike).expect("a slot accumulates as itself does")
        };
        self.slots.iter().map(first).collect()
    }

    fn slot(&mut self, slot: Slot) -> usize {
        find_or_push(&mut self.slots, slot)
    }

    fn frame(&mut self, mut conditions: Vec<usize>, window: Option<Window>, last: Option<u32>) -> usize {
        conditions.sort_unstable();
        conditions.dedup();
        let list = find_or_push(&mut self.lists, conditions);
        let window = window.or(self.ttl).map(|window| find_or_push(&mut self.windows, window));
        find_or_push(&mut self.frames, Frame { list, window, last })
    }
}

fn find_or_push<T: PartialEq>(all: &mut Vec<T>, one: T) -> usize {
    match all.iter().position(|other| *other == one) {
        Some(known) => known,
        None => {
            all.push(one);
            all.len() - 1
        }
    }
}

fn kind(aggregate: Aggregate) -> SlotKind {
    match aggregate {
        Aggregate::Count => SlotKind::Count,
        Aggregate::Sum => SlotKind::Sum,
        Aggregate::Mean => SlotKind::Mean,
        Aggregate::Variance => SlotKind::Variance,
        Aggregate::Stddev => SlotKind::Stddev,
        Aggregate::Min => SlotKind::Min,
        Aggregate::Max => SlotKind::Max,
        Aggregate::Quantile(q) => SlotKind::Quantile(q),
        Aggregate::First => SlotKind::First,
        Aggregate::Last => SlotKind::Last,
        Aggregate::Distinct => SlotKind::Distinct,
        Aggregate::ApproxDistinct => SlotKind::ApproxDistinct,
        Aggregate::Share => SlotKind::Share,
        Aggregate::TimeSince => SlotKind::TimeSince,
        Aggregate::List => SlotKind::List,
    }
}

/// The key a project file writes the aggregate under.
fn part(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Count => "count",
        Aggregate::Sum => "sum",
        Aggregate::Mean => "mean",
        Aggregate::Variance => "variance",
        Aggregate::Stddev => "stddev",
        Aggregate::Min => "min",
        Aggregate::Max => "max",
        Aggregate::Quantile(Fraction::HALF) => "median",
        Aggregate::Quantile(_) => "quantile",
        Aggregate::First => "first",
        Aggregate::Last => "last",
        Aggregate::Distinct => "distinct",
        Aggregate::ApproxDistinct => "approx_distinct",
        Aggregate::Share => "share",
        Aggregate::TimeSince => "time_since",
        Aggregate::List => "list",
    }
}

fn takes(aggregate: Aggregate, of: Option<DataType>) -> String {
    let wanted = match aggregate {
        Aggregate::Sum | Aggregate::Mean | Aggregate::Variance | Aggregate::Stddev | Aggregate::Quantile(_) => {
            "numbers"
        }
        Aggregate::Share => "a condition, true or false",
        Aggregate::TimeSince => "`rows` or a condition, true or false",
        _ => "a column or an expression",
    };
    let given = match of {
        Some(of) => of.to_string(),
        None => "whole rows".to_owned(),
    };
    format!("`{}` takes {wanted}, not {given}", part(aggregate))
}
