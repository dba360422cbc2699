//! A segment's bytes: `"KARATLOG" | version u32 | crc32 u32 of the twelve bytes`, then records `length u32 | crc32 u32 |
//! payload`, all little-endian. A record's checksum covers its length too, so that zeros are no record.

use std::fmt;

pub(super) const FORMAT_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"KARATLOG";
pub(super) const HEADER_BYTES: usize = 16;
const RECORD_HEAD: usize = 8;
/// Disks write sectors of at least this many bytes, whole or not at all.
const SECTOR: usize = 512;
/// How many bytes are put through checksums to find records behind a damaged one: a fraction of a second.
const SEARCH_BYTES: usize = 1 << 30;

/// The longest payload a log takes.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 20;

pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderProblem {
    Newer(u32),
    Damaged,
}

pub(super) fn check_header(bytes: &[u8]) -> Result<(), HeaderProblem> {
    let Some(header) = bytes.get(..HEADER_BYTES) else { return Err(HeaderProblem::Damaged) };
    if &header[..8] != MAGIC || crc32fast::hash(&header[..12]) != u32_at(header, 12) {
        return Err(HeaderProblem::Damaged);
    }
    match u32_at(header, 8) {
        version if version > FORMAT_VERSION => Err(HeaderProblem::Newer(version)),
        _ => Ok(()),
    }
}

/// Makes room for a record's head; its payload is appended next.
pub(super) fn begin_record(bytes: &mut Vec<u8>) {
    bytes.extend([0; RECORD_HEAD]);
}

/// Writes the head of the record that begins at `start` and ends here; the payload's length, which the caller checks
/// against [`MAX_PAYLOAD_BYTES`].
pub(super) fn end_record(bytes: &mut [u8], start: usize) -> usize {
    let (head, payload) = bytes[start..].split_at_mut(RECORD_HEAD);
    head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&checksum(payload).to_le_bytes());
    payload.len()
}

fn checksum(payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// How a segment goes on at some offset.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Record {
        payload: &'a [u8],
        next: usize,
    },
    /// Nothing after this.
    End,
    /// The rest is a record whose writing was cut short.
    Torn,
    Corrupt(Damage),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    Checksum { offset: usize },
    Length { offset: usize },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Checksum { offset } => write!(f, "the record at byte {offset} fails its checksum"),
            Damage::Length { offset } => write!(f, "the record at byte {offset} has a wrong length"),
        }
    }
}

/// What stands at `offset` of a segment's bytes (those after the header, when `offset` begins there).
pub(super) fn step(segment: &[u8], offset: usize) -> Step<'_> {
    let rest = &segment[offset..];
    if rest.is_empty() {
        return Step::End;
    }
    match whole(rest) {
        Some(payload) => Step::Record { payload, next: offset + RECORD_HEAD + payload.len() },
        None => judge(rest, offset),
    }
}

/// The record at the start of `bytes`, if it is there whole and unharmed.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.get(..RECORD_HEAD)?;
    let length = u32_at(head, 0) as usize;
    if length > MAX_PAYLOAD_BYTES {
        return None;
    }
    let payload = bytes.get(RECORD_HEAD..RECORD_HEAD + length)?;
    (checksum(payload) == u32_at(head, 4)).then_some(payload)
}

/// Tells a torn tail, which no append was acknowledged for, from damage to records that were.
///
/// A killed writer leaves a prefix of one record at the end of the file. A power cut may also leave sectors of zeros,
/// as the file's length reaches the disk before its content (the rule of etcd's write-ahead log). All else is damage,
/// and so is all that whole records follow. A prefix that ends where a record of its own length and checksum would is
/// a whole record whose length was changed.
fn judge(rest: &[u8], offset: usize) -> Step<'_> {
    if rest.len() < RECORD_HEAD {
        return Step::Torn;
    }
    let followed = holds_a_record(&rest[1..]);
    let length = u32_at(rest, 0) as usize;
    let cut_short = length > rest.len() - RECORD_HEAD;
    if followed {
        return Step::Corrupt(if cut_short { Damage::Length { offset } } else { Damage::Checksum { offset } });
    }
    if zero_sector(rest, offset) {
        return Step::Torn;
    }
    if !cut_short {
        return Step::Corrupt(Damage::Checksum { offset });
    }
    if length > MAX_PAYLOAD_BYTES || checksum(&rest[RECORD_HEAD..]) == u32_at(rest, 4) {
        return Step::Corrupt(Damage::Length { offset });
    }
    Step::Torn
}

/// Whether a whole record begins anywhere in `bytes`, as far as a bounded search finds one.
fn holds_a_record(bytes: &[u8]) -> bool {
    let mut budget = SEARCH_BYTES;
    for start in 0..bytes.len() {
        if whole(&bytes[start..]).is_some() {
            return true;
        }
        let tried = bytes.get(start..start + RECORD_HEAD).map_or(0, |head| u32_at(head, 0) as usize);
        let tried = if tried <= bytes.len() - start { tried } else { 0 };
        match budget.checked_sub(tried + 1) {
            Some(left) => budget = left,
            None => return false,
        }
    }
    false
}

/// Whether a sector within `rest`, or its end from the last sector's start on, is all zeros. `offset` is where `rest`
/// begins in the file.
fn zero_sector(rest: &[u8], offset: usize) -> bool {
    let first = (SECTOR - offset % SECTOR).min(rest.len());
    let (head, others) = rest.split_at(first);
    let zeros = |part: &[u8]| part.iter().all(|byte| *byte == 0);
    if others.is_empty() { zeros(head) } else { others.chunks(SECTOR).any(zeros) }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        payloads.iter().fold(header().to_vec(), |mut bytes, payload| {
            let start = bytes.len();
            begin_record(&mut bytes);
            bytes.extend_from_slice(payload);
            end_record(&mut bytes, start);
            bytes
        })
    }

    /// The payloads before the end, and how it ends.
    fn walk(bytes: &[u8]) -> (Vec<&[u8]>, Step<'_>) {
        let (mut payloads, mut offset) = (Vec::new(), HEADER_BYTES);
        loop {
            match step(bytes, offset) {
                Step::Record { payload, next } => {
                    payloads.push(payload);
                    offset = next;
                }
                end => return (payloads, end),
            }
        }
    }

    const PAYLOADS: [&[u8]; 4] = [b"first", b"", b"the third one is longer", b"fourth"];

    #[test]
    fn a_cut_at_every_byte_gives_the_whole_records_before_it() {
        let bytes = segment(&PAYLOADS);
        let ends: Vec<usize> = (0..=PAYLOADS.len()).map(|n| segment(&PAYLOADS[..n]).len()).collect();
        for cut in HEADER_BYTES..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let (payloads, end) = walk(&bytes[..cut]);
            assert_eq!(payloads, &PAYLOADS[..whole], "cut at {cut}");
            assert_eq!(end, if ends.contains(&cut) { Step::End } else { Step::Torn }, "cut at {cut}");
        }
        for cut in 0..HEADER_BYTES {
            assert_eq!(check_header(&bytes[..cut]), Err(HeaderProblem::Damaged));
        }
    }

    #[test]
    fn every_flipped_bit_is_damage_and_never_a_torn_tail() {
        let bytes = segment(&PAYLOADS);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if bit / 8 < HEADER_BYTES {
                assert!(check_header(&damaged).is_err(), "bit {bit}");
            } else {
                assert!(matches!(walk(&damaged).1, Step::Corrupt(_)), "bit {bit}: {:?}", walk(&damaged));
            }
        }
    }

    #[test]
    fn sectors_that_never_reached_the_disk_are_a_torn_tail() {
        let payload = [0xab; 3000];
        let bytes = segment(&[b"first", &payload]);
        let mut lost = bytes.clone();
        lost[1024..1536].fill(0);
        assert_eq!(walk(&lost), (vec![b"first".as_slice()], Step::Torn));
        let mut lost = bytes.clone();
        lost.extend([0; 5000]);
        assert_eq!(walk(&lost), (vec![b"first".as_slice(), &payload], Step::Torn));
        // But not in the middle.
        let mut lost = segment(&[b"first", &payload, b"third"]);
        lost[1024..1536].fill(0);
        assert!(matches!(walk(&lost).1, Step::Corrupt(_)));
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = header();
        bytes[8] = 2;
        assert_eq!(check_header(&bytes), Err(HeaderProblem::Damaged));
        let crc = crc32fast::hash(&bytes[..12]);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(check_header(&bytes), Err(HeaderProblem::Newer(2)));
    }
}
