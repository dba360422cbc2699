use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use karat_core::{DataType, ValueType};

use super::columns::column;
use super::key_pass::KeyPass;
use super::readers::Readers;
use super::{AsOfPass, Spine, expressions};
use crate::NO_HISTORY;
use crate::error::FeatureError;
use crate::events::{Cells, EventTable, Groups, NO_KEY, Texts};
use crate::view::CompiledView;

/// What the pass over one table found, and whether each row had a history.
pub(super) struct Found {
    /// By slot a column of cells: values; of a list their lengths.
    pub(super) slots: Vec<Cells>,
    /// By slot, of a list all elements, one list's after the other's; nothing else of the rest.
    pub(super) elements: Vec<Cells>,
    pub(super) no_history: Vec<bool>,
}

impl Found {
    pub(super) fn new(types: &[ValueType], rows: usize) -> Found {
        let cells = |value_type: &ValueType| value_type.one().unwrap_or(DataType::Int);
        let elements = |value_type: &ValueType| match value_type {
            ValueType::One(data_type) | ValueType::List(data_type) => Cells::new(*data_type),
        };
        Found {
            slots: types.iter().map(|value_type| Cells::with_capacity(cells(value_type), rows)).collect(),
            elements: types.iter().map(elements).collect(),
            no_history: Vec::with_capacity(rows),
        }
    }
}

/// One table's share of the answer.
pub(super) struct Share {
    pub(super) texts: Texts,
    /// Of the spine, in the order of what was found.
    pub(super) rows: Vec<u32>,
    pub(super) found: Found,
}

pub(super) fn run(pass: AsOfPass<'_>, spine: &Spine, up_to: Option<u64>) -> Result<RecordBatch, FeatureError> {
    let view = pass.view;
    let rows = spine.as_of.len();
    check(view, spine)?;
    let up_to = up_to.map_or(i64::MAX, |commit| i64::try_from(commit).unwrap_or(i64::MAX));
    let types: Vec<ValueType> = view.plan.slots.iter().map(|slot| slot.value_type()).collect();
    let mut shares = shares(pass, spine, up_to, &types);
    let slots = types.iter().enumerate().map(|(slot, value_type)| column(&mut shares, slot, *value_type, rows));
    let slots: Vec<ArrayRef> = slots.collect::<Result<_, _>>()?;
    let mut no_history = BooleanBufferBuilder::new(rows);
    no_history.append_n(rows, false);
    for share in &shares {
        for (row, none) in share.rows.iter().zip(&share.found.no_history) {
            no_history.set_bit(*row as usize, *none);
        }
    }
    drop(shares);

    let mut columns = expressions::outputs(view, &slots, &spine.as_of)?;
    let mut fields: Vec<Field> =
        view.outputs.iter().map(|output| Field::new(&output.name, output.value_type.arrow(), true)).collect();
    columns.push(Arc::new(BooleanArray::from(no_history.finish())));
    fields.push(Field::new(NO_HISTORY, arrow::datatypes::DataType::Boolean, false));
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns)
        .map_err(|error| FeatureError::Batch(error.to_string()))
}

/// Every table that the spine has rows for, each worked on by whoever is free.
fn shares(pass: AsOfPass<'_>, spine: &Spine, up_to: i64, types: &[ValueType]) -> Vec<Share> {
    let AsOfPass { view, tables, threads } = pass;
    let spread = tables.spread(&spine.keys, spine.as_of.len());
    let tables: Vec<Mutex<Option<EventTable>>> =
        tables.into_tables().into_iter().map(|t| Mutex::new(Some(t))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (Some(table), Some(rows)) = (tables.get(number), spread.get(number)) else { return done };
            let table = table.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let (Some(table), false) = (table, rows.is_empty()) {
                done.push(one(view, table, spine, rows, up_to, types));
            }
        }
    };
    if threads == 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(tables.len())).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a pass over a key does not panic")).collect()
    })
}

fn one(
    view: &CompiledView,
    mut table: EventTable,
    spine: &Spine,
    rows: &[u32],
    up_to: i64,
    types: &[ValueType],
) -> Share {
    let (readers, order) = {
        let (keys, events) = table.grouped();
        let codes = keys.find(&spine.keys, rows);
        let readers = Readers::new(spine, rows, codes, keys.len(), up_to);
        let order = Order::of(&readers, &events);
        (readers, order)
    };
    table.arrange(&order.rows);
    let mut key_pass = KeyPass::new(view, &table, Found::new(types, rows.len()));
    let mut reads = Vec::new();
    let mut start = 0;
    for (group, end) in order.ends.into_iter().enumerate() {
        readers.read(group, &mut reads);
        key_pass.run(start..end, &reads);
        start = end;
    }
    let found = key_pass.found;
    Share { rows: readers.into_rows(), found, texts: table.texts }
}

/// The events of some groups of readers, one group's after the other's.
struct Order {
    rows: Vec<u32>,
    /// Where each group's end.
    ends: Vec<u32>,
}

impl Order {
    fn of(readers: &Readers, events: &Groups) -> Order {
        let mut order = Order { rows: Vec::new(), ends: Vec::with_capacity(readers.len()) };
        for group in 0..readers.len() {
            match readers.code(group) {
                NO_KEY => {}
                code => order.rows.extend_from_slice(events.of(code as usize)),
            }
            order.ends.push(order.rows.len() as u32);
        }
        order
    }
}

pub(super) fn check(view: &CompiledView, spine: &Spine) -> Result<(), FeatureError> {
    let rows = spine.as_of.len();
    if rows >= u32::MAX as usize {
        return Err(FeatureError::TooMuch("more than 4 billion rows in a spine"));
    }
    if spine.as_of.null_count() > 0 {
        return Err(FeatureError::Batch("an as_of of the spine is null".to_owned()));
    }
    let keys = view.key_columns();
    let typed = keys.len() == spine.keys.len()
        && keys.iter().zip(&spine.keys).all(|(key, array)| *array.data_type() == key.data_type.arrow());
    if !typed {
        let wanted: Vec<String> = keys.iter().map(|key| format!("{} {}", key.name, key.data_type)).collect();
        return Err(FeatureError::Batch(format!("the spine's keys are not ({})", wanted.join(", "))));
    }
    if spine.since.as_ref().is_some_and(|since| since.null_count() > 0) {
        return Err(FeatureError::Batch("a since of the spine is null".to_owned()));
    }
    let times = spine.known_at.iter().chain(&spine.since).map(|times| times.len());
    if spine.keys.iter().map(|key| key.len()).chain(times).any(|len| len != rows) {
        return Err(FeatureError::Batch("the spine's columns differ in length".to_owned()));
    }
    Ok(())
}
