use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use karat_core::DataType;

use super::key_pass::KeyPass;
use super::readers::{Order, Readers};
use super::{AsOfPass, Spine, expressions};
use crate::NO_HISTORY;
use crate::error::FeatureError;
use crate::events::{Cells, NO_KEY, Texts};

/// What the passes found: by slot a column of cells, and whether each row had a history.
pub(super) struct Found {
    pub(super) slots: Vec<Cells>,
    pub(super) no_history: Vec<bool>,
}

impl Found {
    pub(super) fn new(types: &[DataType]) -> Found {
        Found { slots: types.iter().map(|data_type| Cells::new(*data_type)).collect(), no_history: Vec::new() }
    }
}

pub(super) fn run(pass: &AsOfPass<'_>, spine: &Spine, up_to: Option<u64>) -> Result<RecordBatch, FeatureError> {
    let view = pass.view;
    let rows = spine.as_of.len();
    check(pass, spine)?;
    let up_to = up_to.map_or(i64::MAX, |commit| i64::try_from(commit).unwrap_or(i64::MAX));
    let codes = pass.table.keys.find(&spine.keys, rows);
    let events = pass.table.by_key();
    let readers = Readers::new(spine, codes, pass.table.keys.len(), up_to);
    let events_of = |group: usize| match readers.code(group) {
        NO_KEY => &[],
        code => events.of(code as usize),
    };

    let types: Vec<DataType> = view.plan.slots.iter().map(|slot| slot.data_type).collect();
    let work = |group| events_of(group).len() + readers.rows_of(group).len();
    let mut found: Vec<Found> = std::thread::scope(|scope| {
        let workers: Vec<_> = split(readers.len(), pass.threads, work)
            .into_iter()
            .map(|part| {
                let (types, readers, events_of) = (&types, &readers, &events_of);
                scope.spawn(move || {
                    let mut key_pass = KeyPass::new(view, &pass.table, types);
                    let mut reads = Vec::new();
                    for group in part {
                        readers.read(group, &mut reads);
                        key_pass.run(events_of(group), &reads);
                    }
                    key_pass.found
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a pass over a key does not panic")).collect()
    });

    let place = Place::of(readers.into_order());
    drop(events);
    let slots: Vec<ArrayRef> = (0..types.len())
        .map(|slot| {
            let none = || Cells::new(types[slot]);
            let parts = found.iter_mut().map(|part| std::mem::replace(&mut part.slots[slot], none())).collect();
            array(parts, types[slot], &place, &pass.table.texts)
        })
        .collect();
    let no_history: Vec<bool> = found.iter().flat_map(|part| part.no_history.iter().copied()).collect();
    let no_history: BooleanArray = (0..rows).map(|row| Some(no_history[place.get(row)])).collect();

    let mut columns = expressions::outputs(view, &slots, &spine.as_of)?;
    let mut fields: Vec<Field> =
        view.outputs.iter().map(|column| Field::new(&column.name, column.data_type.arrow(), true)).collect();
    columns.push(Arc::new(no_history));
    fields.push(Field::new(NO_HISTORY, arrow::datatypes::DataType::Boolean, false));
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns)
        .map_err(|error| FeatureError::Batch(error.to_string()))
}

fn check(pass: &AsOfPass<'_>, spine: &Spine) -> Result<(), FeatureError> {
    let rows = spine.as_of.len();
    if rows >= u32::MAX as usize {
        return Err(FeatureError::TooMuch("more than 4 billion rows in a spine"));
    }
    if spine.as_of.null_count() > 0 {
        return Err(FeatureError::Batch("an as_of of the spine is null".to_owned()));
    }
    let keys = pass.view.key_columns();
    let typed = keys.len() == spine.keys.len()
        && keys.iter().zip(&spine.keys).all(|(key, array)| *array.data_type() == key.data_type.arrow());
    if !typed {
        let wanted: Vec<String> = keys.iter().map(|key| format!("{} {}", key.name, key.data_type)).collect();
        return Err(FeatureError::Batch(format!("the spine's keys are not ({})", wanted.join(", "))));
    }
    let known_at = spine.known_at.iter().map(|known_at| known_at.len());
    if spine.keys.iter().map(|key| key.len()).chain(known_at).any(|len| len != rows) {
        return Err(FeatureError::Batch("the spine's columns differ in length".to_owned()));
    }
    Ok(())
}

/// Stretches of `0..count` of about equal work, at most one a thread.
fn split(count: usize, threads: usize, work: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
    let share = (0..count).map(&work).sum::<usize>() / threads + 1;
    let mut parts = Vec::with_capacity(threads);
    let (mut start, mut done) = (0, 0);
    for index in 0..count {
        done += work(index);
        if done >= share {
            parts.push(start..index + 1);
            (start, done) = (index + 1, 0);
        }
    }
    parts.push(start..count);
    parts
}

/// The parts find rows in the order of the groups: where in all of that is a row of the spine?
enum Place {
    Same,
    Each(Vec<u32>),
}

impl Place {
    fn of(order: Order) -> Place {
        let Order::Each(order) = order else { return Place::Same };
        let mut place = vec![0u32; order.len()];
        for (index, row) in order.iter().enumerate() {
            place[*row as usize] = index as u32;
        }
        Place::Each(place)
    }

    #[inline]
    fn get(&self, row: usize) -> usize {
        match self {
            Place::Same => row,
            Place::Each(place) => place[row] as usize,
        }
    }
}

/// One column in the spine's order, out of the parts' cells.
fn array(parts: Vec<Cells>, data_type: DataType, place: &Place, texts: &Texts) -> ArrayRef {
    let whole = Cells::concat(parts);
    let cells = (0..whole.len()).map(|row| whole.get(place.get(row)));
    match data_type {
        DataType::Bool => Arc::new(cells.map(|cell| cell.map(|word| word == 1)).collect::<BooleanArray>()),
        DataType::Int => Arc::new(cells.collect::<Int64Array>()),
        DataType::Float => {
            Arc::new(cells.map(|cell| cell.map(|word| f64::from_bits(word as u64))).collect::<Float64Array>())
        }
        DataType::Text => Arc::new(cells.map(|cell| cell.map(|code| texts.text(code as u32))).collect::<StringArray>()),
        DataType::Date => Arc::new(cells.map(|cell| cell.map(|days| days as i32)).collect::<Date32Array>()),
        DataType::Timestamp => {
            let array: TimestampMicrosecondArray = cells.collect();
            Arc::new(array.with_data_type(data_type.arrow()))
        }
    }
}
