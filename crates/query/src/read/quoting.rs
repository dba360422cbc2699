//! Whether quotes are closed where they should be, which `csv-core` reads over.

pub(super) struct Quoting {
    quote: u8,
    delimiter: u8,
    state: State,
    misquoted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    Plain,
    Quoted,
    /// Behind a quote in a quoted cell: its end, or the first of a doubled one.
    Closed,
}

impl Quoting {
    pub(super) fn new(quote: u8, delimiter: u8) -> Quoting {
        Quoting { quote, delimiter, state: State::CellStart, misquoted: false }
    }

    /// A record begins.
    pub(super) fn begin(&mut self) {
        self.state = State::CellStart;
        self.misquoted = false;
    }

    /// The next bytes of the record.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        if self.state != State::Closed && !bytes.contains(&self.quote) {
            // Most records have no quotes.
            if let (Some(last), false) = (bytes.last(), self.state == State::Quoted) {
                self.state = if *last == self.delimiter { State::CellStart } else { State::Plain };
            }
            return;
        }
        for &byte in bytes {
            self.state = match self.state {
                State::Quoted if byte == self.quote => State::Closed,
                State::Quoted => State::Quoted,
                State::CellStart | State::Closed if byte == self.quote => State::Quoted,
                _ if byte == self.delimiter => State::CellStart,
                State::Closed if !matches!(byte, b'\r' | b'\n') => {
                    self.misquoted = true;
                    State::Plain
                }
                State::Closed => State::Closed,
                State::CellStart | State::Plain => State::Plain,
            };
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Quoted
    }

    pub(super) fn is_misquoted(&self) -> bool {
        self.misquoted
    }
}
