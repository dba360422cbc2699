//! Keys as bytes that sort as the values do: what online stores are keyed by.
//!
//! Each value is a tag and a body: bool one byte; int, float and timestamp eight, date four, big-endian with the sign
//! turned; text ends with two zero bytes, and a zero byte inside it is followed by 255.

use karat_core::{ErrorKind, Instant, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no key")]
pub struct KeyError;

impl KeyError {
    pub fn kind(self) -> ErrorKind {
        ErrorKind::Corrupt
    }
}

const NULL: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const TEXT: u8 = 4;
const DATE: u8 = 5;
const TIMESTAMP: u8 = 6;
const SIGN: u64 = 1 << 63;

pub fn encode_key<'v>(values: impl IntoIterator<Item = &'v Value>) -> Vec<u8> {
    let values = values.into_iter();
    let mut key = Vec::with_capacity(values.size_hint().0 * 9);
    for value in values {
        match value {
            Value::Null => key.push(NULL),
            Value::Bool(flag) => key.extend([BOOL, u8::from(*flag)]),
            Value::Int(int) => push(&mut key, INT, *int as u64 ^ SIGN),
            Value::Float(float) => push(&mut key, FLOAT, float_order(*float)),
            Value::Text(text) => {
                key.push(TEXT);
                for byte in text.bytes() {
                    key.push(byte);
                    if byte == 0 {
                        key.push(255);
                    }
                }
                key.extend([0, 0]);
            }
            Value::Date(days) => {
                key.push(DATE);
                key.extend((*days as u32 ^ 1 << 31).to_be_bytes());
            }
            Value::List(_) => unreachable!("no key column holds lists"),
            Value::Timestamp(instant) => push(&mut key, TIMESTAMP, instant.micros() as u64 ^ SIGN),
        }
    }
    key
}

pub fn decode_key(key: &[u8]) -> Result<Vec<Value>, KeyError> {
    let mut values = Vec::new();
    let mut rest = key;
    while let Some((tag, body)) = rest.split_first() {
        let (value, after) = match *tag {
            NULL => (Value::Null, body),
            BOOL => match body.split_first() {
                Some((flag @ (0 | 1), after)) => (Value::Bool(*flag == 1), after),
                _ => return Err(KeyError),
            },
            INT => word(body).map(|(word, after)| (Value::Int((word ^ SIGN) as i64), after))?,
            FLOAT => word(body).map(|(word, after)| (Value::Float(float_of(word)), after))?,
            TEXT => text(body)?,
            DATE => match body.split_first_chunk::<4>() {
                Some((bytes, after)) => (Value::Date((u32::from_be_bytes(*bytes) ^ 1 << 31) as i32), after),
                None => return Err(KeyError),
            },
            TIMESTAMP => {
                word(body).map(|(word, after)| (Value::Timestamp(Instant::from_micros((word ^ SIGN) as i64)), after))?
            }
            _ => return Err(KeyError),
        };
        values.push(value);
        rest = after;
    }
    Ok(values)
}

fn push(key: &mut Vec<u8>, tag: u8, word: u64) {
    key.push(tag);
    key.extend(word.to_be_bytes());
}

fn word(body: &[u8]) -> Result<(u64, &[u8]), KeyError> {
    let (bytes, after) = body.split_first_chunk::<8>().ok_or(KeyError)?;
    Ok((u64::from_be_bytes(*bytes), after))
}

fn text(body: &[u8]) -> Result<(Value, &[u8]), KeyError> {
    let mut bytes = Vec::new();
    let mut at = 0;
    loop {
        match (body.get(at), body.get(at + 1)) {
            (Some(0), Some(0)) => break,
            (Some(0), Some(255)) => {
                bytes.push(0);
                at += 2;
            }
            (Some(0), _) | (None, _) => return Err(KeyError),
            (Some(byte), _) => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError)?;
    Ok((Value::text(text), &body[at + 2..]))
}

/// IEEE's total order as unsigned integers.
fn float_order(float: f64) -> u64 {
    let bits = float.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn float_of(order: u64) -> f64 {
    f64::from_bits(if order & SIGN == 0 { !order } else { order & !SIGN })
}

#[cfg(test)]
mod tests {
    use super::*;
    use karat_core::{Column, DataType, KeyView, key};
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
            "[a-c\u{0}\u{1}é]{0,4}".prop_map(Value::text),
            any::<i32>().prop_map(Value::Date),
            any::<i64>().prop_map(|micros| Value::Timestamp(Instant::from_micros(micros))),
        ]
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_values_and_come_back(
            a in prop::collection::vec(value(), 1..4),
            b in prop::collection::vec(value(), 1..4),
        ) {
            prop_assert_eq!(encode_key(&a).cmp(&encode_key(&b)), a.cmp(&b));
            prop_assert_eq!(decode_key(&encode_key(&a)).unwrap(), a);
        }

        #[test]
        fn keys_come_back_from_text_and_from_json(branch in any::<String>(), account in any::<i64>(), days in -90_000..90_000_i32) {
            let columns = [("branch", DataType::Text), ("account", DataType::Int), ("opened", DataType::Date)]
                .map(|(name, data_type)| Column::new(name, data_type));
            let key = vec![Value::text(branch), Value::Int(account), Value::Date(days)];
            let view = KeyView::new(&columns, &key);
            prop_assert_eq!(&key::parse(&columns, &view.to_string()).unwrap(), &key);
            let json = key::to_json(&columns, &key);
            prop_assert_eq!(&serde_json::to_value(view).unwrap(), &json);
            prop_assert_eq!(&key::from_json(&columns, &json).unwrap(), &key);
        }

        #[test]
        fn any_bytes_are_a_key_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(values) = decode_key(&bytes) {
                prop_assert_eq!(encode_key(&values), bytes);
            }
        }
    }
}
