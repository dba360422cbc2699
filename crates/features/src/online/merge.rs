//! Making a key's state: what can be folded is folded, the rest is kept.
//!
//! The events folded are a beginning of the key's order: every record before the horizon and known by then, up to the
//! first that is not, and no identity cut in two. So what stands first or last can be told from a few of them, which
//! stay as events, and a later record either sorts after them all or is refused.

use std::cmp::Ordering;

use karat_core::{DataType, Instant};

use super::checkpoint::Checkpoint;
use super::layout::{self, Draft, Order, State};
use crate::definition::Identity;
use crate::error::{FeatureError, Needs};
use crate::events::{Cells, EventOrder, EventTable, KeyEvents, Texts, value};
use crate::fold::{Fold, Read, WindowStarts, select};
use crate::key::encode_key;
use crate::view::{CompiledView, Plan};

/// One key's records, merged or straight from history.
pub(super) struct Records<'a> {
    pub(super) table: &'a EventTable,
    /// Rows of the table, in any order.
    pub(super) rows: Vec<u32>,
    /// How many of the table's first rows were folded before.
    pub(super) folded: usize,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) folded_identities: Vec<u64>,
    pub(super) horizon: i64,
}

/// Puts an old state and new rows into one table.
pub(super) fn merge<'t>(
    view: &CompiledView,
    merged: &'t mut EventTable,
    mut old: State<'_>,
    new: &EventTable,
    rows: &[u32],
) -> Result<Records<'t>, FeatureError> {
    let plan = &view.plan;
    let order = old.order(plan)?;
    let before_horizon =
        FeatureError::BeforeHorizon { horizon: Instant::from_micros(old.horizon), needs: Needs::Earlier };
    if let Some(checkpoint) = &old.checkpoint
        && rows.iter().any(|row| new.event_time[*row as usize] <= checkpoint.event_time)
    {
        return Err(before_horizon);
    }
    if !order.folded.is_empty() {
        let known = |row: &u32| order.folded.binary_search(&identity_hash(new, plan, *row as usize)).is_ok();
        if rows.iter().any(known) {
            return Err(before_horizon);
        }
    }
    append_state(merged, plan, &old, &order);
    let mut checkpoint = old.checkpoint;
    for (slot, accumulator) in checkpoint.iter_mut().flat_map(|checkpoint| &mut checkpoint.accumulators) {
        let argument = plan.slots[*slot].argument;
        if argument.is_some_and(|argument| plan.arguments[argument].data_type == DataType::Text) {
            accumulator.rename(|code| i64::from(merged.texts.intern(old.texts.get(code as u32))));
        }
    }
    append_rows(merged, plan, new, rows);
    Ok(Records {
        rows: (0..merged.event_time.len() as u32).collect(),
        folded: old.events.folded,
        horizon: old.horizon,
        checkpoint,
        folded_identities: order.folded,
        table: merged,
    })
}

/// The state of one key's records.
pub(super) fn encode(view: &CompiledView, mut records: Records<'_>, horizon: i64) -> Vec<u8> {
    let plan = &view.plan;
    let table = records.table;
    let order = EventOrder { table, plan };
    let mut rows = std::mem::take(&mut records.rows);
    rows.sort_unstable_by(|a, b| order.compare(*a, *b));
    // A record delivered twice is one record; those folded before are distinct rows already.
    rows.dedup_by(|b, a| order.compare(*a, *b) == Ordering::Equal && *b as usize >= records.folded);
    let mut events = KeyEvents::new(plan);
    events.load(table, plan, &mut rows, &mut Vec::new());
    events.folded = records.folded;
    let cut = cut(&events, horizon);
    let mut kept: Vec<u32> = (0..records.folded as u32).collect();
    if cut > records.folded {
        kept = fold_until(view, &mut records, &events, &rows, cut);
        records.horizon = records.horizon.max(horizon);
        if view.definition.source.identity != Identity::FileRow {
            let hashes = rows[events.folded..cut].iter().map(|row| identity_hash(table, plan, *row as usize));
            records.folded_identities.extend(hashes);
            records.folded_identities.sort_unstable();
            records.folded_identities.dedup();
        }
    }
    let folded = kept.len();
    kept.extend(cut.max(events.folded) as u32..events.len() as u32);
    let sequence = table.sequence.as_ref().map(|cells| |row: usize| cells.get(rows[row] as usize));
    layout::write(&Draft {
        plan,
        texts: &table.texts,
        events: &events,
        rows: &kept,
        folded,
        sequence: sequence.as_ref().map(|cell| cell as &dyn Fn(usize) -> Option<i64>),
        identity: table.identity.iter().map(|cells| boxed(cells, &rows)).collect(),
        folded_identities: &records.folded_identities,
        horizon: records.horizon,
        checkpoint: records.checkpoint.as_ref(),
    })
}

fn boxed<'a>(cells: &'a Cells, rows: &'a [u32]) -> Box<dyn Fn(usize) -> Option<i64> + 'a> {
    Box::new(move |row| cells.get(rows[row] as usize))
}

/// How many of the first records can be folded.
fn cut(events: &KeyEvents, horizon: i64) -> usize {
    let settled = |row: &usize| events.event_time[*row] < horizon && events.known_time[*row] <= horizon;
    let settled = (events.folded..events.len()).take_while(settled).count() + events.folded;
    let mut last_record = vec![0usize; events.len()];
    for row in 0..events.len() {
        last_record[events.identity[row] as usize] = row;
    }
    // The longest beginning that no identity reaches out of.
    let mut cut = events.folded;
    let mut reaches = 0;
    for row in events.folded..settled {
        reaches = reaches.max(last_record[events.identity[row] as usize] + 1);
        if reaches <= row + 1 {
            cut = row + 1;
        }
    }
    cut
}

/// Accumulates the records up to `cut` into the checkpoint; returns those that stay as events.
fn fold_until(
    view: &CompiledView,
    records: &mut Records<'_>,
    events: &KeyEvents,
    rows: &[u32],
    cut: usize,
) -> Vec<u32> {
    let plan = &view.plan;
    let mut bounds = (i64::MIN, i64::MIN, i64::MIN);
    let mut accumulated = Vec::new();
    if let Some(checkpoint) = records.checkpoint.take() {
        bounds = (checkpoint.event_time, checkpoint.known_time, checkpoint.commit);
        accumulated = checkpoint.accumulators;
    }
    let mut fold = Fold::resuming(plan, accumulated);
    for row in events.folded..cut {
        bounds.0 = bounds.0.max(events.event_time[row]);
        bounds.1 = bounds.1.max(events.known_time[row]);
        bounds.2 = bounds.2.max(events.commit[row]);
    }
    for row in winners(view, records.table, &rows[..cut], events.folded) {
        fold.take(events, row);
    }
    // The time does not matter to slots over all time.
    fold.read(events, &records.table.texts, bounds.0, &mut WindowStarts::new(plan), |_| {});
    let slots = plan.slots.iter().enumerate().filter(|(_, slot)| slot.is_checkpointed(plan));
    let accumulators = slots.map(|(slot, _)| (slot, fold.accumulator(slot).clone())).collect();
    records.checkpoint =
        Some(Checkpoint { event_time: bounds.0, known_time: bounds.1, commit: bounds.2, accumulators });
    fold.kept()
}

/// The rows that stand among the first `rows`, everything being visible.
fn winners(view: &CompiledView, table: &EventTable, rows: &[u32], folded: usize) -> Vec<u32> {
    let mut events = KeyEvents::new(&view.plan);
    let mut rows = rows.to_vec();
    events.load(table, &view.plan, &mut rows, &mut Vec::new());
    events.folded = folded;
    let everything = Read { as_of: i64::MAX, known_at: i64::MAX, since: i64::MIN, up_to: i64::MAX };
    let mut visible = Vec::new();
    select(&events, &view.plan, everything, &mut Vec::new(), &mut visible);
    visible
}

/// A hash that is the same on every machine; two identities may share one, which only costs a rebuild from history.
fn identity_hash(table: &EventTable, plan: &Plan, row: usize) -> u64 {
    let cells = table.identity.iter().zip(&plan.identity);
    let values: Vec<_> = cells.map(|(cells, column)| value(column.data_type, cells.get(row), &table.texts)).collect();
    // FNV-1a, its bits mixed once more.
    let hash = encode_key(&values)
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn append_state(table: &mut EventTable, plan: &Plan, state: &State<'_>, order: &Order) {
    let events = &state.events;
    for (event_time, known_time) in events.event_time.iter().zip(&events.known_time) {
        table.push_times(*event_time, *known_time);
    }
    table.commit.extend(events.commit.iter().copied());
    table.removed.extend(events.removed.iter().copied());
    let len = events.len();
    let mut append = |into: &mut Cells, from: &Cells, data_type| {
        append_cells(into, &mut table.texts, from, &state.texts, data_type, 0..len as u32);
    };
    if let (Some(into), Some(from), Some(column)) = (&mut table.sequence, &order.sequence, &plan.sequence) {
        append(into, from, column.data_type);
    }
    for ((into, from), column) in table.identity.iter_mut().zip(&order.identity).zip(&plan.identity) {
        append(into, from, column.data_type);
    }
    for ((into, from), argument) in table.arguments.iter_mut().zip(&events.arguments).zip(&plan.arguments) {
        append(into, from, argument.data_type);
    }
    if let Some(from) = &events.nulled {
        append(&mut table.nulled, from, DataType::Text);
    }
}

fn append_rows(table: &mut EventTable, plan: &Plan, new: &EventTable, rows: &[u32]) {
    for row in rows.iter().map(|row| *row as usize) {
        table.push_times(new.event_time[row], new.known_time(row));
        table.commit.push(new.commit.get(row));
        table.removed.push(new.removed.get(row));
    }
    let mut append = |into: &mut Cells, from: &Cells, data_type| {
        append_cells(into, &mut table.texts, from, &new.texts, data_type, rows.iter().copied());
    };
    if let (Some(into), Some(from), Some(column)) = (&mut table.sequence, &new.sequence, &plan.sequence) {
        append(into, from, column.data_type);
    }
    for ((into, from), column) in table.identity.iter_mut().zip(&new.identity).zip(&plan.identity) {
        append(into, from, column.data_type);
    }
    for ((into, from), argument) in table.arguments.iter_mut().zip(&new.arguments).zip(&plan.arguments) {
        append(into, from, argument.data_type);
    }
    if !plan.nulled.is_empty() {
        append(&mut table.nulled, &new.nulled, DataType::Text);
    }
}

fn append_cells(
    into: &mut Cells,
    texts: &mut Texts,
    from: &Cells,
    from_texts: &Texts,
    data_type: DataType,
    rows: impl Iterator<Item = u32>,
) {
    for row in rows {
        let cell = from.get(row as usize);
        into.push(match data_type {
            DataType::Text => cell.map(|code| i64::from(texts.intern(from_texts.get(code as u32)))),
            _ => cell,
        });
    }
}
