use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use karat_core::DataType;

use super::key_pass::{KeyPass, Readers};
use super::{AsOfPass, Spine, expressions};
use crate::NO_HISTORY;
use crate::error::FeatureError;
use crate::events::{Cells, NO_KEY, Texts};
use crate::fold::Read;

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
    let mut codes = pass.table.keys.find(&spine.keys, rows);
    // Rows of keys without events share one more code, so that every row is in a group.
    let strangers = pass.table.keys.len() as u32;
    codes.iter_mut().filter(|code| **code == NO_KEY).for_each(|code| *code = strangers);
    let events = pass.table.by_key();
    let readers = Readers::new(spine, &codes, strangers as usize + 1, up_to);

    let types: Vec<DataType> = view.plan.slots.iter().map(|slot| slot.data_type).collect();
    let parts = split(strangers as usize + 1, pass.threads, |code| {
        let events = if code < strangers as usize { events.before(code) } else { pass.table.len() };
        events + readers.before(code)
    });
    let found: Vec<Found> = std::thread::scope(|scope| {
        let workers: Vec<_> = parts
            .iter()
            .map(|part| {
                let (part, types, events, readers) = (part.clone(), &types, &events, &readers);
                scope.spawn(move || {
                    let mut key_pass = KeyPass::new(view, &pass.table, types);
                    for code in part {
                        let rows = if code < strangers as usize { events.of(code) } else { &[] };
                        key_pass.run(rows, readers.of(code));
                    }
                    key_pass.found
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a pass over a key does not panic")).collect()
    });

    // Each part found its rows in the order of the groups; `place[row]` is where in all of that.
    let mut place = vec![0u32; rows];
    for (index, row) in readers.order().iter().enumerate() {
        place[*row as usize] = index as u32;
    }
    let slots: Vec<ArrayRef> = (0..types.len())
        .map(|slot| {
            let parts: Vec<&Cells> = found.iter().map(|part| &part.slots[slot]).collect();
            array(&parts, types[slot], &place, &pass.table.texts)
        })
        .collect();
    let no_history: Vec<bool> = found.iter().flat_map(|part| part.no_history.iter().copied()).collect();
    let no_history: BooleanArray = place.iter().map(|place| Some(no_history[*place as usize])).collect();

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

/// Stretches of `0..count` of about equal work, one a thread.
fn split(count: usize, threads: usize, work_before: impl Fn(usize) -> usize) -> Vec<std::ops::Range<usize>> {
    let total = work_before(count - 1);
    let mut edges: Vec<usize> = (1..threads)
        .map(|thread| {
            let wanted = total * thread / threads;
            let (mut low, mut high) = (0, count);
            while low < high {
                let middle = (low + high) / 2;
                if work_before(middle) < wanted { low = middle + 1 } else { high = middle }
            }
            low
        })
        .collect();
    edges.insert(0, 0);
    edges.push(count);
    edges.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// One column in the spine's order, out of the parts' cells.
fn array(parts: &[&Cells], data_type: DataType, place: &[u32], texts: &Texts) -> ArrayRef {
    let mut whole = Cells::new(data_type);
    for part in parts {
        for index in 0..part.len() {
            whole.push(part.get(index));
        }
    }
    let cells = place.iter().map(|place| whole.get(*place as usize));
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

impl Read {
    pub(super) fn of_spine(spine: &Spine, row: usize, up_to: i64) -> Read {
        let as_of = spine.as_of.value(row);
        let known_at = match &spine.known_at {
            Some(known_at) if known_at.is_valid(row) => known_at.value(row),
            _ => as_of,
        };
        Read { as_of, known_at, up_to }
    }
}
