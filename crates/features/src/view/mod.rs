//! A view compiled: what to project from history, what to accumulate, what to compute from that.

mod arguments;
mod compile;
mod expressions;
mod retention;
mod slots;

use karat_core::{Column, DataType, Digest, Schema, ValueType, Window, Zone, hidden};
use karat_project::spec::Fraction;

pub use retention::Retention;

use crate::definition::Definition;
use crate::expression::Expression;

/// A feature view, compiled once, that computes its values offline and online.
#[derive(Debug, Clone)]
pub struct CompiledView {
    pub(crate) definition: Definition,
    pub(crate) digest: Digest,
    pub(crate) outputs: Vec<Output>,
    pub(crate) source_columns: Schema,
    pub(crate) plan: Plan,
}

/// A feature as the view computes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    pub value_type: ValueType,
}

impl CompiledView {
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The features, in the order of the view.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// As models read it, which take no lists: those are not made, a value of theirs is null. States are those of the whole
    /// view.
    pub fn without_lists(mut self) -> CompiledView {
        let lists = self.plan.slots.iter_mut().filter(|slot| slot.kind == SlotKind::List);
        lists.for_each(|slot| slot.kind = SlotKind::Unread);
        for output in &mut self.outputs {
            if let ValueType::List(element) = output.value_type {
                output.value_type = ValueType::One(element);
            }
        }
        self
    }

    /// These outputs and those they are computed from, ascending.
    pub fn needed_for(&self, outputs: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut needed = vec![false; self.outputs.len()];
        let mut left: Vec<usize> = outputs.into_iter().collect();
        while let Some(output) = left.pop() {
            if std::mem::replace(&mut needed[output], true) {
                continue;
            }
            if let FeaturePlan::Expression { inputs, .. } = &self.plan.features[output] {
                left.extend(inputs.iter().filter_map(|input| match input {
                    Input::Feature(feature) => Some(*feature),
                    Input::AsOf | Input::Slot(_) => None,
                }));
            }
        }
        (0..needed.len()).filter(|output| needed[*output]).collect()
    }

    pub fn key_columns(&self) -> &[Column] {
        &self.definition.keys
    }

    /// The declared columns needed from history.
    pub fn source_columns(&self) -> &Schema {
        &self.source_columns
    }

    /// The hidden columns needed beside them.
    pub fn hidden_columns(&self) -> Vec<&'static str> {
        let needed = |name: &&str| match *name {
            hidden::EVENT_TIME => self.plan.timed,
            hidden::FILE | hidden::ROW => self.plan.identity.iter().any(|column| column.name == **name),
            hidden::NULLED => !self.plan.nulled.is_empty(),
            _ => true,
        };
        hidden::ALL.into_iter().filter(needed).collect()
    }
}

/// How the values come about.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whether events have a time; a record of facts has none.
    pub(crate) timed: bool,
    pub(crate) include_as_of: bool,
    pub(crate) zone: Zone,
    /// What is computed of each event when it is projected.
    pub(crate) arguments: Vec<Argument>,
    pub(crate) sequence: Option<Column>,
    pub(crate) identity: Vec<Column>,
    /// Columns whose nulled cells are reported with the values they made null.
    pub(crate) nulled: Vec<String>,
    /// Lists of events: each holds those where all of these arguments are true. The first has no condition.
    pub(crate) lists: Vec<Vec<usize>>,
    pub(crate) windows: Vec<Window>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) slots: Vec<Slot>,
    /// By slot, the first that accumulates the same cells alike: itself, or one before it.
    pub(crate) accumulated_by: Vec<usize>,
    /// In the order of the outputs.
    pub(crate) features: Vec<FeaturePlan>,
    /// The outputs that are expressions, each after those it reads.
    pub(crate) order: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub(crate) expression: Expression,
    pub(crate) data_type: DataType,
}

/// A stretch of a list of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) list: usize,
    /// Into [`Plan::windows`].
    pub(crate) window: Option<usize>,
    pub(crate) last: Option<u32>,
}

impl Frame {
    /// Whether the frame begins with the first event, whatever the reader's time.
    pub(crate) fn is_all_time(&self) -> bool {
        self.window.is_none() && self.last.is_none()
    }
}

/// One value accumulated over a frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    pub(crate) kind: SlotKind,
    /// `None` for whole rows.
    pub(crate) argument: Option<usize>,
    pub(crate) frame: usize,
    /// Of a list, that of its elements.
    pub(crate) data_type: DataType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotKind {
    Count,
    Sum,
    Mean,
    Variance,
    Stddev,
    Min,
    Max,
    Quantile(Fraction),
    Distinct,
    ApproxDistinct,
    Share,
    First,
    Last,
    TimeSince,
    /// The cells of all its frame's events.
    List,
    /// A list that nobody reads: null. See [`CompiledView::without_lists`].
    Unread,
}

impl SlotKind {
    /// Whether the value depends on which events stand first or last, not only on what they add up to.
    pub(crate) fn is_positional(self) -> bool {
        matches!(self, SlotKind::First | SlotKind::Last | SlotKind::TimeSince | SlotKind::List | SlotKind::Unread)
    }

    /// Whether one accumulation tells both values, of the same cells.
    pub(crate) fn accumulates_as(self, other: SlotKind) -> bool {
        use SlotKind::{Mean, Quantile, Stddev, Sum, Variance};
        let alike = matches!(
            (self, other),
            (Sum | Mean, Sum | Mean) | (Variance | Stddev, Variance | Stddev) | (Quantile(_), Quantile(_))
        );
        alike || self == other
    }

    /// Whether the value is a cell of an event as it stands, or several.
    pub(crate) fn shows_cells(self) -> bool {
        matches!(self, SlotKind::First | SlotKind::Last | SlotKind::List)
    }
}

impl Slot {
    pub(crate) fn value_type(&self) -> ValueType {
        match self.kind {
            SlotKind::List => ValueType::List(self.data_type),
            _ => ValueType::One(self.data_type),
        }
    }

    /// Whether a checkpoint holds what this slot accumulated.
    pub(crate) fn is_checkpointed(&self, plan: &Plan) -> bool {
        !self.kind.is_positional() && plan.frames[self.frame].is_all_time()
    }
}

#[derive(Debug, Clone)]
pub(crate) enum FeaturePlan {
    Slot(usize),
    Expression { expression: Expression, inputs: Vec<Input> },
}

/// What an expression feature reads, in the order of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    AsOf,
    /// A column of the last visible event.
    Slot(usize),
    /// Another output.
    Feature(usize),
}
