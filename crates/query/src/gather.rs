use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;

/// Small batches on their way to something that takes large ones.
#[derive(Debug)]
pub struct Gathered {
    /// As much as waits at most.
    rows: usize,
    bytes: usize,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
}

impl Gathered {
    /// Batches wait until together they have so many rows or bytes.
    pub fn up_to(rows: usize, bytes: usize) -> Gathered {
        Gathered { rows, bytes, waiting: Vec::new(), waiting_rows: 0, waiting_bytes: 0 }
    }

    /// Takes a batch, and gives all that wait as one once they are enough.
    pub fn push(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        self.waiting_rows += batch.num_rows();
        self.waiting_bytes += batch.get_array_memory_size();
        self.waiting.push(batch);
        if self.waiting_rows >= self.rows || self.waiting_bytes >= self.bytes { self.take() } else { Ok(None) }
    }

    /// What waits, as one batch.
    pub fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        (self.waiting_rows, self.waiting_bytes) = (0, 0);
        let waiting = std::mem::take(&mut self.waiting);
        match waiting.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [first, ..] => concat_batches(&first.schema(), &waiting).map(Some),
        }
    }
}
