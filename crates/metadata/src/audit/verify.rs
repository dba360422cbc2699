use std::fmt;

use karat_core::Digest;

use super::Head;
use super::entry::Stored;
use crate::{Answer, Connection, MetadataError, Row, query};

const PAGE: i64 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry is as it was written, and the kept head is among them.
    Intact { head: Head },
    /// The first entry that does not hold.
    Broken { id: i64, breach: Breach },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// The entry's content does not give its hash.
    Altered,
    /// The entry should be here and is not.
    Missing,
    /// The entry does not follow from the one before.
    Unlinked,
    /// The chain holds together, but is not the one whose head was kept: it was written anew.
    Rewritten,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Breach::Altered => "was altered",
            Breach::Missing => "is missing",
            Breach::Unlinked => "does not follow from the entry before",
            Breach::Rewritten => "is not the one whose head was kept",
        })
    }
}

/// Walks the whole chain. Finds any entry altered, removed, inserted or moved; entries cut from the end, and a chain
/// written anew, it finds up to the `kept` head ([`Head::genesis`] when none was kept).
pub fn verify<'a>(connection: &'a mut Connection, kept: &'a Head) -> Answer<'a, Verdict> {
    Box::pin(async move {
        let mut chain = Chain::new(kept);
        let mut after = i64::MIN;
        loop {
            let rows = query("SELECT * FROM audit_entries WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(after)
                .bind(PAGE)
                .fetch_all(&mut *connection)
                .await?;
            for row in &rows {
                // A column that no longer has its type was altered, like any other.
                let checked = stored_of(row).map_err(|_| Breach::Altered).and_then(|stored| {
                    after = stored.id;
                    chain.check(&stored)
                });
                if let Err(breach) = checked {
                    return Ok(Verdict::Broken { id: chain.next(), breach });
                }
            }
            if rows.len() < PAGE as usize {
                return Ok(chain.end());
            }
        }
    })
}

/// The walk itself, apart from where the entries come from.
struct Chain<'a> {
    kept: &'a Head,
    last: Head,
}

impl<'a> Chain<'a> {
    fn new(kept: &'a Head) -> Chain<'a> {
        Chain { kept, last: Head::genesis() }
    }

    fn next(&self) -> i64 {
        self.last.id + 1
    }

    fn check(&mut self, stored: &Stored) -> Result<(), Breach> {
        if stored.id < self.next() {
            return Err(Breach::Unlinked);
        }
        if stored.id > self.next() {
            return Err(Breach::Missing);
        }
        if stored.hash().as_str() != stored.hash {
            return Err(Breach::Altered);
        }
        if stored.previous != self.last.hash.as_str() {
            return Err(Breach::Unlinked);
        }
        let head = Head { id: stored.id, hash: Digest::parse(&stored.hash).ok_or(Breach::Altered)? };
        if head.id == self.kept.id && head != *self.kept {
            return Err(Breach::Rewritten);
        }
        self.last = head;
        Ok(())
    }

    fn end(self) -> Verdict {
        match self.last.id < self.kept.id {
            true => Verdict::Broken { id: self.next(), breach: Breach::Missing },
            false => Verdict::Intact { head: self.last },
        }
    }
}

fn stored_of(row: &Row) -> Result<Stored, MetadataError> {
    Ok(Stored {
        id: row.get("id")?,
        at: row.get("at")?,
        actor: row.get("actor")?,
        action: row.get("action")?,
        subject_kind: row.get("subject_kind")?,
        subject_name: row.get("subject_name")?,
        subject_version: row.get("subject_version")?,
        details: row.get("details")?,
        previous: row.get("previous")?,
        hash: row.get("hash")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn walk(entries: &[Stored], kept: &Head) -> Verdict {
        let mut chain = Chain::new(kept);
        for entry in entries {
            if let Err(breach) = chain.check(entry) {
                return Verdict::Broken { id: chain.next(), breach };
            }
        }
        chain.end()
    }

    fn is_broken(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Broken { .. })
    }

    fn head_of(entries: &[Stored]) -> Head {
        let last = entries.last().unwrap();
        Head { id: last.id, hash: Digest::parse(&last.hash).unwrap() }
    }

    /// Links entries with the given contents into a chain.
    fn chained(contents: &[(i64, String, Option<String>)]) -> Vec<Stored> {
        let mut previous = Head::genesis().hash.to_string();
        let mut entries = Vec::new();
        for (index, (at, text, version)) in contents.iter().enumerate() {
            let mut entry = Stored {
                id: index as i64 + 1,
                at: *at,
                actor: text.clone(),
                action: "a".into(),
                subject_kind: "k".into(),
                subject_name: text.clone(),
                subject_version: version.clone(),
                details: "{}".into(),
                previous: previous.clone(),
                hash: String::new(),
            };
            entry.hash = entry.hash().to_string();
            previous = entry.hash.clone();
            entries.push(entry);
        }
        entries
    }

    fn alter(entry: &mut Stored, column: usize) {
        let flip = |hash: &mut String| {
            let other = if hash.starts_with('0') { "1" } else { "0" };
            hash.replace_range(0..1, other);
        };
        match column {
            0 => entry.id += 1,
            1 => entry.at ^= 1,
            2 => entry.actor.push('x'),
            3 => entry.action.push('x'),
            4 => entry.subject_kind.push('x'),
            5 => entry.subject_name.push('x'),
            6 => {
                entry.subject_version = match &entry.subject_version {
                    Some(_) => None,
                    None => Some(String::new()),
                }
            }
            7 => entry.details = "{ }".into(),
            8 => flip(&mut entry.previous),
            // The boundary between two columns moves, their bytes together stay.
            9 => {
                let moved = entry.action.remove(0);
                entry.actor.push(moved);
            }
            _ => flip(&mut entry.hash),
        }
    }

    fn contents() -> impl Strategy<Value = Vec<(i64, String, Option<String>)>> {
        prop::collection::vec((any::<i64>(), "[a-z]{0,3}", prop::option::of("[a-z]{0,2}")), 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn an_untouched_chain_is_intact(contents in contents(), kept in any::<Index>()) {
            let entries = chained(&contents);
            let head = head_of(&entries);
            let kept = head_of(&entries[..=kept.index(entries.len())]);
            prop_assert_eq!(walk(&entries, &kept), Verdict::Intact { head: head.clone() });
            prop_assert_eq!(walk(&entries, &Head::genesis()), Verdict::Intact { head });
        }

        #[test]
        fn any_alteration_is_found(contents in contents(), at in any::<Index>(), column in 0..11usize) {
            let mut entries = chained(&contents);
            let kept = head_of(&entries);
            let at = at.index(entries.len());
            alter(&mut entries[at], column);
            prop_assert!(is_broken(walk(&entries, &kept)));
            // Hashing the altered entry again only moves the breach on: to the next entry, or to the kept head.
            entries[at].hash = entries[at].hash().to_string();
            let rehashed = walk(&entries, &kept);
            let harmless = column == 10;
            prop_assert_eq!(is_broken(rehashed), !harmless);
        }

        #[test]
        fn any_removal_and_truncation_is_found(contents in contents(), at in any::<Index>(), count in 1..4usize) {
            let mut entries = chained(&contents);
            let kept = head_of(&entries);
            let at = at.index(entries.len());
            entries.drain(at..(at + count).min(entries.len()));
            prop_assert_eq!(walk(&entries, &kept), Verdict::Broken { id: at as i64 + 1, breach: Breach::Missing });
            // Closing the gap by renumbering does not help.
            for (index, entry) in entries.iter_mut().enumerate() {
                entry.id = index as i64 + 1;
                entry.hash = entry.hash().to_string();
            }
            prop_assert!(is_broken(walk(&entries, &kept)));
        }

        #[test]
        fn any_reordering_is_found(contents in contents(), a in any::<Index>(), b in any::<Index>()) {
            let mut entries = chained(&contents);
            let kept = head_of(&entries);
            let (a, b) = (a.index(entries.len()), b.index(entries.len()));
            prop_assume!(a != b);
            entries.swap(a, b);
            prop_assert!(is_broken(walk(&entries, &kept)));
            // With the ids put back in order.
            let (id_a, id_b) = (entries[a].id, entries[b].id);
            (entries[a].id, entries[b].id) = (id_b, id_a);
            prop_assert!(is_broken(walk(&entries, &kept)));
        }

        #[test]
        fn a_chain_written_anew_is_not_the_kept_one(contents in contents(), at in any::<Index>()) {
            let kept = head_of(&chained(&contents));
            let mut other = contents.clone();
            let at = at.index(other.len());
            other[at].0 ^= 1;
            let verdict = walk(&chained(&other), &kept);
            prop_assert_eq!(verdict, Verdict::Broken { id: kept.id, breach: Breach::Rewritten });
        }
    }
}
