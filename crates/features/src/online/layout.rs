//! The bytes of a state, versions 1 and 2.
//!
//! What answers read: `flags u8 (1: checkpoint), events, folded, identities` then, as columns (see [`super::columns`]): texts;
//! event, known, commit, removed, identity codes; arguments; nulled; the checkpoint with its horizon. And what only a
//! merge reads: sequence, identity values, hashes of folded identities.
//!
//! Version 1 is both behind each other: `1 u8, crc32 u32 of all that follows`. In version 2, for states whose second part is
//! long and the longer one, the first has a head of its own, [`HEADED`]: `"\x02KSH", its length u32 from the very beginning, crc32 u32 of length and
//! part`; the second follows as `crc32 u32 of all that follows`, the texts that only it has, and the rest.

use karat_core::{DataType, HEADED};

use super::bytes::{CUT_SHORT, NO_SENSE, Reader, Writer};
use super::checkpoint::{self, Checkpoint};
use super::columns;
use crate::error::FeatureError;
use crate::events::{Cells, KeyEvents, Texts};
use crate::view::Plan;

const TOGETHER: u8 = 1;
const HAS_CHECKPOINT: u8 = 1;
/// Before what answers read, in either version.
const TOGETHER_BYTES: usize = 5;
const HEADED_BYTES: usize = 12;
/// A second part of more bytes is worth a head.
const LONG: usize = 1024;

/// A decoded state, without what only merges need.
#[derive(Debug)]
pub(super) struct State<'a> {
    pub(super) events: KeyEvents,
    pub(super) texts: Texts,
    pub(super) horizon: i64,
    pub(super) checkpoint: Option<Checkpoint>,
    rest: Rest<'a>,
}

/// What only a merge reads.
#[derive(Debug, Clone)]
enum Rest<'a> {
    Together(Reader<'a>),
    /// With its checksum and texts.
    Apart(&'a [u8]),
}

/// What a merge reads beside.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) sequence: Option<Cells>,
    pub(super) identity: Vec<Cells>,
    /// Sorted hashes of the identities whose records were folded.
    pub(super) folded: Vec<u64>,
}

/// What is written: some events of a table, in their order.
pub(super) struct Draft<'a> {
    pub(super) plan: &'a Plan,
    pub(super) texts: &'a Texts,
    pub(super) events: &'a KeyEvents,
    /// Which of `events`, the folded ones first.
    pub(super) rows: &'a [u32],
    pub(super) folded: usize,
    pub(super) sequence: Option<&'a dyn Fn(usize) -> Option<i64>>,
    pub(super) identity: Vec<Box<dyn Fn(usize) -> Option<i64> + 'a>>,
    pub(super) folded_identities: &'a [u64],
    pub(super) horizon: i64,
    pub(super) checkpoint: Option<&'a Checkpoint>,
}

/// Gives texts codes of the state's own.
struct Codes<'a> {
    texts: &'a Texts,
    own: hashbrown::HashMap<i64, i64>,
    written: Writer,
}

impl Codes<'_> {
    fn code(&mut self, global: i64) -> i64 {
        let next = self.own.len() as i64;
        *self.own.entry(global).or_insert_with(|| {
            self.written.slice(self.texts.get(global as u32));
            next
        })
    }
}

pub(super) fn write(draft: &Draft<'_>) -> Vec<u8> {
    let (plan, events, rows) = (draft.plan, draft.events, draft.rows);
    let len = rows.len();
    let mut codes = Codes { texts: draft.texts, own: hashbrown::HashMap::new(), written: Writer::default() };
    let mut body = Writer::default();
    let row = |index: usize| rows[index] as usize;
    columns::write(&mut body, len, |index| Some(events.event_time[row(index)]));
    columns::write(&mut body, len, |index| Some(events.known_time[row(index)]));
    columns::write(&mut body, len, |index| Some(events.commit[row(index)]));
    columns::write(&mut body, len, |index| Some(i64::from(events.removed[row(index)])));
    let mut identities = hashbrown::HashMap::new();
    let identity: Vec<i64> = (0..len)
        .map(|index| {
            let next = identities.len() as i64;
            *identities.entry(events.identity[row(index)]).or_insert(next)
        })
        .collect();
    columns::write(&mut body, len, |index| Some(identity[index]));
    let cells = |body: &mut Writer, codes: &mut Codes<'_>, data_type: DataType, cell: &dyn Fn(usize) -> Option<i64>| {
        if data_type == DataType::Text {
            let own: Vec<Option<i64>> = (0..len).map(|index| cell(row(index)).map(|word| codes.code(word))).collect();
            columns::write(body, len, |index| own[index]);
        } else {
            columns::write(body, len, |index| cell(row(index)));
        }
    };
    for (argument, column) in plan.arguments.iter().zip(&events.arguments) {
        cells(&mut body, &mut codes, argument.data_type, &|row| column.get(row));
    }
    if let Some(nulled) = &events.nulled {
        cells(&mut body, &mut codes, DataType::Text, &|row| nulled.get(row));
    }
    if let Some(checkpoint) = draft.checkpoint {
        body.fixed(draft.horizon);
        checkpoint::write(&mut body, checkpoint, plan, draft.texts, &mut |word| codes.code(word));
    }
    let (own, own_bytes) = (codes.own.len(), codes.written.bytes.len());
    let mut rest = Writer::default();
    if let (Some(cell), Some(column)) = (draft.sequence, &plan.sequence) {
        cells(&mut rest, &mut codes, column.data_type, cell);
    }
    for (cell, column) in draft.identity.iter().zip(&plan.identity) {
        cells(&mut rest, &mut codes, column.data_type, cell);
    }
    rest.unsigned(draft.folded_identities.len() as u64);
    draft.folded_identities.iter().for_each(|hash| rest.fixed(*hash as i64));

    let (texts, rest_texts) = codes.written.bytes.split_at(own_bytes);
    let read = texts.len() + body.bytes.len();
    let behind = rest_texts.len() + rest.bytes.len();
    let is_apart = behind > read.max(LONG) && read < 1 << 31;
    let mut whole = Writer::default();
    if is_apart {
        whole.bytes.extend(HEADED);
        whole.bytes.resize(HEADED_BYTES, 0);
    } else {
        whole.byte(TOGETHER);
        whole.bytes.resize(TOGETHER_BYTES, 0);
    }
    whole.byte(if draft.checkpoint.is_some() { HAS_CHECKPOINT } else { 0 });
    whole.unsigned(len as u64);
    whole.unsigned(draft.folded as u64);
    whole.unsigned(identities.len() as u64);
    whole.unsigned(if is_apart { own } else { codes.own.len() } as u64);
    whole.bytes.extend(texts);
    if !is_apart {
        whole.bytes.extend(rest_texts);
        whole.bytes.extend(body.bytes);
        whole.bytes.extend(rest.bytes);
        let sum = crc32fast::hash(&whole.bytes[TOGETHER_BYTES..]);
        whole.bytes[1..TOGETHER_BYTES].copy_from_slice(&sum.to_le_bytes());
        return whole.bytes;
    }
    whole.bytes.extend(body.bytes);
    let head = u32::try_from(whole.bytes.len()).expect("it is little more than 2 GiB").to_le_bytes();
    whole.bytes[HEADED.len()..][..4].copy_from_slice(&head);
    let sum = head_sum(head, &whole.bytes);
    whole.bytes[HEADED.len() + 4..HEADED_BYTES].copy_from_slice(&sum.to_le_bytes());
    let mut apart = Writer::default();
    apart.unsigned((codes.own.len() - own) as u64);
    apart.bytes.extend(rest_texts);
    apart.bytes.extend(rest.bytes);
    whole.bytes.extend(crc32fast::hash(&apart.bytes).to_le_bytes());
    whole.bytes.extend(apart.bytes);
    whole.bytes
}

/// Of a head with what stands before it.
fn head_sum(length: [u8; 4], head: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(&head[HEADED_BYTES..]);
    hasher.finalize()
}

const DAMAGED: FeatureError = FeatureError::Corrupt("its checksum does not agree");

/// What answers read, its checksum checked, and what stands behind it, where it has a head of its own.
fn split(bytes: &[u8]) -> Result<(Reader<'_>, Option<&[u8]>), FeatureError> {
    let mut reader = Reader::new(bytes);
    if let Some(rest) = bytes.strip_prefix(&HEADED) {
        let length = *rest.first_chunk::<4>().ok_or(CUT_SHORT)?;
        let (head, behind) = bytes.split_at_checked(u32::from_le_bytes(length) as usize).ok_or(CUT_SHORT)?;
        let sum = head.get(HEADED.len() + 4..HEADED_BYTES).ok_or(CUT_SHORT)?;
        if head_sum(length, head).to_le_bytes() != sum {
            return Err(DAMAGED);
        }
        return Ok((Reader::new(&head[HEADED_BYTES..]), Some(behind)));
    }
    if reader.byte()? != TOGETHER {
        return Err(FeatureError::Corrupt("its version is unknown"));
    }
    check(reader.take(4)?, &bytes[TOGETHER_BYTES..])?;
    Ok((reader, None))
}

fn check(sum: &[u8], of: &[u8]) -> Result<(), FeatureError> {
    if crc32fast::hash(of).to_le_bytes() == sum { Ok(()) } else { Err(DAMAGED) }
}

fn read_texts(reader: &mut Reader<'_>, texts: &mut Texts) -> Result<(), FeatureError> {
    let count = reader.count(reader.remaining())?;
    for _ in 0..count {
        let text = reader.slice()?;
        std::str::from_utf8(text).map_err(|_| NO_SENSE)?;
        texts.append(text);
    }
    Ok(())
}

pub(super) fn read<'a>(bytes: &'a [u8], plan: &Plan) -> Result<State<'a>, FeatureError> {
    let (mut reader, behind) = split(bytes)?;
    let has_checkpoint = match reader.byte()? {
        0 => false,
        HAS_CHECKPOINT => true,
        _ => return Err(NO_SENSE),
    };
    // A constant column is two bytes whatever its length, so the bytes do not bound the number of events; this does.
    let len = reader.count(1 << 26)?;
    let folded = reader.count(len)?;
    let identities = reader.count(len)?;
    let mut texts = Texts::default();
    read_texts(&mut reader, &mut texts)?;
    let count = texts.len();
    let event_time = columns::read_words(&mut reader, len)?;
    let known_time = columns::read_words(&mut reader, len)?;
    let commit = columns::read_words(&mut reader, len)?;
    let removed = match columns::read(&mut reader, len, DataType::Bool, 0)? {
        Cells::Flags(flags) => flags.into_iter().map(|flag| flag == 1).collect::<Vec<bool>>(),
        Cells::Same { len: 0, .. } => Vec::new(),
        Cells::Same { cell: Some(word), len, .. } => vec![word == 1; len],
        Cells::Words { .. } | Cells::Same { cell: None, .. } => return Err(NO_SENSE),
    };
    let identity = columns::read_words(&mut reader, len)?;
    if !identity.iter().all(|code| usize::try_from(*code).is_ok_and(|code| code < identities)) {
        return Err(NO_SENSE);
    }
    let identity: Vec<u32> = identity.into_iter().map(|code| code as u32).collect();
    // Collecting results, the standard library does not ask how many there will be.
    let mut arguments = Vec::with_capacity(plan.arguments.len());
    for argument in &plan.arguments {
        arguments.push(columns::read(&mut reader, len, argument.data_type, count)?);
    }
    let nulled = match plan.nulled.is_empty() {
        true => None,
        false => Some(columns::read(&mut reader, len, DataType::Text, count)?),
    };
    if !event_time.is_sorted() {
        return Err(NO_SENSE);
    }
    let plain = identities == len && !removed.contains(&true);
    let events = KeyEvents { event_time, known_time, commit, removed, identity, arguments, nulled, folded, plain };
    let mut horizon = i64::MIN;
    let mut checkpoint = None;
    if has_checkpoint {
        horizon = reader.fixed()?;
        checkpoint = Some(checkpoint::read(&mut reader, plan, count)?);
    }
    let rest = match behind {
        None => Rest::Together(reader),
        Some(behind) if reader.is_at_end() => Rest::Apart(behind),
        Some(_) => return Err(NO_SENSE),
    };
    Ok(State { events, texts, horizon, checkpoint, rest })
}

impl State<'_> {
    /// The texts that only this part has join the others.
    pub(super) fn order(&mut self, plan: &Plan) -> Result<Order, FeatureError> {
        let mut reader = match self.rest.clone() {
            Rest::Together(reader) => reader,
            Rest::Apart(bytes) => {
                let (sum, rest) = bytes.split_at_checked(4).ok_or(CUT_SHORT)?;
                check(sum, rest)?;
                let mut reader = Reader::new(rest);
                read_texts(&mut reader, &mut self.texts)?;
                reader
            }
        };
        let (len, texts) = (self.events.len(), self.texts.len());
        let sequence = match &plan.sequence {
            Some(column) => Some(columns::read(&mut reader, len, column.data_type, texts)?),
            None => None,
        };
        let identity = plan
            .identity
            .iter()
            .map(|column| columns::read(&mut reader, len, column.data_type, texts))
            .collect::<Result<Vec<_>, _>>()?;
        let count = reader.count(reader.remaining() / 8)?;
        let folded = (0..count).map(|_| Ok(reader.fixed()? as u64)).collect::<Result<Vec<_>, FeatureError>>()?;
        if reader.is_at_end() { Ok(Order { sequence, identity, folded }) } else { Err(NO_SENSE) }
    }
}
