use std::collections::BTreeMap;

use karat_registry::import::{Counts, LeftOut, Noun};
use serde::Serialize;

/// What is told one by one of what was left out; of more, only how many.
const TOLD: usize = 10_000;

/// What an import found and did, as it goes.
#[derive(Debug, Default)]
pub struct Ledger {
    pub there: Counts,
    /// Counted on our side.
    pub here: Counts,
    pub new: Counts,
    left: Counts,
    pub left_out: Vec<LeftOut>,
    pub more: u64,
}

/// One noun's counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Side {
    pub there: u64,
    pub here: u64,
    /// Of those here, what was not here before.
    pub new: u64,
    pub left_out: u64,
}

impl Side {
    pub fn reconciles(&self) -> bool {
        self.there == self.here + self.left_out
    }
}

impl Ledger {
    pub fn leave(&mut self, left: LeftOut) {
        self.left += &left.counts;
        match self.left_out.len() < TOLD {
            true => self.left_out.push(left),
            false => self.more += 1,
        }
    }

    pub fn sides(&self) -> BTreeMap<Noun, Side> {
        let counts = [&self.there, &self.here, &self.new, &self.left];
        let side = |noun: Noun| Side {
            there: self.there.get(noun),
            here: self.here.get(noun),
            new: self.new.get(noun),
            left_out: self.left.get(noun),
        };
        counts.into_iter().flat_map(Counts::nouns).map(|noun| (noun, side(noun))).collect()
    }
}
