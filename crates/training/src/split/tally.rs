use karat_core::Instant;

use super::{Assignment, Part, PartReport, SplitReport};
use crate::LeftOut;

/// What assignments add up to, row by row.
#[derive(Debug, Default)]
pub struct Tally {
    rows: u64,
    unlabelled: u64,
    parts: [OfPart; 3],
}

#[derive(Debug, Default)]
struct OfPart {
    report: PartReport,
    /// Of one of its rows nobody can say when the label was known.
    label_time_unknown: bool,
}

impl Tally {
    /// Counts a row; times are microseconds UTC.
    pub fn count(&mut self, assignment: Assignment, label: Option<bool>, as_of: i64, label_time: Option<i64>) {
        self.rows += 1;
        match assignment {
            Assignment::In(part) => self.parts[part as usize].count(label, as_of, label_time),
            Assignment::Unlabelled => self.unlabelled += 1,
            Assignment::Purged(part) => self.parts[part as usize].report.purged += 1,
            Assignment::Refused(part) => self.parts[part as usize].report.refused += 1,
        }
    }

    /// How many rows have a label.
    pub fn labelled(&self) -> u64 {
        self.rows - self.unlabelled
    }

    /// With the rows that were left out before there was anything to assign.
    pub fn report(self, left_out: LeftOut) -> SplitReport {
        let part = |part: Part| {
            let OfPart { report, label_time_unknown } = &self.parts[part as usize];
            let last_label_time = report.last_label_time.filter(|_| !label_time_unknown);
            PartReport { last_label_time, ..*report }
        };
        SplitReport {
            rows: self.rows + left_out.rows(),
            unlabelled: self.unlabelled + left_out.unlabelled,
            open: left_out.open,
            not_kept: left_out.not_kept,
            train: part(Part::Train),
            validation: part(Part::Validation),
            test: part(Part::Test),
        }
    }
}

impl OfPart {
    fn count(&mut self, label: Option<bool>, as_of: i64, label_time: Option<i64>) {
        let as_of = Instant::from_micros(as_of);
        let report = &mut self.report;
        report.rows += 1;
        report.positives += u64::from(label == Some(true));
        report.first_as_of = Some(report.first_as_of.map_or(as_of, |first| first.min(as_of)));
        report.last_as_of = report.last_as_of.max(Some(as_of));
        match label_time {
            Some(known) => report.last_label_time = report.last_label_time.max(Some(Instant::from_micros(known))),
            None => self.label_time_unknown = true,
        }
    }
}
