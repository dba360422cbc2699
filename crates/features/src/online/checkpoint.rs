//! What remains of events that were folded: bounds on who may read past them, and accumulators.

use karat_core::DataType;

use super::bytes::{NO_SENSE, Reader, Writer};
use super::columns::check;
use crate::accumulate::{Accumulator, DigitsState, ExactState, REGISTERS, Sketch};
use crate::error::FeatureError;
use crate::events::Texts;
use crate::view::{Plan, SlotKind};

#[derive(Debug)]
pub(super) struct Checkpoint {
    /// The greatest of the records folded: who sees less than these must not read.
    pub(super) event_time: i64,
    pub(super) known_time: i64,
    pub(super) commit: i64,
    /// By slot that is checkpointed, in their order.
    pub(super) accumulators: Vec<(usize, Accumulator)>,
}

/// The same bytes whatever else is among the `texts`: `code` gives the state's own codes, in the order it is asked.
pub(super) fn write(
    writer: &mut Writer,
    checkpoint: &Checkpoint,
    plan: &Plan,
    texts: &Texts,
    code: &mut dyn FnMut(i64) -> i64,
) {
    writer.fixed(checkpoint.event_time);
    writer.fixed(checkpoint.known_time);
    writer.fixed(checkpoint.commit);
    for (slot, accumulator) in &checkpoint.accumulators {
        let text = of(plan, *slot) == DataType::Text;
        let mut word = |word: i64| if text { code(word) } else { word };
        match accumulator {
            Accumulator::Count(count) => writer.unsigned(*count),
            Accumulator::Ints { sum, count } => {
                writer.bytes.extend(sum.to_le_bytes());
                writer.unsigned(*count);
            }
            Accumulator::Floats(sum) => write_sum(writer, &sum.state()),
            Accumulator::Moments(moments) => {
                let (sum, squares) = moments.state();
                write_sum(writer, &sum);
                write_digits(writer, &squares);
            }
            Accumulator::Best(best) => {
                writer.byte(u8::from(best.is_some()));
                if let Some(best) = best {
                    writer.signed(word(*best));
                }
            }
            Accumulator::Distinct(counts) => {
                let mut keys: Vec<i64> = counts.keys().copied().collect();
                if text {
                    keys.sort_unstable_by(|a, b| texts.get(*a as u32).cmp(texts.get(*b as u32)));
                }
                let mut words: Vec<i64> = keys.into_iter().map(word).collect();
                words.sort_unstable();
                writer.unsigned(words.len() as u64);
                words.iter().for_each(|word| writer.signed(*word));
            }
            Accumulator::Sketch(sketch) => {
                writer.unsigned(sketch.raised().count() as u64);
                let mut next = 0;
                for (register, rank) in sketch.raised() {
                    writer.unsigned((register - next) as u64);
                    writer.byte(rank);
                    next = register + 1;
                }
            }
            Accumulator::Share { yes, count } => {
                writer.unsigned(*yes);
                writer.unsigned(*count);
            }
            Accumulator::Candidates(_) | Accumulator::Ordered(_) | Accumulator::Nothing => {
                unreachable!("slots that slide, stand at an end or need every event are not checkpointed")
            }
        }
    }
}

fn write_sum(writer: &mut Writer, state: &ExactState) {
    for count in [state.count, state.not_a_number, state.infinite, state.negative_infinite] {
        writer.unsigned(count);
    }
    write_digits(writer, &state.digits);
}

fn write_digits(writer: &mut Writer, state: &DigitsState) {
    writer.byte(state.low);
    writer.unsigned(state.digits.len() as u64);
    state.digits.iter().for_each(|digit| writer.signed(*digit));
}

pub(super) fn read(reader: &mut Reader<'_>, plan: &Plan, texts: usize) -> Result<Checkpoint, FeatureError> {
    let (event_time, known_time, commit) = (reader.fixed()?, reader.fixed()?, reader.fixed()?);
    let mut accumulators = Vec::new();
    for (slot, described) in plan.slots.iter().enumerate().filter(|(_, slot)| slot.is_checkpointed(plan)) {
        accumulators.push((slot, accumulator(reader, described.kind, of(plan, slot), texts)?));
    }
    Ok(Checkpoint { event_time, known_time, commit, accumulators })
}

fn accumulator(
    reader: &mut Reader<'_>,
    kind: SlotKind,
    of: DataType,
    texts: usize,
) -> Result<Accumulator, FeatureError> {
    let word = |reader: &mut Reader<'_>| -> Result<i64, FeatureError> {
        let word = reader.signed()?;
        check(word, of, texts)?;
        Ok(word)
    };
    let mut accumulator = Accumulator::new(kind, of, false);
    match &mut accumulator {
        Accumulator::Count(all) => *all = count(reader)?,
        Accumulator::Ints { sum, count: all } => {
            let bytes = reader.take(16)?.try_into().expect("sixteen bytes were taken");
            *sum = i128::from_le_bytes(bytes);
            if sum.unsigned_abs() >> 112 != 0 {
                return Err(NO_SENSE);
            }
            *all = count(reader)?;
        }
        Accumulator::Floats(sum) => sum.resume(&read_sum(reader)?).ok_or(NO_SENSE)?,
        Accumulator::Moments(moments) => {
            moments.resume(&read_sum(reader)?, &read_digits(reader)?).ok_or(NO_SENSE)?;
        }
        Accumulator::Best(best) => {
            *best = match reader.byte()? {
                0 => None,
                1 => Some(word(reader)?),
                _ => return Err(NO_SENSE),
            };
        }
        Accumulator::Distinct(counts) => {
            let len = reader.count(reader.remaining())?;
            for _ in 0..len {
                counts.insert(word(reader)?, 1);
            }
        }
        Accumulator::Sketch(sketch) => {
            let len = reader.count(REGISTERS.min(reader.remaining()))?;
            let mut next = 0;
            let mut raised = Vec::with_capacity(len);
            for _ in 0..len {
                let register = next + reader.count(REGISTERS)?;
                raised.push((register, reader.byte()?));
                next = register + 1;
            }
            *sketch = Sketch::of_raised(&raised).ok_or(NO_SENSE)?;
        }
        Accumulator::Share { yes, count: all } => (*yes, *all) = (count(reader)?, count(reader)?),
        Accumulator::Candidates(_) | Accumulator::Ordered(_) | Accumulator::Nothing => return Err(NO_SENSE),
    }
    Ok(accumulator)
}

/// Counts are bounded so that adding to them cannot overflow.
fn count(reader: &mut Reader<'_>) -> Result<u64, FeatureError> {
    reader.unsigned().and_then(|count| if count >> 48 == 0 { Ok(count) } else { Err(NO_SENSE) })
}

fn read_sum(reader: &mut Reader<'_>) -> Result<ExactState, FeatureError> {
    let (all, not_a_number) = (count(reader)?, count(reader)?);
    let (infinite, negative_infinite) = (count(reader)?, count(reader)?);
    Ok(ExactState { count: all, not_a_number, infinite, negative_infinite, digits: read_digits(reader)? })
}

fn read_digits(reader: &mut Reader<'_>) -> Result<DigitsState, FeatureError> {
    let low = reader.byte()?;
    let len = reader.count(reader.remaining())?;
    let digits = (0..len).map(|_| reader.signed()).collect::<Result<Vec<_>, _>>()?;
    Ok(DigitsState { low, digits })
}

fn of(plan: &Plan, slot: usize) -> DataType {
    plan.slots[slot].argument.map_or(DataType::Int, |argument| plan.arguments[argument].data_type)
}
