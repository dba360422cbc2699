use crate::events::KeyEvents;
use crate::view::Plan;

use super::NO_ROW;

/// A reader: what it may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) as_of: i64,
    pub(crate) known_at: i64,
    /// It sees no event that a reader of this time saw happen; the least time sees all. Any other opens a window, which ends
    /// at `as_of`.
    pub(crate) since: i64,
    /// The newest commit it may see.
    pub(crate) up_to: i64,
}

impl Read {
    /// How many events, from the first, happened before (or at, where the source says so) the reader's time.
    pub(crate) fn happened(&self, events: &KeyEvents, plan: &Plan) -> usize {
        if !plan.timed {
            return events.len();
        }
        let happened = |time: &i64| if plan.include_as_of { *time <= self.as_of } else { *time < self.as_of };
        events.event_time.partition_point(happened)
    }

    /// The first event that it may see.
    fn first(&self, events: &KeyEvents, plan: &Plan) -> usize {
        if self.since == i64::MIN {
            return 0;
        }
        Read { as_of: self.since, ..*self }.happened(events, plan)
    }

    /// How many records, from the first, have a say in what an identity's record is. Who reads a window stands after it: what
    /// is known of an event moves it out of the window, wherever it moves to.
    fn deciding(&self, events: &KeyEvents, plan: &Plan) -> usize {
        if self.since == i64::MIN { self.happened(events, plan) } else { events.len() }
    }

    #[inline]
    pub(crate) fn knows(&self, events: &KeyEvents, row: usize) -> bool {
        events.known_time[row] <= self.known_at && events.commit[row] <= self.up_to
    }
}

/// The visible events in their order: of each identity's visible records the one with the greatest
/// (known time, commit, event time, not removed), unless that one removes it. In a window, what an identity's record says is
/// decided among all that are known: one that was moved to before or after it is not seen at its old time.
pub(crate) fn select(events: &KeyEvents, plan: &Plan, read: Read, best: &mut Vec<u32>, rows: &mut Vec<u32>) {
    rows.clear();
    let happened = read.happened(events, plan);
    let first = read.first(events, plan) as u32;
    if events.plain {
        rows.extend((first..happened as u32).filter(|row| read.knows(events, *row as usize)));
        return;
    }
    best_records(events, plan, read, best);
    rows.extend(
        (first..happened as u32)
            .filter(|row| best[events.identity[*row as usize] as usize] == *row && !events.removed[*row as usize]),
    );
}

/// By identity: the record that stands for it, among those that are known and, but for a window, have happened; [`NO_ROW`]
/// without one.
pub(crate) fn best_records(events: &KeyEvents, plan: &Plan, read: Read, best: &mut Vec<u32>) {
    best.clear();
    best.resize(events.len(), NO_ROW);
    let rank = |row: u32| {
        let row = row as usize;
        // Between records alike in all this, the later in the order of events.
        let happened = if plan.timed { events.event_time[row] } else { 0 };
        (events.known_time[row], events.commit[row], happened, !events.removed[row], row)
    };
    for row in (0..read.deciding(events, plan) as u32).filter(|row| read.knows(events, *row as usize)) {
        let winner = &mut best[events.identity[row as usize] as usize];
        if *winner == NO_ROW || rank(row) > rank(*winner) {
            *winner = row;
        }
    }
}
