//! Small numbers in few bytes. Reading checks every length: nothing here panics, whatever the bytes.

use crate::error::FeatureError;

pub(super) const CUT_SHORT: FeatureError = FeatureError::Corrupt("it is cut short");
pub(super) const NO_SENSE: FeatureError = FeatureError::Corrupt("it makes no sense");

#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn fixed(&mut self, word: i64) {
        self.bytes.extend(word.to_le_bytes());
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.unsigned(zigzag(value));
    }

    pub(super) fn slice(&mut self, bytes: &[u8]) {
        self.unsigned(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], FeatureError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FeatureError> {
        let (byte, rest) = self.rest.split_first().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn fixed(&mut self) -> Result<i64, FeatureError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(i64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(super) fn unsigned(&mut self) -> Result<u64, FeatureError> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(CUT_SHORT)
    }

    #[inline]
    pub(super) fn signed(&mut self) -> Result<i64, FeatureError> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things of at least a byte each, or bits: bounded by what is left, so that memory is.
    pub(super) fn count(&mut self, limit: usize) -> Result<usize, FeatureError> {
        let count = self.unsigned()?;
        usize::try_from(count).ok().filter(|count| *count <= limit).ok_or(NO_SENSE)
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn slice(&mut self) -> Result<&'a [u8], FeatureError> {
        let len = self.count(self.rest.len())?;
        self.take(len)
    }
}
