/// Told how work goes: the command line draws bars, a server logs, a test listens to nothing.
pub trait Observer: Send + Sync {
    /// Work begins whose amount is known (`total`, in `unit`s) or not yet (0).
    fn begin(&self, title: &str, total: u64, unit: Unit) -> Box<dyn Stage>;
    /// One line a person should see.
    fn say(&self, line: &str);
}

/// One piece of work under way; dropping it ends it.
pub trait Stage: Send + Sync {
    fn expect(&self, total: u64);
    fn advance(&self, by: u64);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Rows,
    Bytes,
    Rounds,
    Keys,
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn begin(&self, _: &str, _: u64, _: Unit) -> Box<dyn Stage> {
        Box::new(Silent)
    }

    fn say(&self, _: &str) {}
}

impl Stage for Silent {
    fn expect(&self, _: u64) {}

    fn advance(&self, _: u64) {}
}

/// Hands the reading of a source's bytes on to a stage.
pub(crate) struct Reading(pub(crate) Box<dyn Stage>);

impl karat_query::Progress for Reading {
    fn expect_bytes(&self, bytes: u64) {
        self.0.expect(bytes);
    }

    fn bytes(&self, more: u64) {
        self.0.advance(more);
    }

    fn rows(&self, _: u64) {}
}
