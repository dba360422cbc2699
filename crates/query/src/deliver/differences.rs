//! One partition of a delivery against the same partition of the history.

use std::cmp::Ordering;
use std::collections::HashSet;

use arrow::array::{Array, ArrayAccessor, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type, UInt32Type};
use arrow::row::{RowConverter, Rows, SortField};
use karat_core::{Name, Value, hidden};
use karat_project::spec::Delivery;

use super::DeliveryCounts;
use super::records;
use super::timeline::{Record, RowRef, Timeline, Version};
use crate::plan::{Identity, Shape};
use crate::stage::{ACCEPTED_FILE, ACCEPTED_LINE};
use crate::{QueryError, Result};

/// What does not change from partition to partition.
#[derive(Clone)]
pub(crate) struct Rules {
    pub source: Name,
    pub shape: Shape,
    /// The ingest instant.
    pub at: i64,
    pub commit: i64,
    pub labels: Vec<String>,
    pub arriving: Arriving,
    pub lacking: Lacking,
}

/// What becomes of a key that a full delivery lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacking {
    Removed,
    /// Rows were delivered whose keys nobody can read, and any may be theirs.
    Kept,
}

/// How rows come that say from when they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arriving {
    /// In a delivery: what it says is so, even if a later one had said otherwise.
    Together,
    /// One by one, from senders who send again what they are not sure of: a row that came before says nothing new,
    /// whatever came since. No two of a batch have one identity.
    Pushed,
}

pub(crate) struct Differences {
    /// Sorted by identity, then known time.
    pub records: Vec<RecordBatch>,
    pub counts: DeliveryCounts,
    /// Of the rows that were pushed, those that say nothing new.
    pub repeated: Vec<usize>,
}

/// `aside` has the keys of rows that were delivered and quarantined.
pub(crate) fn find(
    rules: &Rules,
    delivered: &RecordBatch,
    there: Option<&RecordBatch>,
    aside: Option<&RecordBatch>,
) -> Result<Differences> {
    if rules.shape.identity == Identity::FileRow && rules.arriving == Arriving::Together {
        return appended(rules, delivered);
    }
    let sides = Sides::new(rules, delivered, there, aside)?;
    let mut counts = DeliveryCounts::default();
    let mut repeated = Vec::new();
    let mut found: Vec<Record> = Vec::new();
    let (mut new, mut old) = (sides.delivered.order.as_slice(), sides.there.order.as_slice());
    while let Some(key) = sides.next_key(new, old) {
        let (new_group, new_rest) = split(new, |row| sides.delivered.keys.row(row) == key);
        let (old_group, old_rest) = split(old, |row| sides.there.keys.row(row) == key);
        (new, old) = (new_rest, old_rest);
        let mut timeline = Timeline::new(sides.versions(old_group));
        match rules.shape.delivery {
            Delivery::Full if new_group.is_empty() => sides.missing(key, &mut timeline, &mut counts),
            Delivery::Full => sides.snapshot(new_group, &mut timeline, &mut counts)?,
            Delivery::Changes | Delivery::Append => {
                let unchanged = counts.unchanged;
                sides.changes(new_group, &mut timeline, &mut counts);
                if counts.unchanged > unchanged && rules.arriving == Arriving::Pushed {
                    repeated.extend(new_group);
                }
            }
        }
        let of_key = found.len();
        found.extend(timeline.records());
        sides.keep_removals(new_group, of_key, &timeline, &mut found);
    }
    let records = records::build(rules, delivered, there, &found)?;
    Ok(Differences { records, counts, repeated })
}

/// Rows of files that are new: each is a row of its own, so that none is compared with another.
fn appended(rules: &Rules, delivered: &RecordBatch) -> Result<Differences> {
    let column = |name: &str| delivered.column_by_name(name).expect("accepted rows have it");
    let ints = |name: &str| column(name).as_primitive::<Int64Type>();
    let digests = column(hidden::FILE).as_dictionary::<Int32Type>();
    let (digests, rows) = (digests.downcast_dict::<StringArray>().expect("it is of text"), ints(hidden::ROW).values());
    let (events, known) = (ints(hidden::EVENT_TIME), ints(hidden::KNOWN_TIME));
    let files = column(ACCEPTED_FILE).as_primitive::<UInt32Type>().values();
    let mut order: Vec<usize> = (0..delivered.num_rows()).collect();
    order.sort_by(|a, b| {
        let of_files = if files[*a] == files[*b] { Ordering::Equal } else { digests.value(*a).cmp(digests.value(*b)) };
        of_files.then(rows[*a].cmp(&rows[*b]))
    });
    let found: Vec<Record> = order
        .into_iter()
        .map(|row| Record {
            row: RowRef::Delivered(row),
            event: event(events, row),
            known: if known.is_valid(row) { known.value(row) } else { i64::MIN },
            removed: false,
        })
        .collect();
    let records = records::build(rules, delivered, None, &found)?;
    let new = found.len() as u64;
    let counts = DeliveryCounts { accepted: new, new, ..DeliveryCounts::default() };
    Ok(Differences { records, counts, repeated: Vec::new() })
}

fn split(order: &[usize], same: impl Fn(usize) -> bool) -> (&[usize], &[usize]) {
    let end = order.iter().position(|row| !same(*row)).unwrap_or(order.len());
    order.split_at(end)
}

struct Sides<'a> {
    rules: &'a Rules,
    delivered: Side<'a>,
    there: Side<'a>,
    files: &'a [u32],
    lines: &'a [i64],
    aside: HashSet<Vec<u8>>,
}

/// Rows of one side, encoded to be compared, in the order of their identities.
struct Side<'a> {
    batch: Option<&'a RecordBatch>,
    keys: Rows,
    values: Rows,
    order: Vec<usize>,
    event: Int64Array,
    known: Int64Array,
    commit: Int64Array,
    removed: BooleanArray,
}

impl<'a> Sides<'a> {
    fn new(
        rules: &'a Rules,
        delivered: &'a RecordBatch,
        there: Option<&'a RecordBatch>,
        aside: Option<&RecordBatch>,
    ) -> Result<Sides<'a>> {
        let shape = &rules.shape;
        let fields = |names: &[&str]| -> Result<RowConverter> {
            let schema = delivered.schema();
            let field = |name: &&str| Ok(SortField::new(schema.field_with_name(name)?.data_type().clone()));
            Ok(RowConverter::new(names.iter().map(field).collect::<Result<_>>()?)?)
        };
        let (identity, columns) = (shape.identity_columns(), shape.schema.names().collect::<Vec<_>>());
        let (keys, values) = (fields(&identity)?, fields(&columns)?);
        let encode = |converter: &RowConverter, batch: Option<&RecordBatch>, names: &[&str]| -> Result<Rows> {
            let Some(batch) = batch else { return Ok(converter.empty_rows(0, 0)) };
            let columns: Vec<ArrayRef> =
                names.iter().map(|name| batch.column_by_name(name).expect("both sides have it").clone()).collect();
            Ok(converter.convert_columns(&columns)?)
        };
        let side = |batch: Option<&'a RecordBatch>, rank: fn(&Side, usize) -> Rank| -> Result<Side<'a>> {
            let column = |name: &str| batch.and_then(|batch| batch.column_by_name(name));
            let ints = |name: &str| match column(name) {
                Some(array) => array.as_primitive::<Int64Type>().clone(),
                None => Int64Array::new_null(batch.map_or(0, RecordBatch::num_rows)),
            };
            let mut side = Side {
                batch,
                keys: encode(&keys, batch, &identity)?,
                values: encode(&values, batch, &columns)?,
                order: (0..batch.map_or(0, RecordBatch::num_rows)).collect(),
                event: ints(hidden::EVENT_TIME),
                known: ints(hidden::KNOWN_TIME),
                commit: ints(hidden::COMMIT),
                removed: match column(hidden::REMOVED) {
                    Some(array) => array.as_boolean().clone(),
                    None => BooleanArray::from(Vec::<bool>::new()),
                },
            };
            let mut order = std::mem::take(&mut side.order);
            order.sort_unstable_by(|a, b| {
                side.keys.row(*a).cmp(&side.keys.row(*b)).then_with(|| rank(&side, *a).cmp(&rank(&side, *b)))
            });
            side.order = order;
            Ok(side)
        };
        let aside = encode(&keys, aside, &identity)?.iter().map(|key| key.as_ref().to_vec()).collect();
        Ok(Sides {
            rules,
            aside,
            delivered: side(Some(delivered), |_, row| Rank { row, ..Rank::default() })?,
            there: side(there, |side, row| Rank {
                known: side.known.value(row),
                commit: side.commit.value(row),
                event: event(&side.event, row),
                stays: !side.removed.value(row),
                row,
            })?,
            files: delivered
                .column_by_name(ACCEPTED_FILE)
                .expect("accepted rows have it")
                .as_primitive::<UInt32Type>()
                .values(),
            lines: delivered
                .column_by_name(ACCEPTED_LINE)
                .expect("accepted rows have it")
                .as_primitive::<Int64Type>()
                .values(),
        })
    }

    fn next_key(&self, new: &[usize], old: &[usize]) -> Option<arrow::row::Row<'_>> {
        let new = new.first().map(|row| self.delivered.keys.row(*row));
        let old = old.first().map(|row| self.there.keys.row(*row));
        match (new, old) {
            (Some(new), Some(old)) if old.cmp(&new) == Ordering::Less => Some(old),
            (Some(new), _) => Some(new),
            (None, old) => old,
        }
    }

    /// The versions among an identity's records: of one known time and commit, the rows that stay, else a removal.
    fn versions(&self, group: &[usize]) -> Vec<Version> {
        let side = &self.there;
        let mut versions: Vec<Version> = Vec::new();
        let mut of = None;
        for &row in group {
            let (known, commit) = (side.known.value(row), side.commit.value(row));
            if of != Some((known, commit)) {
                versions.push(Version { known, event: i64::MIN, row: None, fresh: false });
                of = Some((known, commit));
            }
            if !side.removed.value(row) {
                if versions.last().is_some_and(|version| version.row.is_none()) {
                    versions.pop();
                }
                let (event, row) = (event(&side.event, row), Some(RowRef::There(row)));
                versions.push(Version { known, event, row, fresh: false });
            }
        }
        versions
    }

    fn same_values(&self, a: RowRef, b: RowRef) -> bool {
        let values = |row| match row {
            RowRef::Delivered(row) => self.delivered.values.row(row),
            RowRef::There(row) => self.there.values.row(row),
        };
        values(a) == values(b)
    }

    /// `delivery: full`: a key that was not delivered has no row any more. One whose row was set aside, or may have been, keeps
    /// what it had.
    fn missing(&self, key: arrow::row::Row<'_>, timeline: &mut Timeline, counts: &mut DeliveryCounts) {
        let Some(Version { known, row: Some(_), .. }) = timeline.winner().copied() else { return };
        if self.rules.lacking == Lacking::Kept || self.aside.contains(key.as_ref()) {
            counts.kept += 1;
            return;
        }
        timeline.add(Version { known: self.rules.at.max(known), event: i64::MIN, row: None, fresh: true });
        counts.removed += 1;
    }

    /// `delivery: full`: what is delivered is all there is.
    fn snapshot(&self, group: &[usize], timeline: &mut Timeline, counts: &mut DeliveryCounts) -> Result<()> {
        let at = self.rules.at;
        let winner = timeline.winner().copied();
        let &[row, ref more @ ..] = group else { return Ok(()) };
        if let Some(second) = more.first() {
            return Err(self.duplicate(row, *second));
        }
        let delivered = RowRef::Delivered(row);
        let word = self.word(row);
        let known = match winner {
            None => word.unwrap_or(i64::MIN),
            Some(Version { row: Some(there), .. }) if self.same_values(there, delivered) => {
                counts.unchanged += 1;
                return Ok(());
            }
            // Whoever read before this delivery cannot have known it.
            Some(winner) => word.unwrap_or(i64::MIN).max(at).max(winner.known),
        };
        match winner {
            Some(Version { row: Some(_), .. }) => counts.revised += 1,
            _ => counts.new += 1,
        }
        counts.accepted += 1;
        timeline.add(Version { known, event: event(&self.delivered.event, row), row: Some(delivered), fresh: true });
        Ok(())
    }

    /// `delivery: changes` and `append`: each row says from when it is known.
    fn changes(&self, group: &[usize], timeline: &mut Timeline, counts: &mut DeliveryCounts) {
        let ingested = timeline.winner().map(|winner| winner.known.max(self.rules.at));
        let removing = |row: usize| self.delivered.removed.value(row);
        let mut rows: Vec<(i64, usize)> = group
            .iter()
            .map(|&row| {
                let without_word = if removing(row) { Some(self.rules.at) } else { None };
                (self.word(row).or(ingested).or(without_word).unwrap_or(i64::MIN), row)
            })
            .collect();
        rows.sort_by_key(|(known, _)| *known);
        for (index, &(known, row)) in rows.iter().enumerate() {
            if rows.get(index + 1).is_some_and(|(next, _)| *next == known) {
                counts.superseded += 1;
                counts.accepted += 1;
                continue;
            }
            let before = timeline.winner_at(known).and_then(|version| version.row);
            let delivered = RowRef::Delivered(row);
            let says_nothing_new = match (self.rules.arriving, before) {
                (Arriving::Pushed, _) => self.is_repeated(row, known, timeline),
                (Arriving::Together, Some(before)) => !removing(row) && self.same_values(before, delivered),
                (Arriving::Together, None) => removing(row) && self.removes_nothing(row, known, timeline),
            };
            if says_nothing_new {
                counts.unchanged += 1;
                continue;
            }
            counts.accepted += 1;
            if removing(row) {
                counts.removed += 1;
                timeline.add(Version { known, event: i64::MIN, row: None, fresh: true });
                continue;
            }
            match timeline.winner() {
                Some(Version { row: Some(_), .. }) => counts.revised += 1,
                _ => counts.new += 1,
            }
            timeline.add(Version {
                known,
                event: event(&self.delivered.event, row),
                row: Some(delivered),
                fresh: true,
            });
        }
    }

    /// Whether there is nothing for a delivered removal to take away, now or later: it was delivered before, or it does not
    /// say from when it is known, so that whatever comes later is known later.
    fn removes_nothing(&self, row: usize, known: i64, timeline: &Timeline) -> bool {
        self.word(row).is_none() || timeline.winner_at(known).is_some_and(|removal| removal.known == known)
    }

    /// A removal that takes nothing away is kept all the same, without a time at which it could be seen: what it removes may
    /// come later.
    fn keep_removals(&self, group: &[usize], of_key: usize, timeline: &Timeline, found: &mut Vec<Record>) {
        for version in timeline.fresh_removals() {
            let known = version.known;
            let takes_something = found[of_key..].iter().any(|record| record.removed && record.known == known);
            if let (false, Some(row)) = (takes_something, group.first()) {
                found.push(Record { row: RowRef::Delivered(*row), event: i64::MIN, known, removed: true });
            }
        }
        found[of_key..].sort_by_key(|record| record.known);
    }

    /// Whether history has had a pushed row. One that says from when it is known did so if it came before, though it may
    /// not stand any more, and only then: what came before it in time may still come. Of others the last one counts.
    fn is_repeated(&self, row: usize, known: i64, timeline: &Timeline) -> bool {
        let (event, removing) = (event(&self.delivered.event, row), self.delivered.removed.value(row));
        let same = |version: &Version| match version.row {
            Some(there) => !removing && version.event == event && self.same_values(there, RowRef::Delivered(row)),
            None => removing,
        };
        match self.word(row) {
            Some(_) => timeline.of(known).any(same),
            None => timeline.winner_at(known).is_some_and(same),
        }
    }

    /// The known time a row gives itself; None for facts.
    fn word(&self, row: usize) -> Option<i64> {
        self.delivered.known.is_valid(row).then(|| self.delivered.known.value(row))
    }

    fn duplicate(&self, first: usize, second: usize) -> QueryError {
        let names = self.rules.shape.identity_columns();
        let batch = self.delivered.batch.expect("the delivered side has rows");
        let value = |name: &&str| {
            let array = batch.column_by_name(name).expect("identities are there");
            format!("{name}={}", Value::from_array(array, first))
        };
        let place = |row: usize| {
            let label = self.rules.labels.get(self.files[row] as usize).map_or("", String::as_str);
            format!("{label}:{}", self.lines[row])
        };
        QueryError::DuplicateKey {
            name: self.rules.source.clone(),
            key: names.iter().map(value).collect::<Vec<_>>().join(", "),
            first: place(first),
            second: place(second),
            columns: names.join(", "),
        }
    }
}

fn event(times: &Int64Array, row: usize) -> i64 {
    if times.is_null(row) { i64::MIN } else { times.value(row) }
}

/// The order of an identity's records: the winner last.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    known: i64,
    commit: i64,
    event: i64,
    stays: bool,
    row: usize,
}
