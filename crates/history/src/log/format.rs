//! A segment's bytes: `"KARATLOG" | version u32 | crc32 u32 of the twelve bytes`, then groups `length u32 | crc32 u32 |
//! records`, each record `length u32 | payload`, all little-endian. A group is what was written at once, so it is there
//! whole or not at all. Its checksum covers its length too, so that zeros are no group; records have none of their own, so
//! that no part of a group looks like one.
//!
//! In format 1, which is still read, a group is one record and holds its payload only.

use std::fmt;

pub(super) const FORMAT_VERSION: u32 = 2;
/// Groups of one record.
const SINGLE: u32 = 1;
const MAGIC: &[u8; 8] = b"KARATLOG";
pub(super) const HEADER_BYTES: usize = 16;
const GROUP_HEAD: usize = 8;
const RECORD_HEAD: usize = 4;
/// Disks write sectors of at least this many bytes, whole or not at all.
const SECTOR: usize = 512;
/// How many bytes are put through checksums to find groups behind a damaged one: a fraction of a second.
const SEARCH_BYTES: usize = 1 << 30;

/// The longest payload a log takes.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 20;
/// And the longest group, with its head.
pub(super) const MAX_GROUP_BYTES: usize = 1 << 30;

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

/// The version of a checked header.
pub(super) fn version(header: &[u8]) -> u32 {
    u32_at(header, 8)
}

/// Makes room for a group's head; its records are appended next.
pub(super) fn begin_group(bytes: &mut Vec<u8>) {
    bytes.extend([0; GROUP_HEAD]);
}

/// What was appended since [`begin_group`].
pub(super) fn records_of(group: &[u8]) -> &[u8] {
    group.get(GROUP_HEAD..).unwrap_or_default()
}

/// Writes the head of a group that is complete. It fits [`MAX_GROUP_BYTES`]: the caller checked.
pub(super) fn end_group(group: &mut [u8]) {
    let (head, records) = group.split_at_mut(GROUP_HEAD);
    head[..4].copy_from_slice(&(records.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&checksum(records).to_le_bytes());
}

/// Makes room for a record's head; its payload is appended next.
pub(super) fn begin_record(bytes: &mut Vec<u8>) {
    bytes.extend([0; RECORD_HEAD]);
}

/// Writes the head of the record that begins at `start` and ends here; the payload's length, which the caller checks
/// against [`MAX_PAYLOAD_BYTES`].
pub(super) fn end_record(bytes: &mut [u8], start: usize) -> usize {
    let (head, payload) = bytes[start..].split_at_mut(RECORD_HEAD);
    head.copy_from_slice(&(payload.len() as u32).to_le_bytes());
    payload.len()
}

fn checksum(payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Where reading a segment goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    offset: usize,
    /// Of the group that `offset` lies in; the same where a group begins.
    end: usize,
}

impl Place {
    pub(super) const START: Place = Place::group(HEADER_BYTES);

    const fn group(offset: usize) -> Place {
        Place { offset, end: offset }
    }

    /// Where the whole groups read so far end, or the one under way begins.
    pub(super) fn offset(self) -> usize {
        self.offset
    }
}

/// How a segment goes on at some place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Record {
        payload: &'a [u8],
        next: Place,
    },
    /// Nothing after this.
    End,
    /// The rest is a group whose writing was cut short.
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
            Damage::Checksum { offset } => write!(f, "what was appended at byte {offset} fails its checksum"),
            Damage::Length { offset } => write!(f, "what was appended at byte {offset} has a wrong length"),
        }
    }
}

/// What stands at a place of a segment, whose header was checked.
pub(super) fn step(segment: &[u8], place: Place) -> Step<'_> {
    if place.offset < place.end {
        return within(segment, place);
    }
    let rest = &segment[place.offset..];
    if rest.is_empty() {
        return Step::End;
    }
    let Some(group) = whole(rest) else { return judge(rest, place.offset) };
    let end = place.offset + GROUP_HEAD + group.len();
    match version(segment) {
        SINGLE => Step::Record { payload: group, next: Place::group(end) },
        // Nobody writes a group of nothing.
        _ if group.is_empty() => Step::Corrupt(Damage::Length { offset: place.offset }),
        _ => within(segment, Place { offset: place.offset + GROUP_HEAD, end }),
    }
}

/// The next record of a group, whose checksum holds.
fn within(segment: &[u8], Place { offset, end }: Place) -> Step<'_> {
    let group = &segment[offset..end];
    let payload = group.get(..RECORD_HEAD).and_then(|head| {
        let length = u32_at(head, 0) as usize;
        group.get(RECORD_HEAD..RECORD_HEAD.checked_add(length)?)
    });
    match payload {
        Some(payload) => Step::Record { payload, next: Place { offset: offset + RECORD_HEAD + payload.len(), end } },
        None => Step::Corrupt(Damage::Length { offset }),
    }
}

/// The group at the start of `bytes`, if it is there whole and unharmed.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.get(..GROUP_HEAD)?;
    let length = u32_at(head, 0) as usize;
    if length > MAX_GROUP_BYTES {
        return None;
    }
    let records = bytes.get(GROUP_HEAD..GROUP_HEAD + length)?;
    (checksum(records) == u32_at(head, 4)).then_some(records)
}

/// Tells a torn tail, which no append was acknowledged for, from damage to records that were.
///
/// A killed writer leaves a prefix of one group at the end of the file. A power cut may also leave sectors of zeros
/// anywhere in the last group, as the file's length reaches the disk before its content, and one part of it before
/// another (the rule of etcd's write-ahead log). All else is damage, and so is all that whole groups follow. A prefix that
/// ends where a group of its own length and checksum would is a whole group whose length was changed.
fn judge(rest: &[u8], offset: usize) -> Step<'_> {
    if rest.len() < GROUP_HEAD {
        return Step::Torn;
    }
    let followed = holds_a_group(&rest[1..]);
    let length = u32_at(rest, 0) as usize;
    let cut_short = length > rest.len() - GROUP_HEAD;
    if followed {
        return Step::Corrupt(if cut_short { Damage::Length { offset } } else { Damage::Checksum { offset } });
    }
    if zero_sector(rest, offset) {
        return Step::Torn;
    }
    if !cut_short {
        return Step::Corrupt(Damage::Checksum { offset });
    }
    if length > MAX_GROUP_BYTES || checksum(&rest[GROUP_HEAD..]) == u32_at(rest, 4) {
        return Step::Corrupt(Damage::Length { offset });
    }
    Step::Torn
}

/// Whether a whole group begins anywhere in `bytes`, as far as a bounded search finds one.
fn holds_a_group(bytes: &[u8]) -> bool {
    let mut budget = SEARCH_BYTES;
    for start in 0..bytes.len() {
        if whole(&bytes[start..]).is_some() {
            return true;
        }
        let tried = bytes.get(start..start + GROUP_HEAD).map_or(0, |head| u32_at(head, 0) as usize);
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

    /// A segment of groups of payloads.
    fn segment(groups: &[&[&[u8]]]) -> Vec<u8> {
        groups.iter().fold(header().to_vec(), |mut bytes, payloads| {
            let mut group = Vec::new();
            begin_group(&mut group);
            for payload in *payloads {
                let start = group.len();
                begin_record(&mut group);
                group.extend_from_slice(payload);
                end_record(&mut group, start);
            }
            end_group(&mut group);
            bytes.extend(group);
            bytes
        })
    }

    /// As Karat wrote it before there were groups.
    fn format_1(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"KARATLOG\x01\0\0\0".to_vec();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        for payload in payloads {
            let mut record = vec![0; GROUP_HEAD];
            record.extend_from_slice(payload);
            end_group(&mut record);
            bytes.extend(record);
        }
        bytes
    }

    /// The payloads before the end, and how it ends.
    fn walk(bytes: &[u8]) -> (Vec<&[u8]>, Step<'_>) {
        let (mut payloads, mut place) = (Vec::new(), Place::START);
        loop {
            match step(bytes, place) {
                Step::Record { payload, next } => {
                    payloads.push(payload);
                    place = next;
                }
                end => return (payloads, end),
            }
        }
    }

    const GROUPS: [&[&[u8]]; 4] = [&[b"first"], &[b"", b"the third one is longer"], &[b""], &[b"fourth", b"fifth"]];
    const PAYLOADS: [&[u8]; 4] = [b"first", b"", b"the third one is longer", b"fourth"];

    /// Of each number of whole parts: where they end, and how many payloads there are.
    fn ends(parts: usize, bytes: impl Fn(usize) -> Vec<u8>) -> Vec<(usize, usize)> {
        let end = |n| (bytes(n).len(), walk(&bytes(n)).0.len());
        (0..=parts).map(end).collect()
    }

    fn cut_at_every_byte(bytes: &[u8], ends: &[(usize, usize)]) {
        let all = walk(bytes).0;
        for cut in HEADER_BYTES..=bytes.len() {
            let (end, whole) = *ends.iter().rfind(|(end, _)| *end <= cut).unwrap();
            let (payloads, step) = walk(&bytes[..cut]);
            assert_eq!(payloads, &all[..whole], "cut at {cut}");
            assert_eq!(step, if end == cut { Step::End } else { Step::Torn }, "cut at {cut}");
        }
        for cut in 0..HEADER_BYTES {
            assert_eq!(check_header(&bytes[..cut]), Err(HeaderProblem::Damaged));
        }
    }

    #[test]
    fn a_cut_at_every_byte_gives_the_whole_groups_before_it() {
        cut_at_every_byte(&segment(&GROUPS), &ends(GROUPS.len(), |n| segment(&GROUPS[..n])));
        cut_at_every_byte(&format_1(&PAYLOADS), &ends(PAYLOADS.len(), |n| format_1(&PAYLOADS[..n])));
    }

    #[test]
    fn every_flipped_bit_is_damage_and_never_a_torn_tail() {
        for bytes in [segment(&GROUPS), format_1(&PAYLOADS)] {
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
    }

    #[test]
    fn sectors_that_never_reached_the_disk_are_a_torn_tail() {
        let payload = [0xab; 3000];
        for bytes in [segment(&[&[b"first"], &[&payload]]), format_1(&[b"first", &payload])] {
            let mut lost = bytes.clone();
            lost[1024..1536].fill(0);
            assert_eq!(walk(&lost), (vec![b"first".as_slice()], Step::Torn));
            let mut lost = bytes.clone();
            lost.extend([0; 5000]);
            assert_eq!(walk(&lost), (vec![b"first".as_slice(), &payload], Step::Torn));
        }
        // But not in the middle.
        for mut bytes in [segment(&[&[b"first"], &[&payload], &[b"third"]]), format_1(&[b"first", &payload, b"third"])]
        {
            bytes[1024..1536].fill(0);
            assert!(matches!(walk(&bytes).1, Step::Corrupt(_)));
        }
    }

    #[test]
    fn a_hole_in_the_last_group_is_a_torn_tail_whatever_records_follow_it() {
        let records: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n + 1; 100]).collect();
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let bytes = segment(&[&[b"first"], &records]);
        for sector in 1..bytes.len() / SECTOR {
            let mut lost = bytes.clone();
            lost[sector * SECTOR..(sector + 1) * SECTOR].fill(0);
            assert_eq!(walk(&lost), (vec![b"first".as_slice()], Step::Torn), "sector {sector}");
            // What was acknowledged behind it says that this was too.
            lost.extend(&segment(&[&[b"a group behind it"]])[HEADER_BYTES..]);
            assert!(matches!(walk(&lost).1, Step::Corrupt(Damage::Checksum { .. })), "sector {sector}");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = header();
        bytes[8] = 3;
        assert_eq!(check_header(&bytes), Err(HeaderProblem::Damaged));
        let crc = crc32fast::hash(&bytes[..12]);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(check_header(&bytes), Err(HeaderProblem::Newer(3)));
    }
}
