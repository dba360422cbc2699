//! The bytes of a state, version 1.
//!
//! `version u8, crc32 u32 of all that follows, flags u8 (1: checkpoint), events, folded, identities` then, as columns
//! (see [`super::columns`]): texts; event, known, commit, removed, identity codes; arguments; nulled; the checkpoint
//! with its horizon; and last what only a merge reads: sequence, identity values, hashes of folded identities.

use karat_core::DataType;

use super::bytes::{NO_SENSE, Reader, Writer};
use super::checkpoint::{self, Checkpoint};
use super::columns;
use crate::error::FeatureError;
use crate::events::{Cells, KeyEvents, Texts};
use crate::view::Plan;

const VERSION: u8 = 1;
const HAS_CHECKPOINT: u8 = 1;
const HEAD: usize = 5;

/// A decoded state, without what only merges need.
#[derive(Debug)]
pub(super) struct State<'a> {
    pub(super) events: KeyEvents,
    pub(super) texts: Texts,
    pub(super) horizon: i64,
    pub(super) checkpoint: Option<Checkpoint>,
    rest: Reader<'a>,
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
    if let (Some(cell), Some(column)) = (draft.sequence, &plan.sequence) {
        cells(&mut body, &mut codes, column.data_type, cell);
    }
    for (cell, column) in draft.identity.iter().zip(&plan.identity) {
        cells(&mut body, &mut codes, column.data_type, cell);
    }
    body.unsigned(draft.folded_identities.len() as u64);
    draft.folded_identities.iter().for_each(|hash| body.fixed(*hash as i64));

    let mut whole = Writer::default();
    whole.byte(VERSION);
    whole.bytes.extend([0; 4]);
    whole.byte(if draft.checkpoint.is_some() { HAS_CHECKPOINT } else { 0 });
    whole.unsigned(len as u64);
    whole.unsigned(draft.folded as u64);
    whole.unsigned(identities.len() as u64);
    whole.unsigned(codes.own.len() as u64);
    whole.bytes.extend(codes.written.bytes);
    whole.bytes.extend(body.bytes);
    let sum = crc32fast::hash(&whole.bytes[HEAD..]);
    whole.bytes[1..HEAD].copy_from_slice(&sum.to_le_bytes());
    whole.bytes
}

pub(super) fn read<'a>(bytes: &'a [u8], plan: &Plan) -> Result<State<'a>, FeatureError> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(FeatureError::Corrupt("its version is unknown"));
    }
    let sum: [u8; 4] = reader.take(4)?.try_into().expect("four bytes were taken");
    if crc32fast::hash(&bytes[HEAD..]) != u32::from_le_bytes(sum) {
        return Err(FeatureError::Corrupt("its checksum does not agree"));
    }
    let has_checkpoint = match reader.byte()? {
        0 => false,
        HAS_CHECKPOINT => true,
        _ => return Err(NO_SENSE),
    };
    // A constant column is two bytes whatever its length, so the bytes do not bound the number of events; this does.
    let len = reader.count(1 << 26)?;
    let folded = reader.count(len)?;
    let identities = reader.count(len)?;
    let count = reader.count(reader.remaining())?;
    let mut texts = Texts::default();
    for _ in 0..count {
        let text = reader.slice()?;
        std::str::from_utf8(text).map_err(|_| NO_SENSE)?;
        texts.append(text);
    }
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
    Ok(State { events, texts, horizon, checkpoint, rest: reader })
}

impl State<'_> {
    pub(super) fn order(&self, plan: &Plan) -> Result<Order, FeatureError> {
        let mut reader = self.rest.clone();
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
