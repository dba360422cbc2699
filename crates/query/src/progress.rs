/// Told of work as it goes on, from whichever thread does it.
pub trait Progress: Send + Sync {
    /// `bytes` are going to be read in all; told before the first row.
    fn expect_bytes(&self, bytes: u64);
    /// So many more bytes of input are read.
    fn bytes(&self, more: u64);
    /// So many more rows are read.
    fn rows(&self, more: u64);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn expect_bytes(&self, _: u64) {}
    fn bytes(&self, _: u64) {}
    fn rows(&self, _: u64) {}
}
