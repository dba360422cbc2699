use super::{MAX_PAYLOAD_BYTES, format};
use crate::HistoryError;

/// Records as they will lie in a segment, framed by whoever appends them before any lock is taken.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
}

impl Records {
    pub fn with_capacity(bytes: usize) -> Records {
        Records { bytes: Vec::with_capacity(bytes) }
    }

    /// Adds the record whose payload `write` appends. Refuses one that is too long, and is then as it was.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), HistoryError> {
        let start = self.bytes.len();
        format::begin_record(&mut self.bytes);
        write(&mut self.bytes);
        let bytes = format::end_record(&mut self.bytes, start);
        if bytes > MAX_PAYLOAD_BYTES {
            self.bytes.truncate(start);
            return Err(HistoryError::RecordTooLong { bytes, limit: MAX_PAYLOAD_BYTES });
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
        &self.bytes
    }
}
