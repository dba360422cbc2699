//! Columns of cells as bytes: a tag, a bitmap where some are null, then one word for all, differences or whole words.

use karat_core::DataType;

use super::bytes::{NO_SENSE, Reader, Writer, zigzag};
use crate::error::FeatureError;
use crate::events::Cells;

const NONE: u8 = 0;
const CONSTANT: u8 = 1;
const DIFFERENCES: u8 = 2;
const WHOLE: u8 = 3;
const WITH_NULLS: u8 = 4;

/// Writes `len` cells.
pub(super) fn write(writer: &mut Writer, len: usize, cell: impl Fn(usize) -> Option<i64>) {
    let mut words = (0..len).filter_map(&cell);
    let Some(first) = words.next() else {
        writer.byte(NONE);
        return;
    };
    let mut constant = true;
    let mut count = 1;
    let mut size = varint_size(first);
    let mut previous = first;
    for word in words {
        constant &= word == first;
        size += varint_size(word.wrapping_sub(previous));
        previous = word;
        count += 1;
    }
    let encoding = match () {
        () if constant => CONSTANT,
        () if size < 8 * count => DIFFERENCES,
        () => WHOLE,
    };
    let with_nulls = count < len;
    writer.byte(encoding | if with_nulls { WITH_NULLS } else { 0 });
    if with_nulls {
        let mut bits = vec![0u8; len.div_ceil(8)];
        for index in (0..len).filter(|index| cell(*index).is_some()) {
            bits[index / 8] |= 1 << (index % 8);
        }
        writer.bytes.extend(bits);
    }
    let mut previous = 0i64;
    for word in (0..len).filter_map(&cell).take(if constant { 1 } else { len }) {
        if encoding == WHOLE {
            writer.fixed(word);
        } else {
            writer.signed(word.wrapping_sub(previous));
            previous = word;
        }
    }
}

/// Reads `len` cells of a type; texts' codes are below `texts`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    len: usize,
    data_type: DataType,
    texts: usize,
) -> Result<Cells, FeatureError> {
    let tag = reader.byte()?;
    if tag == NONE {
        return Ok(Cells::same(None, len, data_type));
    }
    let bitmap = if tag & WITH_NULLS != 0 { Some(reader.take(len.div_ceil(8))?) } else { None };
    let present = |index: usize| bitmap.is_none_or(|bits| bits[index / 8] >> (index % 8) & 1 == 1);
    let encoding = tag & !WITH_NULLS;
    if !(CONSTANT..=WHOLE).contains(&encoding) {
        return Err(NO_SENSE);
    }
    let mut word = 0i64;
    if encoding == CONSTANT {
        word = reader.signed()?;
        check(word, data_type, texts)?;
        if bitmap.is_none() {
            return Ok(Cells::same(Some(word), len, data_type));
        }
    }
    if bitmap.is_none() && data_type != DataType::Bool {
        let words = read_all(reader, encoding, len)?;
        words.iter().try_for_each(|word| check(*word, data_type, texts))?;
        return Ok(Cells::Words { words, valid: Vec::new() });
    }
    let mut next = |reader: &mut Reader<'_>| -> Result<i64, FeatureError> {
        if encoding != CONSTANT {
            word = read_word(reader, encoding, word)?;
            check(word, data_type, texts)?;
        }
        Ok(word)
    };
    let mut cells = Cells::with_capacity(data_type, len.min(reader.remaining()));
    for index in 0..len {
        let cell = if present(index) { Some(next(reader)?) } else { None };
        cells.push(cell);
    }
    Ok(cells)
}

/// So many words, as differences or whole.
fn read_all(reader: &mut Reader<'_>, encoding: u8, len: usize) -> Result<Vec<i64>, FeatureError> {
    // Lengths are not to be believed before the cells have come.
    let mut words = Vec::with_capacity(len.min(reader.remaining()));
    let mut word = 0i64;
    for _ in 0..len {
        word = read_word(reader, encoding, word)?;
        words.push(word);
    }
    Ok(words)
}

/// The next word, as a difference from the one before or whole.
#[inline]
fn read_word(reader: &mut Reader<'_>, encoding: u8, before: i64) -> Result<i64, FeatureError> {
    if encoding == WHOLE { reader.fixed() } else { Ok(before.wrapping_add(reader.signed()?)) }
}

/// As [`read`], for columns without nulls.
pub(super) fn read_words(reader: &mut Reader<'_>, len: usize) -> Result<Vec<i64>, FeatureError> {
    match read(reader, len, DataType::Int, 0)? {
        Cells::Words { words, valid } if valid.is_empty() => Ok(words),
        Cells::Same { len: 0, .. } => Ok(Vec::new()),
        Cells::Same { cell: Some(word), len, .. } => Ok(vec![word; len]),
        _ => Err(NO_SENSE),
    }
}

pub(super) fn check(word: i64, data_type: DataType, texts: usize) -> Result<(), FeatureError> {
    let sensible = match data_type {
        DataType::Bool => matches!(word, 0 | 1),
        DataType::Text => usize::try_from(word).is_ok_and(|code| code < texts),
        DataType::Date => i32::try_from(word).is_ok(),
        DataType::Int | DataType::Float | DataType::Timestamp => true,
    };
    if sensible { Ok(()) } else { Err(NO_SENSE) }
}

fn varint_size(difference: i64) -> usize {
    (64 - (zigzag(difference) | 1).leading_zeros() as usize).div_ceil(7)
}
