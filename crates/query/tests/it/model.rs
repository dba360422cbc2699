//! What deliveries mean, written down as plainly as can be: every version of every key in a list.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub entity: u8,
    pub value: u8,
    /// Days.
    pub event: i64,
    /// Days; what the row says of itself.
    pub known: i64,
}

#[derive(Debug, Clone)]
struct Version {
    known: i64,
    commit: u64,
    /// None removes.
    row: Option<Row>,
}

#[derive(Debug, Default)]
pub struct Model {
    keys: BTreeMap<u8, Vec<Version>>,
    pub commits: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub new: u64,
    pub revised: u64,
    pub removed: u64,
    pub unchanged: u64,
    pub superseded: u64,
}

impl Model {
    fn winner(versions: &[Version]) -> Option<&Version> {
        versions.iter().max_by_key(|version| (version.known, version.commit))
    }

    pub fn full(&mut self, rows: &BTreeMap<u8, Row>, at: i64) -> Told {
        let mut told = Told::default();
        let commit = self.commits + 1;
        let keys: BTreeSet<u8> = self.keys.keys().chain(rows.keys()).copied().collect();
        for key in keys {
            let versions = self.keys.entry(key).or_default();
            let winner = Model::winner(versions).cloned();
            let known_before = winner.as_ref().map(|winner| winner.known);
            let there = winner.and_then(|winner| winner.row);
            match (there, rows.get(&key)) {
                (Some(there), Some(row)) if there == *row => told.unchanged += 1,
                (None, None) => {}
                (Some(_), None) => {
                    told.removed += 1;
                    versions.push(Version { known: at.max(known_before.unwrap()), commit, row: None });
                }
                (there, Some(row)) => {
                    *(if there.is_some() { &mut told.revised } else { &mut told.new }) += 1;
                    let known = known_before.map_or(row.known, |before| row.known.max(at).max(before));
                    versions.push(Version { known, commit, row: Some(row.clone()) });
                }
            }
        }
        self.count(told)
    }

    /// As if nothing had been delivered before; what is committed next is a commit like any other.
    pub fn anew(&self) -> Model {
        Model { keys: BTreeMap::new(), commits: self.commits }
    }

    /// Rows in the order delivered; None for a row that removes its key, known from the day given.
    pub fn changes(&mut self, rows: &[(u8, i64, Option<Row>)]) -> Told {
        let mut told = Told::default();
        let commit = self.commits + 1;
        let keys: BTreeSet<u8> = rows.iter().map(|(key, ..)| *key).collect();
        for key in keys {
            let mut of_key: Vec<_> = rows.iter().filter(|(k, ..)| *k == key).collect();
            of_key.sort_by_key(|(_, known, _)| *known);
            let versions = self.keys.entry(key).or_default();
            for (index, (_, known, row)) in of_key.iter().enumerate() {
                if of_key.get(index + 1).is_some_and(|(_, next, _)| next == known) {
                    told.superseded += 1;
                    continue;
                }
                let before: Vec<Version> = versions.iter().filter(|v| v.known <= *known).cloned().collect();
                let says_it_already = match (Model::winner(&before), row) {
                    (Some(Version { row: Some(before), .. }), Some(row)) => before == row,
                    // A later one may be what is left when something comes that is known in between.
                    (Some(Version { known: before, row: None, .. }), None) => before == known,
                    _ => false,
                };
                if says_it_already {
                    told.unchanged += 1;
                    continue;
                }
                let has_row = Model::winner(versions).is_some_and(|winner| winner.row.is_some());
                match row {
                    None => told.removed += 1,
                    Some(_) if has_row => told.revised += 1,
                    Some(_) => told.new += 1,
                }
                versions.push(Version { known: *known, commit, row: row.clone() });
            }
        }
        self.count(told)
    }

    fn count(&mut self, told: Told) -> Told {
        // The first delivery begins the history, whatever it brings.
        if told.new + told.revised + told.removed > 0 || self.commits == 0 {
            self.commits += 1;
        }
        told
    }

    pub fn current(&self) -> BTreeMap<u8, Row> {
        self.keys.iter().filter_map(|(key, versions)| Some((*key, Model::winner(versions)?.row.clone()?))).collect()
    }

    /// The rows visible at `as_of` to whoever knows what was known at `known_at`.
    pub fn visible(&self, as_of: i64, known_at: i64) -> BTreeMap<u8, Row> {
        let mut rows = BTreeMap::new();
        for (key, versions) in &self.keys {
            let visible: Vec<Version> = versions
                .iter()
                .filter(|v| v.known <= known_at && v.row.as_ref().is_none_or(|row| row.event < as_of))
                .cloned()
                .collect();
            if let Some(row) = Model::winner(&visible).and_then(|winner| winner.row.clone()) {
                rows.insert(*key, row);
            }
        }
        rows
    }
}

/// A record of a history, in days.
#[derive(Debug, Clone)]
pub struct HistoryRecord {
    pub key: u8,
    pub row: Row,
    pub event: i64,
    pub known: i64,
    pub commit: u64,
    pub removed: bool,
}

/// What a pass over the history sees that looks at each entity's records alone.
pub fn visible_by_entity(records: &[HistoryRecord], as_of: i64, known_at: i64) -> Vec<(u8, Row)> {
    let entities: BTreeSet<u8> = records.iter().map(|record| record.row.entity).collect();
    let mut rows = Vec::new();
    for entity in entities {
        let mut winners: BTreeMap<u8, &HistoryRecord> = BTreeMap::new();
        for record in records.iter().filter(|r| r.row.entity == entity && r.event < as_of && r.known <= known_at) {
            let rank = |r: &HistoryRecord| (r.known, r.commit, r.event, !r.removed);
            winners
                .entry(record.key)
                .and_modify(|winner| {
                    if rank(record) > rank(winner) {
                        *winner = record;
                    }
                })
                .or_insert(record);
        }
        rows.extend(winners.into_iter().filter(|(_, r)| !r.removed).map(|(key, r)| (key, r.row.clone())));
    }
    rows.sort();
    rows
}
