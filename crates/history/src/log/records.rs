use super::{MAX_PAYLOAD_BYTES, format};
use crate::HistoryError;

/// Records as they will lie in a segment, framed by whoever appends them before any lock is taken.
#[derive(Debug)]
pub struct Records {
    /// A group whose head is still to be written.
    group: Vec<u8>,
}

impl Default for Records {
    fn default() -> Records {
        Records::with_capacity(0)
    }
}

impl Records {
    pub fn with_capacity(bytes: usize) -> Records {
        let mut group = Vec::with_capacity(bytes);
        format::begin_group(&mut group);
        Records { group }
    }

    /// Adds the record whose payload `write` appends. Refuses one that is too long, or one too many for a single append,
    /// and is then as it was.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), HistoryError> {
        let start = self.group.len();
        format::begin_record(&mut self.group);
        write(&mut self.group);
        let bytes = format::end_record(&mut self.group, start);
        let (bytes, limit) = match bytes {
            ..=MAX_PAYLOAD_BYTES => (self.group.len(), format::MAX_GROUP_BYTES),
            _ => (bytes, MAX_PAYLOAD_BYTES),
        };
        if bytes > limit {
            self.group.truncate(start);
            return Err(HistoryError::RecordTooLong { bytes, limit });
        }
        Ok(())
    }

    /// The records of these payloads.
    pub fn of<'p>(payloads: impl IntoIterator<Item = &'p [u8]>) -> Result<Records, HistoryError> {
        let mut records = Records::default();
        for payload in payloads {
            // Before it is copied.
            if payload.len() > MAX_PAYLOAD_BYTES {
                return Err(HistoryError::RecordTooLong { bytes: payload.len(), limit: MAX_PAYLOAD_BYTES });
            }
            records.push(|bytes| bytes.extend_from_slice(payload))?;
        }
        Ok(records)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        format::records_of(&self.group)
    }

    /// The group of these records alone.
    pub(super) fn into_group(mut self) -> Vec<u8> {
        format::end_group(&mut self.group);
        self.group
    }
}
